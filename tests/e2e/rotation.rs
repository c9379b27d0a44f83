//! Keys that others take the place of, while a run goes on: a node's, the coordinator's and the operator's.

use std::fs;

use coordinator::view::{InstalledRoster, RunStatus};
use harness::programs::{Daemon, complaint, run};

use crate::operator::Operator;

/// The number of the test, which chooses its domain.
const TEST: u16 = 15;

impl Operator {
    fn path(&self, name: &str) -> String {
        self.0.at(name).display().to_string()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.at(name)).expect("it is there").trim().to_owned()
    }

    fn orders(&self, words: &[&str]) -> InstalledRoster {
        serde_json::from_str(&self.ask(&[words, &["--format", "json"]].concat())).expect("it is a roster")
    }
}

fn print(program: &str, args: &[&str]) -> String {
    let done = run(program, args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("a key is text").trim().to_owned()
}

#[test]
fn every_key_is_changed_while_a_run_goes_on_and_no_process_is_started_again() {
    let Some((operator, _coordinator)) = Operator::of_two(TEST) else { return };
    let long = operator.start_small("long", 1_000_000, 5);
    operator.until(&long, |run| run.rounds_done >= 1);
    let goes_on = || {
        let next = operator.view(&long).rounds_done + 2;
        assert_eq!(operator.selected(&long, next), ["node-1", "node-2"]);
    };

    // A node's. Asked twice, it is the same one; somebody else's word for it counts for nothing.
    let (folder, before) = (operator.path("node-1"), operator.text("node-1/identity.pub"));
    let succession = print("node", &["--dir", &folder, "rotate"]);
    let next = operator.text("node-1/next/identity.pub");
    assert!(succession.starts_with(&format!("{before} {next} ")), "{succession}");
    assert_eq!(print("node", &["--dir", &folder, "rotate"])[..133], succession[..133]);
    let other = operator.text("node-2/identity.pub");
    let rotate = |succession: &str| {
        let words: Vec<String> = succession.split(' ').map(str::to_owned).collect();
        [vec!["node".to_owned(), "rotate".to_owned()], words].concat()
    };
    let forged = rotate(&succession.replace(&before, &other));
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    let refused = complaint(&run("coordinator", &[&["--dir", &operator.0.folder()][..], &forged].concat()));
    assert!(refused.contains("line 1: the signature does not verify"), "{refused}");
    let words = rotate(&succession);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(operator.orders(&words).rotated, ["node-1"]);
    operator.0.until(|| operator.text("node-1/identity.pub") == next);
    assert!(!operator.0.at("node-1/next").exists());
    operator.0.until(|| operator.node("node-1").present);
    goes_on();
    let again = complaint(&run("coordinator", &[&["--dir", &operator.0.folder()][..], &words].concat()));
    assert!(again.contains("is on the roster already"), "{again}");

    // The coordinator's. Who follows a run goes on doing so.
    let watched = operator.0.at("watched.jsonl");
    let watch = ["--dir", &operator.0.folder(), "run", "watch", &long, "--format", "jsonl"];
    let mut watching = Daemon::start("coordinator", &watch, &watched);
    let seen = || fs::read_to_string(&watched).expect("it is written").lines().count();
    operator.0.until(|| seen() > 0);
    let appointed = print("coordinator", &["--dir", &operator.0.folder(), "rotate"]);
    operator.ask(&["roster", "appoint", &appointed]);
    operator.0.until(|| operator.text("coordinator/identity.pub") == appointed);
    operator.0.until(|| operator.node("node-2").present);
    goes_on();
    let before = seen();
    operator.0.until(|| seen() > before);
    assert!(watching.is_running(), "{}", fs::read_to_string(&watched).expect("it is written"));

    // The operator's.
    let (elsewhere, to) = (operator.path("elsewhere"), operator.path("elsewhere/operator"));
    print("coordinator", &["--dir", &elsewhere, "operator-init"]);
    let key = operator.text("elsewhere/operator.pub");
    let told = operator.orders(&["roster", "hand-over", "--to", &to]);
    assert_eq!(told.operator.as_deref(), Some(&key[..]));
    for name in ["coordinator", "node-1", "node-2"] {
        operator.0.until(|| operator.text(&format!("{name}/operator.pub")) == key);
    }
    let label = |more: &[&str]| {
        let node = operator.text("node-2/identity.pub");
        let approve = [&["--dir", &operator.0.folder(), "node", "approve", "node-2", &node, "rack=B"], more];
        run("coordinator", &approve.concat())
    };
    let refused = complaint(&label(&[]));
    assert!(refused.contains("is not the key of the operator, who is "), "{refused}");
    assert!(label(&["--operator", &to]).status.success());
    operator.0.until(|| operator.node("node-2").labels.contains_key("rack"));
    goes_on();
    assert_eq!(operator.view(&long).status, RunStatus::Running);
}
