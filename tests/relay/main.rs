//! Sites joined by relays, as an operator runs them: each site is a DDS domain of its own on loopback, and nothing but
//! the relays' TCP connection leads from one to the other.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;

use harness::bridge::{free_address, records, sums, sums_of};
use harness::programs::{Daemon, are_built, edit, fleet, run, run_config, wait_until};
use harness::relays::{Place, list, relay, star};

const METRICS: [&str; 2] = ["load", "heat"];

fn value(row: usize, column: usize) -> f32 {
    ((row * (column + 3)) as f32 / 17.0).sin() * 10.0
}

/// Folders of all programs, and their logs.
struct Star {
    dir: tempfile::TempDir,
    /// The domain of the hub's site; the other sites have the next ones.
    domain: u16,
}

impl Star {
    /// A coordinator and two nodes, all at the hub's site for now; each test has domains of its own.
    fn new(test: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = 50 + (std::process::id() % 2) as u16 * 18 + test * 3;
        fleet(dir.path(), domain, &METRICS, value);
        Self { dir, domain }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn folder(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn logs(&self) -> String {
        let mut names: Vec<PathBuf> =
            fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|ending| ending == "log"));
        names.sort();
        let text = |path: &PathBuf| format!("== {}\n{}", path.display(), fs::read_to_string(path).unwrap());
        names.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    /// A node's site is another one from now on.
    fn move_node(&self, node: &str, site: u16) {
        edit(&self.path(node).join("node.toml"), |text| {
            text.replace(&format!("domain = {}", self.domain), &format!("domain = {}", self.domain + site))
        });
    }

    fn at<'a>(&self, name: &'a str, site: u16) -> Place<'a> {
        Place { name, domain: self.domain + site }
    }

    /// A hub and the spokes of these sites, which know each other.
    fn relays(&self, hub: &str, sites: &[u16]) {
        let names: Vec<String> = sites.iter().map(|site| format!("spoke-{site}")).collect();
        let spokes: Vec<Place<'_>> =
            names.iter().zip(sites).map(|(name, site)| self.at(name, *site)).collect();
        star(self.dir.path(), &free_address().to_string(), self.at(hub, 0), &spokes);
    }

    fn start(&self, name: &str) -> Daemon {
        let (program, command) = match name {
            "coordinator" => ("coordinator", "serve"),
            "bridge" => ("node", "smtp-bridge"),
            name if name.starts_with("node") => ("node", "run"),
            _ => ("coordinator", "relay"),
        };
        Daemon::start(program, &["--dir", &self.folder(name), command], &self.path(&format!("{name}.log")))
    }

    fn start_run(&self, rounds: u32) {
        let config = run_config(self.dir.path(), rounds, &METRICS).display().to_string();
        let folder = self.folder("coordinator");
        let start = ["--dir", &folder, "run", "start", "--config", &config];
        // The socket is there a moment after the process.
        wait_until(|| run("coordinator", &start).status.success(), || self.logs());
    }

    fn rounds_done(&self) -> u64 {
        let listed =
            run("coordinator", &["--dir", &self.folder("coordinator"), "run", "list", "--format", "jsonl"]);
        let text = String::from_utf8(listed.stdout).unwrap();
        let done = text.split("\"rounds_done\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
        done.and_then(|done| done.parse().ok()).unwrap_or(0)
    }

    /// Waits for the end of the run, and for both nodes to have its model.
    fn wait_for_the_model(&self, rounds: u32) {
        let folder = self.folder("coordinator");
        let watched = run("coordinator", &["--dir", &folder, "run", "watch", "--format", "jsonl"]);
        assert!(watched.status.success(), "{}", self.logs());
        let last = String::from_utf8(watched.stdout).unwrap().lines().last().unwrap().to_owned();
        let ended = ["\"status\":\"finished\"", &format!("\"rounds_done\":{rounds}")];
        assert!(ended.iter().all(|word| last.contains(word)), "{last}\n{}", self.logs());
        let kept = |name: &&str| self.path(name).join("model/run.json").exists();
        wait_until(|| ["node-1", "node-2"].iter().all(kept), || self.logs());
    }
}

#[test]
fn a_run_ends_on_nodes_whose_site_only_a_relay_reaches() {
    if !are_built() {
        return;
    }
    let star = Star::new(0);
    star.relays("hub", &[1]);
    for node in ["node-1", "node-2"] {
        star.move_node(node, 1);
    }
    let daemons = ["coordinator", "hub", "spoke-1", "node-1", "node-2"].map(|name| star.start(name));
    star.start_run(3);
    star.wait_for_the_model(3);
    for daemon in daemons {
        assert!(daemon.stop(), "SIGTERM ends it cleanly: {}", star.logs());
    }
    assert!(star.log("hub").contains("connected to relay `spoke-1`"), "{}", star.logs());
    assert!(star.log("spoke-1").contains("connected to relay `hub`"), "{}", star.logs());
    assert!(star.log("hub").contains("carried to spoke-1"), "{}", star.logs());
}

#[test]
fn three_sites_train_one_model() {
    if !are_built() {
        return;
    }
    let star = Star::new(1);
    star.relays("hub", &[1, 2]);
    star.move_node("node-1", 1);
    star.move_node("node-2", 2);
    let daemons =
        ["coordinator", "hub", "spoke-1", "spoke-2", "node-1", "node-2"].map(|name| star.start(name));
    star.start_run(3);
    star.wait_for_the_model(3);
    for daemon in daemons {
        assert!(daemon.stop(), "SIGTERM ends it cleanly: {}", star.logs());
    }
}

