//! Committing: the record of the round becomes durable; only then is its model published.
//!
//! The last phase. From here a round cannot abort: whether the disk has the record may be unknown,
//! so a store that fails or hangs halts the run, and the next start reads what the disk holds.

use common::units::Timestamp;

use crate::round::{Checkpoint, Cohort, HaltCause};

/// Where the round goes after an input.
#[derive(Debug, PartialEq)]
pub enum Transition {
    /// Same phase; nothing more to do until the next input.
    Stay(Committing),
    /// The coordinator cannot go on.
    Halt(HaltCause),
}

/// Waits for the disk.
#[derive(Debug, PartialEq)]
pub struct Committing {
    pub(in crate::round) made: Checkpoint,
    pub(in crate::round) carried: Cohort,
    pub(in crate::round) deadline: Timestamp,
}

impl Committing {
    /// The record is durable: its model may be published, and the next round begins with who trains on.
    pub fn on_committed(self) -> (Checkpoint, Cohort) {
        (self.made, self.carried)
    }

    /// Looks at the time.
    pub fn settle(self, now: Timestamp) -> Transition {
        if now < self.deadline { Transition::Stay(self) } else { Transition::Halt(HaltCause::Deadline) }
    }
}
