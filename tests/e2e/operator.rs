//! Who gives orders to the coordinator of a fleet.

use std::fs;
use std::process::Output;

use coordinator::view::{ExplainedRound, NodeView, ParticipationOutcome, RunView};
use harness::programs::{Daemon, complaint, edit, run};

use crate::fleet::Fleet;

/// Who gives orders.
pub(crate) struct Operator(pub(crate) Fleet);

impl Operator {
    /// Of a fleet of two nodes for a test, by its number, which are both there; `None` when the programs are not built.
    pub(crate) fn of_two(test: u16) -> Option<(Self, Daemon)> {
        let operator = Self(Fleet::new(test, 1)?);
        let coordinator = operator.0.serve(&[]);
        for name in ["node-1", "node-2"] {
            operator.0.until(|| operator.node(name).present);
        }
        Some((operator, coordinator))
    }

    /// A configuration of this name and so many rounds; returns its path.
    pub(crate) fn config(&self, name: &str, rounds: u32) -> String {
        let file = self.0.at(&format!("{name}.toml"));
        fs::copy(&self.0.config, &file).expect("the configuration can be copied");
        edit(&file, |text| {
            text.replace("first-run", name).replace("rounds = 1\n", &format!("rounds = {rounds}\n"))
        });
        file.display().to_string()
    }

    /// Starts a run of this name; returns its id.
    pub(crate) fn start(&self, name: &str, rounds: u32) -> String {
        let config = self.config(name, rounds);
        self.order(&["start", "--config", &config])
    }

    /// What the program prints with these words.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        let done = run("coordinator", &[&["--dir", &self.0.folder()][..], words].concat());
        let complaint = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words:?}: {complaint}\n{}", self.0.logs());
        String::from_utf8(done.stdout).expect("what is printed is text").trim().to_owned()
    }

    /// Does something with runs, however that ends.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        run("coordinator", &[&["--dir", &self.0.folder(), "run"][..], words].concat())
    }

    /// Does something with a run; returns what was printed.
    pub(crate) fn order(&self, words: &[&str]) -> String {
        self.ask(&[&["run"], words].concat())
    }

    pub(crate) fn refused(&self, words: &[&str]) -> String {
        complaint(&self.run(words))
    }

    pub(crate) fn view(&self, id: &str) -> RunView {
        self.0.runs().into_iter().find(|run| run.run == id).expect("it is listed")
    }

    pub(crate) fn until(&self, id: &str, so: impl Fn(&RunView) -> bool) {
        self.0.until(|| so(&self.view(id)));
    }

    /// Starts a run of one node or two, whose rounds take a while, by so many passes; returns its id.
    pub(crate) fn start_small(&self, name: &str, rounds: u32, passes: u32) -> String {
        let config = self.config(name, rounds);
        edit(config.as_ref(), |text| {
            let text = text
                .replace("minimum = 2", "minimum = 1")
                .replace("selection_ms = 60_000", "selection_ms = 300");
            text.replace("epochs = 1\n", &format!("epochs = {passes}\n"))
        });
        self.order(&["start", "--config", &config])
    }

    /// A node as it is listed, a moment after the coordinator has begun.
    pub(crate) fn node(&self, name: &str) -> NodeView {
        let mut found = None;
        self.0.until(|| {
            let listed = self.ask(&["node", "list", "--format", "jsonl"]);
            let mut nodes =
                listed.lines().map(|line| serde_json::from_str::<NodeView>(line).expect("it is a node"));
            found = nodes.find(|node| node.name == name);
            found.is_some()
        });
        found.expect("it is listed")
    }

    /// The nodes that were selected for this round. What is asked of a round that is not done waits for it.
    pub(crate) fn selected(&self, run: &str, round: u32) -> Vec<String> {
        self.until(run, |run| run.rounds_done >= round);
        let text = self.order(&["explain", run, &round.to_string(), "--format", "json"]);
        let explained: ExplainedRound = serde_json::from_str(&text).expect("it is a round");
        let attempt = explained.attempts.last().expect("it was tried");
        let all = attempt.cohort.values().all(|node| node.outcome == ParticipationOutcome::Reported);
        assert!(all, "each update counts: {:?}", attempt.cohort);
        attempt.cohort.keys().cloned().collect()
    }
}
