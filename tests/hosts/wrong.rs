//! Packets with wrong content at a run that goes on.

use std::fs;

use harness::programs::wait_until;

use crate::fleet::{Fleet, Run};

/// How often the intruder sends all that it has.
const PASSES: usize = 10;

#[test]
fn rounds_close_with_the_right_model_while_an_intruder_talks() {
    let run = Run { rounds: 40, parameters: 100_000, minimum: 3 };
    let Some(mut fleet) = Fleet::running(3, false) else { return };
    fleet.go_slowly(true);
    fleet.start_run(&run);
    let log = fleet.start_intruder();
    let said = || fs::read_to_string(&log).unwrap();
    wait_until(|| said().matches("pass ").count() >= PASSES, || format!("{}\n{}", said(), fleet.logs()));
    let so_far = fleet.until("a round", |run| run.rounds_done >= 1).rounds_done;
    fleet.until("a round that the intruder saw", |run| run.rounds_done > so_far);
    fleet.go_slowly(false);
    fleet.ends_with_its_model_everywhere(&run);
    let passes = said().matches("pass ").count();
    assert!(!said().contains("pass 0: 0 frames"), "{}", said());
    println!("the intruder sent {passes} times: {}", said().lines().last().unwrap_or_default());
    fleet.end_others();
}
