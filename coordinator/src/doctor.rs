//! What is well and what is not in a coordinator's folder and around it: findings from what was read.

use common::limits::CHUNK_SEALED_BYTES;
use common::units::{ByteCount, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// Before the first version of this program: no clock that is set is there.
const CLOCK_MIN: Timestamp = Timestamp(1_735_689_600_000_000);

/// What the receive buffers of RustDDS are asked to be; Linux grants twice `net.core.rmem_max` at most.
const RECEIVE_BUFFER_BYTES: u64 = 8 << 20;

/// Of each round one model stays: with room for fewer than this there is not enough for many.
const ROUNDS_WARN: u64 = 100;

/// What a model needs at least: its own file, and that of the next.
const ROUNDS_FAIL: u64 = 2;

/// What the state and everything else may grow by before somebody looks.
const OTHER_BYTES: u64 = 64 << 20;

/// Without multicast only so many participants of a host find each other.
const NEIGHBOURS: u16 = 12;

/// From this domain on its ports are among those that Linux gives to whoever asks for any.
const DOMAIN_EPHEMERAL: u16 = 101;

/// Whether something is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Ok,
    /// It works, but not as it should, or not for long.
    Warn,
    /// The coordinator cannot work with it.
    Fail,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Whether it is well.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Where the key of the coordinator lives.
#[derive(Clone, Debug)]
pub enum Key {
    /// In `identity.pem`, which is a key; its permissions.
    InTheClear(u32),
    /// Where a secret is asked for before it opens; it was not opened.
    Elsewhere(String),
}

/// What was read. An error is in words.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The domain, and the interfaces with what a socket bound to each says.
    pub config: Result<Place, String>,
    /// The key of the coordinator.
    pub identity: Result<Key, String>,
    /// Nodes of the roster.
    pub roster: Result<usize, String>,
    /// Whether a coordinator answers.
    pub served: Result<bool, String>,
    /// Nodes whose telemetry drifted from their model, as they say to a coordinator that answers.
    pub drifted: usize,
    /// Models that the state names, and when the newest came; none without a state. Not looked at where the key that
    /// opens it was not.
    pub state: Option<Result<Option<(usize, Timestamp)>, String>>,
    /// Size of each model that is named, or what is wrong with it; not looked at likewise.
    pub models: Option<Vec<Result<u64, String>>>,
    /// Bytes that may still be written to the disk of the folder.
    pub free: Result<u64, String>,
    /// `net.core.rmem_max`, where the system has it.
    pub receive_buffer_max: Option<u64>,
    /// The time.
    pub now: Timestamp,
}

/// Where on the network.
#[derive(Clone, Debug)]
pub struct Place {
    /// The DDS domain.
    pub domain: u16,
    /// The number that the next participant of this host would get; none when all are taken.
    pub participant: Option<u16>,
    /// Each address that is configured, and why it cannot be used.
    pub interfaces: Vec<(String, Option<String>)>,
}

/// How something is, what was found, and what to do about it.
type Found = (Verdict, String, Option<String>);

type Check = fn(&Seen) -> Found;

const CHECKS: [(&str, Check); 12] = [
    ("configuration", configuration),
    ("identity", identity),
    ("roster", roster),
    ("coordinator", served),
    ("drift", drifted),
    ("state", state),
    ("models", models),
    ("disk", disk),
    ("interfaces", interfaces),
    ("ports", ports),
    ("receive buffer", receive_buffer),
    ("clock", clock),
];

/// Everything that was looked at, in the order in which somebody would put it right.
pub fn examine(seen: &Seen) -> Vec<Finding> {
    let finding = |&(check, look): &(&'static str, Check)| {
        let (verdict, found, remedy) = look(seen);
        Finding { check, verdict, found, remedy }
    };
    CHECKS.iter().map(finding).collect()
}

fn fine(found: impl Into<String>) -> Found {
    (Verdict::Ok, found.into(), None)
}

fn warn(found: impl Into<String>, remedy: impl Into<String>) -> Found {
    (Verdict::Warn, found.into(), Some(remedy.into()))
}

fn fail(found: impl Into<String>, remedy: impl Into<String>) -> Found {
    (Verdict::Fail, found.into(), Some(remedy.into()))
}

fn configuration(seen: &Seen) -> Found {
    match &seen.config {
        Ok(place) => fine(format!("coordinator.toml is read; domain {}", place.domain)),
        Err(why) => fail(why, "correct the line it names; `coordinator init` explains every key"),
    }
}

