//! Aggregation: the strategy makes the new model of the updates that are in.
//!
//! The phase after `Reporting`. The cohort is closed: what still comes is late.

use common::units::{Millis, Timestamp};

use super::committing::Committing;
use crate::round::{Checkpoint, Cohort, HaltCause};

/// Where the round goes after an input.
#[derive(Debug, PartialEq)]
pub enum Transition {
    /// Same phase; nothing more to do until the next input.
    Stay(Aggregation),
    /// The coordinator cannot go on.
    Halt(HaltCause),
}

/// Waits for the strategy.
#[derive(Debug, PartialEq)]
pub struct Aggregation {
    pub(in crate::round) cohort: Cohort,
    pub(in crate::round) carried: Cohort,
    pub(in crate::round) deadline: Timestamp,
}

impl Aggregation {
    /// Begins with a closed cohort, and those of it that train on for a later round. `committing` bounds this phase
    /// and the next together.
    pub fn begin(cohort: Cohort, carried: Cohort, committing: Millis, now: Timestamp) -> Self {
        Self { cohort, carried, deadline: now + committing }
    }

    /// The model is made and stored.
    pub fn on_aggregated(self, made: Checkpoint) -> (Committing, Cohort) {
        (Committing { made, carried: self.carried, deadline: self.deadline }, self.cohort)
    }

    /// Looks at the time.
    pub fn settle(self, now: Timestamp) -> Transition {
        if now < self.deadline { Transition::Stay(self) } else { Transition::Halt(HaltCause::Deadline) }
    }
}