#[test]
fn a_run_survives_the_kill_of_a_relay_that_is_started_again() {
    const ROUNDS: u32 = 12;
    if !are_built() {
        return;
    }
    let star = Star::new(2);
    star.relays("hub", &[1]);
    for node in ["node-1", "node-2"] {
        star.move_node(node, 1);
    }
    let _daemons = ["coordinator", "hub", "node-1", "node-2"].map(|name| star.start(name));
    let spoke = star.start("spoke-1");
    star.start_run(ROUNDS);
    wait_until(|| star.rounds_done() >= 1, || star.logs());
    drop(spoke);
    let done = star.rounds_done();
    assert!(done < u64::from(ROUNDS), "it was killed in the middle of the run, after {done} rounds");
    wait_until(|| star.log("hub").contains("relay `spoke-1` is lost"), || star.logs());
    let _again = star.start("spoke-1");
    star.wait_for_the_model(ROUNDS);
}

#[test]
fn a_key_that_is_not_listed_is_refused_and_both_ends_say_so() {
    if !are_built() {
        return;
    }
    let star = Star::new(3);
    let (dir, address) = (star.dir.path(), free_address().to_string());
    let hub = relay(dir, star.at("hub", 0), ["--listen", &address], &[]);
    let [listed, stranger] = [("spoke-1", 1), ("spoke-2", 2)]
        .map(|(name, site)| relay(dir, star.at(name, site), ["--connect", &address], &[&hub]));
    list(dir, "hub", &[listed]);
    let key = |line: &str| line.split_whitespace().nth(1).unwrap().to_owned();

    // The hub does not list the spoke.
    let _hub = star.start("hub");
    let _stranger = star.start("spoke-2");
    let refused = format!("its key {} is not among `peers` in relay.toml", key(&stranger));
    wait_until(|| star.log("hub").contains(&refused), || star.logs());
    let told = "it refuses this relay's key: `peers` in its relay.toml does not list it";
    wait_until(|| star.log("spoke-2").contains(told), || star.logs());

    // The spoke does not list the hub.
    let wrong = format!("hub {}", key(&stranger));
    edit(&star.path("spoke-1").join("relay.toml"), |text| text.replace(&hub, &wrong));
    let _spoke = star.start("spoke-1");
    let refused = format!("its key {} is not among `peers` in relay.toml", key(&hub));
    wait_until(|| star.log("spoke-1").contains(&refused), || star.logs());
    wait_until(|| star.log("hub").contains(told), || star.logs());
    assert!(!star.log("hub").contains("connected to relay"), "{}", star.logs());
}

#[test]
fn two_stars_meet_in_the_domain_of_the_coordinator() {
    if !are_built() {
        return;
    }
    let star = Star::new(4);
    star.relays("hub", &[1]);
    star.relays("hub-2", &[2]);
    star.move_node("node-1", 1);
    star.move_node("node-2", 2);
    let daemons = ["coordinator", "hub", "hub-2", "spoke-1", "spoke-2", "node-1", "node-2"]
        .map(|name| star.start(name));
    star.start_run(3);
    star.wait_for_the_model(3);
    for daemon in daemons {
        assert!(daemon.stop(), "SIGTERM ends it cleanly: {}", star.logs());
    }
}

#[test]
fn a_bridge_forwards_to_a_node_whose_site_only_a_relay_reaches() {
    const MESSAGES: usize = 2_000;
    if !are_built() {
        return;
    }
    let star = Star::new(5);
    star.relays("hub", &[1]);
    star.move_node("node-1", 1);
    let (folder, key, domain) =
        (star.folder("bridge"), star.folder("coordinator/operator.pub"), star.domain.to_string());
    let init = ["--dir", &folder, "init", "--operator", &key, "--name", "bridge"];
    let made = run("node", &[&init[..], &["--domain", &domain, "--interface", "127.0.0.1"]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::write(star.path("node-1/allowed-bridges"), made.stdout).unwrap();
    let key = fs::read_to_string(star.path("node-1/identity.pub")).unwrap();
    fs::write(star.path("bridge/forward-nodes"), format!("node-1 {key}")).unwrap();
    let address = free_address();
    edit(&star.path("bridge/node.toml"), |text| {
        format!(
            "{text}\n[syslog]\nlisten_tcp = [\"{address}\"]\ntenant = \"default\"\n\
             trusted_networks = [\"127.0.0.0/8\"]\n\
             [forward]\n[[forward.route]]\ntenant = \"default\"\nnodes = [\"node-1\"]\n"
        )
    });
    let _daemons = ["bridge", "hub", "spoke-1", "node-1"].map(|name| star.start(name));
    let listens = || star.log("bridge").contains(&address.to_string());
    wait_until(|| listens() && star.path("node-1/spool").is_dir(), || star.logs());
    let mut line = TcpStream::connect(address).unwrap();
    for message in 0..MESSAGES {
        writeln!(line, "<11>Nov 20 10:00:00 rack-7 fan: message {message}").unwrap();
    }
    line.shutdown(Shutdown::Write).unwrap();
    let expected = sums(&[("syslog.err", MESSAGES as f64)]);
    let arrived = || sums_of(&records(&star.path("node-1")), "rack-7");
    wait_until(|| arrived() == expected, || format!("{:?}\n{}", arrived(), star.logs()));
}
