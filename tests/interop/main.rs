//! Another vendor's DDS in the same domain: Cyclone DDS, from Python, with the types of the project's IDL files.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

mod blob;
mod watch;

use harness::others::Need;

/// Cyclone DDS comes with its Python package.
const CYCLONE: Need = Need::Python("cyclonedds", "cyclonedds");

/// A domain that no other test of this run joins: five for each test, so that two runs rarely meet.
fn domain(test: u16) -> u16 {
    86 + test * 5 + (std::process::id() % 5) as u16
}
