//! What an operator does with runs that go on: pause, resume, stop, and start another one meanwhile.

use std::fs;
use std::path::PathBuf;

use coordinator::view::{RunStatus, RunView};
use harness::programs::{Daemon, are_built, complaint, edit, fleet, run, run_config, wait_until};

use crate::{METRICS, domain, value};

/// A coordinator with two nodes.
struct Operator {
    dir: tempfile::TempDir,
    config: PathBuf,
}

impl Operator {
    fn folder(&self) -> String {
        self.dir.path().join("coordinator").display().to_string()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("coordinator.log")).unwrap_or_default()
    }

    fn serve(&self) -> Daemon {
        let log = self.dir.path().join("coordinator.log");
        let daemon = Daemon::start("coordinator", &["--dir", &self.folder(), "serve"], &log);
        wait_until(|| self.log().contains(" serving"), || self.log());
        daemon
    }

    /// Starts a run of this name; returns its id.
    fn start(&self, name: &str, rounds: u32) -> String {
        let config = fs::read_to_string(&self.config).expect("the configuration can be read");
        let file = self.dir.path().join(format!("{name}.toml"));
        fs::write(&file, config).expect("the configuration can be written");
        edit(&file, |text| {
            text.replace("first-run", name).replace("rounds = 1\n", &format!("rounds = {rounds}\n"))
        });
        self.order(&["start", "--config", &file.display().to_string()])
    }

    /// Does something with a run; returns what was printed.
    fn order(&self, words: &[&str]) -> String {
        let done = run("coordinator", &[&["--dir", &self.folder(), "run"][..], words].concat());
        assert!(done.status.success(), "{}\n{}", String::from_utf8_lossy(&done.stderr), self.log());
        String::from_utf8(done.stdout).expect("an id is text").trim().to_owned()
    }

    fn refused(&self, words: &[&str]) -> String {
        complaint(&run("coordinator", &[&["--dir", &self.folder(), "run"][..], words].concat()))
    }

    fn view(&self, id: &str) -> RunView {
        let listed = self.order(&["list", "--format", "json"]);
        let mut runs = listed.lines().map(|line| serde_json::from_str::<RunView>(line).expect("a run"));
        runs.find(|run| run.run == id).expect("it is listed")
    }

    fn until(&self, id: &str, so: impl Fn(&RunView) -> bool) {
        wait_until(|| so(&self.view(id)), || self.log());
    }
}

#[test]
fn a_run_is_paused_over_a_restart_resumed_beside_others_and_stopped() {
    if !are_built() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder can be made");
    fleet(dir.path(), domain(3), &METRICS, value);
    let config = run_config(dir.path(), 1, &METRICS);
    let _nodes = ["node-1", "node-2"].map(|name| {
        let folder = dir.path().join(name).display().to_string();
        Daemon::start("node", &["--dir", &folder, "run"], &dir.path().join(format!("{name}.log")))
    });
    let operator = Operator { dir, config };
    let coordinator = operator.serve();
    let listed = run("coordinator", &["--dir", &operator.folder(), "node", "list"]);
    let listed = String::from_utf8(listed.stdout).expect("names are text");
    assert!(listed.contains("node-1 ") && listed.contains("node-2 "), "{listed}");
    let long = operator.start("long", 1_000_000);
    operator.until(&long, |run| run.rounds_done >= 2);
    assert!(operator.refused(&["resume", "long"]).contains("a run is going on"));
    assert_eq!(operator.order(&["pause", "long"]), long);
    let paused = operator.view(&long);
    assert_eq!(paused.status, RunStatus::Paused);
    assert!(operator.refused(&["pause", "long"]).contains("is paused; only one that is going on"));

    assert!(coordinator.stop());
    let _coordinator = operator.serve();
    let short = operator.start("short", 2);
    assert!(operator.refused(&["resume", "long"]).contains("a run is going on"));
    operator.until(&short, |run| run.status == RunStatus::Finished);
    let still = operator.view(&long);
    assert_eq!(
        (still.status, still.rounds_done, still.model),
        (RunStatus::Paused, paused.rounds_done, paused.model)
    );

    operator.order(&["resume", &long[..8]]);
    operator.until(&long, |run| run.rounds_done >= paused.rounds_done + 2);
    operator.order(&["stop", "long"]);
    let stopped = operator.view(&long);
    assert_eq!(stopped.reason.as_deref(), Some("it was stopped by an operator"));
    let watched = run("coordinator", &["--dir", &operator.folder(), "run", "watch", "long"]);
    assert_eq!(watched.status.code(), Some(3));
    assert!(operator.refused(&["stop", "long"]).contains("is failed: it was stopped by an operator"));
    assert!(operator.refused(&["stop", "nothing"]).contains("no run `nothing`"));
}
