//! Worlds of faults: none breaks a promise, and bugs put in on purpose are found.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use harness::seeds::{Found, explore, prove};
use harness::world::Bug;

/// Worlds; `cargo sim -- --seeds N` tries more.
const WORLDS: u64 = 2_000;

/// Worlds in which a bug is found at the latest.
const WORLDS_WITH_A_BUG: u64 = 400;

/// Worlds that are tried to make a found one smaller; few, since who meets one has `cargo sim`.
const SHRINKS: u32 = 10;

/// The first world of these that breaks a promise.
fn first_broken(worlds: u64, bug: Option<Bug>) -> Option<Box<Found>> {
    let next = AtomicU64::new(0);
    let look = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= worlds {
                return None;
            }
            if let Err(found) = explore(seed, bug, SHRINKS) {
                next.store(worlds, Ordering::Relaxed);
                return Some(found);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        running.into_iter().filter_map(|thread| thread.join().expect("no thread panics")).collect()
    });
    found.into_iter().min_by_key(|found| found.seed)
}

#[test]
fn no_world_of_faults_breaks_a_promise() {
    if let Some(found) = first_broken(WORLDS, None) {
        panic!("{found}");
    }
}

/// A bug is found, by one of these words, and what is printed of it shows it again, and nothing without it.
fn assert_found(bug: Bug, words: &[&str]) {
    let found = first_broken(WORLDS_WITH_A_BUG, Some(bug));
    let found = found.unwrap_or_else(|| panic!("{bug:?} was not found in {WORLDS_WITH_A_BUG} worlds"));
    assert!(words.iter().any(|word| found.why.contains(word)), "{found}");
    assert_eq!(prove(found.scene, &found.ops, Some(bug)).expect_err("it is shown again"), found.why);
    prove(found.scene, &found.ops, None).expect("nothing is wrong without it");
}

#[test]
fn a_model_that_is_published_before_it_is_committed_is_found() {
    assert_found(Bug::PublishBeforeCommit, &["two models", "not on the disk", "another model"]);
}

#[test]
fn a_store_that_makes_nothing_durable_is_found() {
    assert_found(
        Bug::NoSync,
        &["does not begin", "missing", "Halted", "not on the disk", "stored as number"],
    );
}

#[test]
fn a_coordinator_that_uses_epochs_again_is_found() {
    assert_found(Bug::ReusedEpochs, &["ended with", "no end", "trained twice"]);
}