fn identity(seen: &Seen) -> Found {
    let mode = match &seen.identity {
        Ok(Key::Elsewhere(place)) => return fine(format!("{place}: opened by `coordinator serve` alone")),
        Ok(Key::InTheClear(mode)) => mode & 0o7777,
        Err(why) => return fail(why, "put it back from a copy: nodes know no other key"),
    };
    match mode & 0o077 {
        0 => fine(format!("identity.pem is a key, mode {mode:04o}")),
        _ => fail(
            format!("identity.pem has mode {mode:04o}: others may use this coordinator's key"),
            "`chmod 600 identity.pem`; whoever read it can be this coordinator",
        ),
    }
}

fn roster(seen: &Seen) -> Found {
    match &seen.roster {
        Ok(0) => warn(
            "the roster names nobody",
            "`coordinator node approve` with what `node init` prints on each machine",
        ),
        Ok(nodes) => fine(format!("the roster is the operator's, and names {nodes}")),
        Err(why) => fail(why, "put back a copy of it, or have the operator sign the next one"),
    }
}

fn served(seen: &Seen) -> Found {
    match &seen.served {
        Ok(true) => fine("one serves this folder and answers"),
        Ok(false) => warn("none serves this folder", "`coordinator serve` starts one"),
        Err(why) => fail(why, "is it stopped, or of another user? Its log says what it does"),
    }
}

fn drifted(seen: &Seen) -> Found {
    match seen.drifted {
        0 => fine("no node says that its telemetry drifted"),
        nodes => warn(
            format!("the telemetry of {nodes} nodes drifted from their model"),
            "`coordinator node list` names them; a new run (`coordinator run start`) calibrates anew",
        ),
    }
}

fn state(seen: &Seen) -> Found {
    let Some(state) = &seen.state else { return sealed() };
    match state {
        Ok(None) => fine("there is no state yet"),
        Ok(Some((models, _))) => fine(format!("it opens, and names {models} models")),
        Err(why) => fail(why, "see to what it names; a copy of state.redb is the last resort"),
    }
}

fn models(seen: &Seen) -> Found {
    let Some(models) = &seen.models else { return sealed() };
    let wrong: Vec<&str> =
        models.iter().filter_map(|model| model.as_ref().err().map(String::as_str)).collect();
    match wrong.first() {
        None => fine(format!("{} are there and whole", models.len())),
        Some(first) => {
            fail(format!("{} of {} are not: {first}", wrong.len(), models.len()), "put them back from a copy")
        }
    }
}

fn sealed() -> Found {
    fine("not looked at: sealed under a key that `coordinator serve` alone opens")
}

fn disk(seen: &Seen) -> Found {
    let free = match &seen.free {
        Ok(free) => *free,
        Err(why) => return fail(why, "is the folder there?"),
    };
    let model = seen.models.iter().flatten().flatten().copied().max().unwrap_or(0);
    let room = |rounds: u64| model.saturating_mul(rounds).saturating_add(OTHER_BYTES);
    let found = format!("{} free, the largest model has {}", ByteCount(free), ByteCount(model));
    let remedy = "make room, or move the folder to a larger disk: the model of every round is kept";
    match free {
        free if free < room(ROUNDS_FAIL) => fail(found, remedy),
        free if free < room(ROUNDS_WARN) => warn(found, remedy),
        _ => fine(found),
    }
}

fn interfaces(seen: &Seen) -> Found {
    let Ok(place) = &seen.config else { return unknown() };
    let wrong = place.interfaces.iter().find_map(|(address, why)| why.as_ref().map(|why| (address, why)));
    match (wrong, place.interfaces.len()) {
        (Some((address, why)), _) => fail(
            format!("{address} cannot be used: {why}"),
            "`ip address` shows those of this host; `dds.interfaces` lists those to use",
        ),
        (None, 0) => fine("all of this host"),
        (None, count) => fine(format!("{count} of this host")),
    }
}

fn ports(seen: &Seen) -> Found {
    let Ok(Place { domain, participant, .. }) = &seen.config else { return unknown() };
    let other = "choose another `dds.domain`, here and on every node";
    match participant {
        None => fail(format!("all ports of domain {domain} are taken on this host"), other),
        Some(number) if *number >= NEIGHBOURS && seen.served != Ok(true) => warn(
            format!("{number} others are in domain {domain} on this host"),
            "start the coordinator before the nodes of this host: without multicast the first 12 find each other",
        ),
        Some(_) if *domain >= DOMAIN_EPHEMERAL => warn(
            format!("domain {domain} has ports that this host may give to any program"),
            "choose a domain below 101, here and on every node",
        ),
        Some(_) => fine(format!("those of domain {domain} can be had")),
    }
}

fn receive_buffer(seen: &Seen) -> Found {
    let Some(max) = seen.receive_buffer_max else {
        return fine("net.core.rmem_max is not known on this system");
    };
    // Half of what is granted holds chunks: in fragments they take almost twice their size.
    let chunks = max.min(RECEIVE_BUFFER_BYTES) / CHUNK_SEALED_BYTES as u64;
    let found = format!("net.core.rmem_max is {max}: some {chunks} chunks of a model may be unread");
    if max < RECEIVE_BUFFER_BYTES / 2 {
        warn(found, "`sysctl -w net.core.rmem_max=8388608`: with less, transfers from many nodes take longer")
    } else {
        fine(found)
    }
}

