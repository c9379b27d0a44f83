//! Worlds of faults: none breaks a promise, and bugs put in on purpose are found.

use harness::seeds::{explore_all, prove};
use harness::world::Bug;

/// Worlds; `cargo sim -- --seeds N` tries more.
const WORLDS: u64 = 2_000;

/// Worlds in which a bug is found at the latest.
const WORLDS_WITH_A_BUG: u64 = 400;

/// Worlds that are tried to make a found one smaller; few, since who meets one has `cargo sim`.
const SHRINKS: u32 = 10;

#[test]
fn no_world_of_faults_breaks_a_promise() {
    if let Err(found) = explore_all(0..WORLDS, None, SHRINKS, drop) {
        panic!("{found}");
    }
}

/// A bug is found, by one of these words, and what is printed of it shows it again, and nothing without it.
fn assert_found(bug: Bug, words: &[&str]) {
    let found = explore_all(0..WORLDS_WITH_A_BUG, Some(bug), SHRINKS, drop)
        .expect_err(&format!("{bug:?} is found in {WORLDS_WITH_A_BUG} worlds"));
    assert!(words.iter().any(|word| found.why.contains(word)), "{found}");
    assert_eq!(prove(found.scene, &found.ops, Some(bug)).expect_err("it is shown again"), found.why);
    prove(found.scene, &found.ops, None).expect("nothing is wrong without it");
}

#[test]
fn a_model_that_is_published_before_it_is_committed_is_found() {
    // "no end": its nodes show the coordinator what it signed, and it stops.
    let words = ["two models", "not on the disk", "another model", "no end"];
    assert_found(Bug::PublishBeforeCommit, &words);
}

#[test]
fn a_store_that_makes_nothing_durable_is_found() {
    assert_found(
        Bug::NoSync,
        // "no end": as above.
        &["does not begin", "missing", "Halted", "not on the disk", "stored as number", "no end"],
    );
}

#[test]
fn a_coordinator_that_uses_epochs_again_is_found() {
    assert_found(Bug::ReusedEpochs, &["ended with", "no end", "trained twice"]);
}
