//! How long a control message takes there and back: 1 kB, on loopback, between two processes.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use dds::{Participant, Qos, Topic};
use edge::now;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::cell::{Wire, word};
use crate::site::Site;

/// What the first argument is in a process that plays a part.
pub(crate) const PART: &str = "__control";

/// Bytes of a message.
const BYTES: usize = 1000;

/// Round trips before those that count: the first ones wait until the two have met.
const WARM_UP: usize = 500;

/// Then a message, or its answer, is taken to be lost.
const LOST: Duration = Duration::from_millis(200);

/// So many in a row are too many.
const LOST_MAX: usize = 100;

const KEY: usize = 32;

/// How messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// As receipts and chunks.
    BestEffort,
    /// As events.
    Reliable,
}

/// There, and back.
const fn topics(kind: Kind) -> [Topic; 2] {
    match kind {
        Kind::BestEffort => {
            let qos = Qos::Chunk { unread: 256, unsent: 256 };
            [
                Topic::new("ping", "bench::Ping", KEY, 2048, qos),
                Topic::new("pong", "bench::Pong", KEY, 2048, qos),
            ]
        }
        Kind::Reliable => {
            let qos = Qos::Message { samples: 256 };
            [
                Topic::new("ping", "bench::Ping", KEY, 2048, qos),
                Topic::new("pong", "bench::Pong", KEY, 2048, qos),
            ]
        }
    }
}

/// The figures of a kind; `Display` is a line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct RoundTrips {
    system: &'static str,
    delivery: Kind,
    message_bytes: usize,
    #[serde(rename = "round_trips")]
    count: usize,
    us_median: u64,
    us_p99: u64,
    lost: usize,
}

/// The first line of the table.
pub(crate) const HEADER: &str = "control messages    bytes round trips median us    p99 us  lost";

impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delivery, message_bytes, count, us_median, us_p99, lost, .. } = self;
        let delivery = word(*delivery);
        write!(f, "{delivery:<19} {message_bytes:>5} {count:>11} {us_median:>9} {us_p99:>9} {lost:>5}")
    }
}

/// Both kinds.
pub(crate) fn measure(round_trips: usize, mut show: impl FnMut(&RoundTrips) -> Result<()>) -> Result<()> {
    for kind in Kind::value_variants() {
        let site = Site::new(Wire::Loopback)?;
        let program = std::env::current_exe()?;
        let command = |role: &str| {
            let mut command = site.command(0, program.as_os_str());
            command.args([PART, role, &word(*kind), &round_trips.to_string(), &site.domain().to_string()]);
            command.stderr(Stdio::inherit());
            command
        };
        // Its stdin ends with this scope, and it with its stdin.
        let mut answering =
            command("answer").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().context("cannot start")?;
        let asked = command("ask").stdin(Stdio::null()).output();
        let _ = answering.kill();
        let _ = answering.wait();
        let asked = asked?;
        ensure!(asked.status.success(), "the messages were not answered");
        let micros: Vec<u64> = String::from_utf8_lossy(&asked.stdout)
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context("not figures")?;
        let &[us_median, us_p99, lost] = micros.as_slice() else { bail!("not three figures") };
        show(&RoundTrips {
            system: "starling",
            delivery: *kind,
            message_bytes: BYTES,
            count: round_trips,
            us_median,
            us_p99,
            lost: lost as usize,
        })?;
    }
    Ok(())
}

/// Asks as a node does, or answers as a coordinator does.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [role, kind, round_trips, domain] = args else { bail!("a part has 4 arguments") };
    let kind = Kind::from_str(kind, true).map_err(anyhow::Error::msg)?;
    let config = dds::Config {
        domain: domain.parse()?,
        interfaces: vec![std::net::Ipv4Addr::LOCALHOST.into()],
        peers: vec![],
    };
    let domain = Participant::new(&config)?;
    let [there, back] = topics(kind);
    if role == "answer" {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(answer(&domain, &there, &back))
    } else {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (times, lost) = runtime.block_on(ask(&domain, &there, &back, round_trips.parse()?))?;
        crate::part::say(&format!("{} {} {lost}", percentile(&times, 50), percentile(&times, 99)));
        Ok(())
    }
}

async fn answer(domain: &Participant, there: &Topic, back: &Topic) -> Result<()> {
    let (mut reader, writer) = (domain.reader(there)?, domain.writer(back)?);
    loop {
        let sample = reader.next().await?;
        // One that is not answered is asked again.
        let _ = writer.write(&sample.key, &sample.body);
    }
}

/// The times of all round trips in microseconds, and how many messages were lost.
async fn ask(
    domain: &Participant,
    there: &Topic,
    back: &Topic,
    round_trips: usize,
) -> Result<(Vec<u64>, usize)> {
    let (writer, mut reader) = (domain.writer(there)?, domain.reader(back)?);
    let (mut times, mut lost, mut in_a_row) = (Vec::new(), 0, 0);
    let (mut body, mut number) = (vec![0; BYTES - KEY], 0_u64);
    while times.len() < WARM_UP + round_trips {
        number += 1;
        body[..8].copy_from_slice(&number.to_le_bytes());
        let start = now();
        let _ = writer.write(&[0; KEY], &body);
        let answered = timeout(LOST, async {
            while !reader.next().await?.body.starts_with(&number.to_le_bytes()) {}
            Ok::<(), dds::DdsError>(())
        });
        if let Ok(answered) = answered.await {
            answered?;
            times.push(now().micros_since(start));
            in_a_row = 0;
        } else {
            in_a_row += 1;
            ensure!(in_a_row < LOST_MAX, "nobody answers");
            lost += usize::from(times.len() >= WARM_UP);
        }
    }
    times.drain(..WARM_UP);
    times.sort_unstable();
    Ok((times, lost))
}

/// Of sorted values the one that so many of a hundred do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_that_so_many_do_not_exceed() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (100, 198));
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
