//! What goes wrong in the middle of a run, and that the run goes on.

use coordinator::view::RunView;

use crate::fleet::{Fleet, Run};

/// Enough rounds that something may go wrong and be well again before the last.
const RUN: Run = Run { rounds: 60, parameters: 100_000, minimum: 3 };

const NODES: usize = 4;

/// The node that something happens to.
const UNLUCKY: usize = 2;

/// Updates in the newest round.
fn newest(run: &RunView) -> u32 {
    run.history.last().map_or(0, |round| round.updates)
}

/// One node is lost in the middle of a run and comes back: the others go on, and then it takes part again.
fn the_run_survives(lose: impl FnOnce(&mut Fleet), come_back: impl FnOnce(&mut Fleet)) {
    let Some(mut fleet) = Fleet::running(NODES, false) else { return };
    fleet.go_slowly(true);
    fleet.start_run(&RUN);
    fleet.until("rounds with all nodes", |run| run.rounds_done >= 2 && newest(run) == 4);
    lose(&mut fleet);
    let without = fleet.until("a round without the lost node", |run| newest(run) == 3).rounds_done;
    fleet.until("two more of them", |run| run.rounds_done >= without + 2);
    come_back(&mut fleet);
    fleet.until("a round with the node that came back", |run| newest(run) == 4);
    fleet.go_slowly(false);
    fleet.ends_with_its_model_everywhere(&RUN);
}

#[test]
fn a_run_survives_a_link_that_is_cut_for_a_while() {
    the_run_survives(
        |fleet| fleet.network.cut(UNLUCKY).unwrap(),
        |fleet| fleet.network.restore(UNLUCKY).unwrap(),
    );
}

#[test]
fn a_run_survives_a_node_that_is_stopped_for_a_while() {
    the_run_survives(|fleet| fleet.signal(UNLUCKY, "STOP"), |fleet| fleet.signal(UNLUCKY, "CONT"));
}

#[test]
fn a_run_survives_a_node_that_is_killed_and_started_again() {
    the_run_survives(|fleet| fleet.kill_node(UNLUCKY), |fleet| fleet.start_node(UNLUCKY));
}

#[test]
fn a_run_survives_a_coordinator_that_is_killed_and_started_again() {
    let Some(mut fleet) = Fleet::running(NODES, false) else { return };
    fleet.go_slowly(true);
    fleet.start_run(&RUN);
    let before = fleet.until("rounds", |run| run.rounds_done >= 2).rounds_done;
    fleet.kill_coordinator();
    fleet.start_coordinator();
    fleet.until("more rounds with all nodes", |run| run.rounds_done >= before + 2 && newest(run) == 4);
    fleet.go_slowly(false);
    fleet.ends_with_its_model_everywhere(&RUN);
}

#[test]
fn a_node_that_stops_while_it_fetches_does_not_hold_up_the_others() {
    let run = Run { rounds: 6, parameters: 2_000_000, minimum: 2 };
    let Some(fleet) = Fleet::running(3, false) else { return };
    fleet.start_run(&run);
    let is_fetching = |run: &RunView| {
        let current = run.current.as_ref();
        current.and_then(|current| current.cohort.get("node-2")).is_some_and(|node| node.state == "fetching")
    };
    fleet.until("a node that fetches", |run| run.rounds_done >= 1 && is_fetching(run));
    fleet.signal(UNLUCKY, "STOP");
    fleet.until("a round of the others", |run| run.rounds_done >= 3 && newest(run) == 2);
    fleet.signal(UNLUCKY, "CONT");
    fleet.ends_with_its_model_everywhere(&run);
}
