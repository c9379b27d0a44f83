//! What an operator does with runs that go on: pause, resume, stop, and start another one meanwhile.

use std::fs;

use coordinator::view::{RunStatus, RunView};
use harness::programs::{complaint, edit, run};

use crate::fleet::Fleet;

/// Who gives orders.
struct Operator(Fleet);

impl Operator {
    /// Starts a run of this name; returns its id.
    fn start(&self, name: &str, rounds: u32) -> String {
        let file = self.0.at(&format!("{name}.toml"));
        fs::copy(&self.0.config, &file).expect("the configuration can be copied");
        edit(&file, |text| {
            text.replace("first-run", name).replace("rounds = 1\n", &format!("rounds = {rounds}\n"))
        });
        self.order(&["start", "--config", &file.display().to_string()])
    }

    /// Does something with a run; returns what was printed.
    fn order(&self, words: &[&str]) -> String {
        let done = run("coordinator", &[&["--dir", &self.0.folder(), "run"][..], words].concat());
        assert!(done.status.success(), "{}\n{}", String::from_utf8_lossy(&done.stderr), self.0.logs());
        String::from_utf8(done.stdout).expect("an id is text").trim().to_owned()
    }

    fn refused(&self, words: &[&str]) -> String {
        complaint(&run("coordinator", &[&["--dir", &self.0.folder(), "run"][..], words].concat()))
    }

    fn view(&self, id: &str) -> RunView {
        self.0.runs().into_iter().find(|run| run.run == id).expect("it is listed")
    }

    fn until(&self, id: &str, so: impl Fn(&RunView) -> bool) {
        self.0.until(|| so(&self.view(id)));
    }
}

#[test]
fn a_run_is_paused_over_a_restart_resumed_beside_others_and_stopped() {
    let Some(fleet) = Fleet::new(3, 1) else { return };
    let operator = Operator(fleet);
    let coordinator = operator.0.serve(&[]);
    let listed = run("coordinator", &["--dir", &operator.0.folder(), "node", "list"]);
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
    let _coordinator = operator.0.serve(&[]);
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
    let watched = run("coordinator", &["--dir", &operator.0.folder(), "run", "watch", "long"]);
    assert_eq!(watched.status.code(), Some(3));
    assert!(operator.refused(&["stop", "long"]).contains("is failed: it was stopped by an operator"));
    assert!(operator.refused(&["stop", "nothing"]).contains("no run `nothing`"));
}
