//! The coordinator, killed (SIGKILL) at every fault point of a run, one after the other, and started again.

use std::fs;

use common::units::Timestamp;
use coordinator::view::{RunStatus, RunView};
use harness::programs::{Daemon, edit};

use crate::fleet::Fleet;

/// Rounds of each run.
const ROUNDS: u32 = 4;

/// What a run must have to be worth killing.
const POINTS_MIN: u64 = 30;

/// A server that remembers, so that there is more to lose than a model.
const STRATEGY: &str = "\n[strategy]\nserver = { kind = \"adam\", learning_rate = 0.01, beta_1 = 0.9, beta_2 = 0.99, tau = 1e-3 }\n\n[task]";

/// The same run, again and again, each time in a folder without state: what is counted are the points of that run.
struct Tries {
    fleet: Fleet,
}

impl Tries {
    /// The run of this try, if it is there.
    fn run(&self) -> Option<RunView> {
        self.fleet.runs().pop()
    }

    /// Removes the run of the try before.
    fn forget(&self) {
        for name in ["state.redb", "models", "moments"] {
            let path = self.fleet.at("coordinator").join(name);
            // What was never made need not be removed.
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
        assert!(self.run().is_none());
    }

    fn start(&self) -> Daemon {
        let (folder, config) = (self.fleet.folder(), self.fleet.config.display().to_string());
        let start = ["--dir", &folder, "run", "start", "--config", &config];
        Daemon::start("coordinator", &start, &self.fleet.at("start.log"))
    }

    /// The run of this try when it is over.
    fn end(&self) -> RunView {
        let is_running = || self.run().is_some_and(|run| run.status == RunStatus::Running);
        if is_running() {
            self.fleet.until(|| self.is_said_to_be_over() && !is_running());
        }
        self.run().expect("it was started")
    }

    fn is_said_to_be_over(&self) -> bool {
        let said = self.fleet.said();
        said.contains("the run is finished") || said.contains("the run failed")
    }

    /// A run that nothing happens to: how it ended, and how many fault points it has.
    fn undisturbed(&self) -> (RunView, u64) {
        let coordinator = self.fleet.serve(&[]);
        let _starting = self.start();
        self.fleet.until(|| self.run().is_some());
        let run = self.end();
        assert!(coordinator.stop(), "{}", self.fleet.logs());
        let said = self.fleet.said();
        let points = said.rsplit_once("fault_points=").expect("it counts them").1;
        (run, points.trim().parse().expect("a number"))
    }

    /// A run whose coordinator stands still at a fault point, is killed there and started again: how it ended, and at
    /// what moment it was killed and started again.
    fn killed_at(&self, point: u64) -> (RunView, String, Timestamp) {
        self.forget();
        let coordinator = self.fleet.serve(&["--halt-at", &point.to_string()]);
        let starting = self.start();
        let said = || self.fleet.said();
        let halted = || said().lines().find(|line| line.contains("halted at fault point")).map(str::to_owned);
        self.fleet.until(|| halted().is_some());
        let halted = halted().expect("it was said");
        drop((coordinator, starting));

        let began = edge::now();
        let _coordinator = self.fleet.serve(&[]);
        // Whoever asked for the run may have got no answer.
        let _starting = self.run().is_none().then(|| self.start());
        self.fleet.until(|| self.run().is_some());
        (self.end(), halted, began)
    }
}

#[test]
fn a_coordinator_that_is_killed_at_any_point_ends_its_run_in_the_same_model_and_counts_no_update_twice() {
    let Some(fleet) = Fleet::new(2, ROUNDS) else { return };
    edit(&fleet.config, |text| text.replace("\n[task]", STRATEGY));
    let tries = Tries { fleet };
    let (undisturbed, points) = tries.undisturbed();
    assert!(points >= POINTS_MIN, "{points} fault points");
    let mut resumed = Vec::new();
    for point in 1..=points {
        let (run, halted, began) = tries.killed_at(point);
        let end = (run.status, &run.model);
        assert_eq!(
            end,
            (RunStatus::Finished, &undisturbed.model),
            "{halted}: {run:#?}\n{}",
            tries.fleet.logs()
        );
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
