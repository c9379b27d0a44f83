//! The coordinator, killed (SIGKILL) at every fault point of a run, one after the other, and started again.

use std::fs;
use std::path::PathBuf;

use common::units::Timestamp;
use coordinator::view::{RunStatus, RunView};
use harness::programs::{Daemon, are_built, edit, fleet, run, run_config, wait_until};

use crate::{METRICS, domain, value};

/// Rounds of each run.
const ROUNDS: u32 = 4;

/// What a run must have to be worth killing.
const POINTS_MIN: u64 = 30;

/// A server that remembers, so that there is more to lose than a model.
const STRATEGY: &str = "\n[strategy]\nserver = { kind = \"adam\", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.99, tau = 1e-3 }\n\n[task]";

/// Two nodes that stay, and the coordinator's folder.
struct Fleet {
    dir: tempfile::TempDir,
    config: String,
    /// Runs that are over.
    runs: usize,
    _nodes: [Daemon; 2],
}

impl Fleet {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        fleet(dir.path(), domain(2), &METRICS, value);
        let config = run_config(dir.path(), ROUNDS, &METRICS);
        edit(&config, |text| text.replace("\n[task]", STRATEGY));
        let node = |name: &str| {
            let folder = dir.path().join(name).display().to_string();
            Daemon::start("node", &["--dir", &folder, "run"], &dir.path().join(format!("{name}.log")))
        };
        let nodes = ["node-1", "node-2"].map(node);
        Self { config: config.display().to_string(), dir, runs: 0, _nodes: nodes }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("coordinator.log")
    }

    fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// What all of them said, for who has to find out.
    fn logs(&self) -> String {
        let log = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        ["coordinator.log", "node-1.log", "node-2.log"].map(log).join("\n")
    }

    fn folder(&self) -> String {
        self.dir.path().join("coordinator").display().to_string()
    }

    fn serve(&self) -> Daemon {
        self.serve_more(&[])
    }

    fn serve_more(&self, more: &[&str]) -> Daemon {
        Daemon::start("coordinator", &[&["--dir", &self.folder(), "serve"][..], more].concat(), &self.log())
    }

    /// Waits until the coordinator can be asked.
    fn until_serving(&self) {
        wait_until(|| self.said().contains(" serving"), || self.logs());
    }

    /// The run of this try, if it is there.
    fn run(&self) -> Option<RunView> {
        let listed = run("coordinator", &["--dir", &self.folder(), "run", "list", "--format", "json"]);
        let lines = String::from_utf8(listed.stdout).expect("JSON is text");
        let line = lines.lines().nth(self.runs)?;
        Some(serde_json::from_str(line).expect("a run is a line of JSON"))
    }

    fn start(&self) -> Daemon {
        let start = ["--dir", &self.folder(), "run", "start", "--config", &self.config];
        Daemon::start("coordinator", &start, &self.dir.path().join("start.log"))
    }

    /// The run of this try when it is over.
    fn end(&mut self) -> RunView {
        let is_running = || self.run().is_some_and(|run| run.status == RunStatus::Running);
        if is_running() {
            let is_over =
                |said: &str| said.contains("the run is finished") || said.contains("the run failed");
            wait_until(|| is_over(&self.said()) && !is_running(), || self.logs());
        }
        let run = self.run().expect("it was started");
        self.runs += 1;
        run
    }

    /// A run that nothing happens to: how it ended, and how many fault points it has.
    fn undisturbed(&mut self) -> (RunView, u64) {
        let coordinator = self.serve();
        self.until_serving();
        let _starting = self.start();
        wait_until(|| self.run().is_some(), || self.logs());
        let run = self.end();
        assert!(coordinator.stop(), "{}", self.logs());
        let said = self.said();
        let points = said.rsplit_once("fault_points=").expect("it counts them").1;
        (run, points.trim().parse().expect("a number"))
    }

    /// A run whose coordinator stands still at a fault point, is killed there and started again: how it ended, and at
    /// what moment it was killed and started again.
    fn killed_at(&mut self, point: u64) -> (RunView, String, Timestamp) {
        let coordinator = self.serve_more(&["--halt-at", &point.to_string()]);
        self.until_serving();
        let starting = self.start();
        let halted =
            || self.said().lines().find(|line| line.contains("halted at fault point")).map(str::to_owned);
        wait_until(|| halted().is_some(), || self.logs());
        let halted = halted().expect("it was said");
        drop((coordinator, starting));

        let began = edge::now();
        let _coordinator = self.serve();
        self.until_serving();
        // Whoever asked for the run may have got no answer.
        let _starting = self.run().is_none().then(|| self.start());
        wait_until(|| self.run().is_some(), || self.logs());
        (self.end(), halted, began)
    }
}

#[test]
fn a_coordinator_that_is_killed_at_any_point_ends_its_run_in_the_same_model_and_counts_no_update_twice() {
    if !are_built() {
        return;
    }
    let mut fleet = Fleet::new();
    let (undisturbed, points) = fleet.undisturbed();
    assert!(points >= POINTS_MIN, "{points} fault points");
    let mut resumed = Vec::new();
    for point in 1..=points {
        let (run, halted, began) = fleet.killed_at(point);
        let end = (run.status, &run.model);
        assert_eq!(end, (RunStatus::Finished, &undisturbed.model), "{halted}: {run:#?}\n{}", fleet.logs());
        let rounds: Vec<(u32, u32)> = run.history.iter().map(|round| (round.round, round.updates)).collect();
        assert_eq!(rounds, (1..=ROUNDS).map(|round| (round, 2)).collect::<Vec<_>>(), "{halted}");
        let announced = run.history.iter().map(|round| round.announced_ms - began.0 as f64 / 1000.0);
        resumed.extend(announced.filter(|after| *after > 0.0).map(|after| after as u64).next());
    }
    resumed.sort_unstable();
    println!(
        "killed at {points} points; the next round was announced so many ms after the start: {resumed:?}"
    );
}
