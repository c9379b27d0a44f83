//! Real programs on hosts of their own, in network namespaces: what a run survives.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]
#![expect(
    clippy::print_stdout,
    reason = "a test that is watched says what happened, and an intruder what it did"
)]

mod faults;
mod fleet;
mod intruder;
mod network;
mod parts;
mod runs;
mod sites;
mod wrong;