fn clock(seen: &Seen) -> Found {
    let state = seen.state.as_ref().and_then(|state| *state.as_ref().ok()?);
    let newest = state.map_or(Timestamp(0), |(_, newest)| newest);
    let remedy = "set the clock, and keep it with NTP: what nodes say is believed for a while only";
    if seen.now < CLOCK_MIN {
        fail("it is set to a time before this program was written", remedy)
    } else if seen.now < newest {
        fail(format!("it is {} behind the newest model", newest.since(seen.now)), remedy)
    } else {
        fine("it runs ahead of everything that is stored")
    }
}

fn unknown() -> Found {
    warn("not known without the configuration", "correct the configuration first")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = Box<dyn Fn(&mut Seen)>;

    /// A folder in which everything is well.
    fn well() -> Seen {
        Seen {
            config: Ok(Place {
                domain: 3,
                participant: Some(0),
                interfaces: vec![("10.0.0.1".into(), None)],
            }),
            identity: Ok(Key::InTheClear(0o100_600)),
            roster: Ok(5),
            served: Ok(true),
            drifted: 0,
            state: Some(Ok(Some((2, CLOCK_MIN)))),
            models: Some(vec![Ok(1000), Ok(2000)]),
            free: Ok(1 << 30),
            receive_buffer_max: Some(8 << 20),
            now: Timestamp(CLOCK_MIN.0 + 1),
        }
    }

    #[test]
    fn where_all_is_well_nothing_is_to_be_done() {
        let findings = examine(&well());
        assert_eq!(findings.len(), 12);
        for finding in findings {
            assert_eq!((finding.verdict, finding.remedy), (Verdict::Ok, None), "{}", finding.check);
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_one_finding_with_what_to_do() {
        use Verdict::{Fail, Warn};
        let place = |change: fn(&mut Place)| move |seen: &mut Seen| change(seen.config.as_mut().unwrap());
        let cases: Vec<(&str, Verdict, Change)> = vec![
            ("identity", Fail, Box::new(|seen| seen.identity = Ok(Key::InTheClear(0o100_640)))),
            ("identity", Fail, Box::new(|seen| seen.identity = Err("is missing".into()))),
            ("roster", Warn, Box::new(|seen| seen.roster = Ok(0))),
            ("roster", Fail, Box::new(|seen| seen.roster = Err("line 1".into()))),
            ("coordinator", Warn, Box::new(|seen| seen.served = Ok(false))),
            ("coordinator", Fail, Box::new(|seen| seen.served = Err("no answer".into()))),
            ("drift", Warn, Box::new(|seen| seen.drifted = 2)),
            ("state", Fail, Box::new(|seen| seen.state = Some(Err("format 2".into())))),
            ("models", Fail, Box::new(|seen| seen.models = Some(vec![Ok(1), Err("is damaged".into())]))),
            ("disk", Warn, Box::new(|seen| seen.free = Ok(OTHER_BYTES + 2000 * 99))),
            ("disk", Fail, Box::new(|seen| seen.free = Ok(OTHER_BYTES))),
            ("interfaces", Fail, Box::new(place(|place| place.interfaces[0].1 = Some("no such".into())))),
            ("ports", Fail, Box::new(place(|place| place.participant = None))),
            ("ports", Warn, Box::new(place(|place| place.domain = 101))),
            ("receive buffer", Warn, Box::new(|seen| seen.receive_buffer_max = Some(212_992))),
            ("clock", Fail, Box::new(|seen| seen.now = Timestamp(5))),
            ("clock", Fail, Box::new(|seen| seen.state = Some(Ok(Some((1, Timestamp(u64::MAX))))))),
        ];
        for (check, verdict, change) in cases {
            let mut seen = well();
            change(&mut seen);
            let wrong: Vec<Finding> =
                examine(&seen).into_iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
            assert_eq!(wrong.len(), 1, "{check}: {wrong:?}");
            assert_eq!((wrong[0].check, wrong[0].verdict), (check, verdict));
            assert!(wrong[0].remedy.is_some());
        }
    }

    #[test]
    fn without_a_configuration_the_network_is_not_judged() {
        let seen = Seen { config: Err("line 1: surprise".into()), ..well() };
        let failed: Vec<&str> = examine(&seen)
            .into_iter()
            .filter(|finding| finding.verdict == Verdict::Fail)
            .map(|finding| finding.check)
            .collect();
        assert_eq!(failed, ["configuration"]);
    }
}
