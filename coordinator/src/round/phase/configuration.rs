//! Configuration: the cohort fetches the model.
//!
//! The phase after `Selection`. Follows "Configuration" in Bonawitz et al. 2019, section 2.2. A node
//! that is fast reports while others still fetch: its update is taken, and says that it has the model.

use common::units::Timestamp;

use crate::round::{Abort, Cohort, Deadlines, PhaseName};

/// Where the round goes after an input.
#[derive(Debug, PartialEq)]
pub enum Transition {
    /// Same phase; nothing more to do until the next input.
    Stay(Configuration),
    /// Enough nodes have the model.
    Report(Configuration),
    /// Too few nodes have the model, or are left.
    Abort(Abort, Cohort),
}

/// Waits for nodes to have the model.
#[derive(Debug, PartialEq)]
pub struct Configuration {
    pub(in crate::round) cohort: Cohort,
    pub(in crate::round) began: Timestamp,
    pub(in crate::round) deadline: Timestamp,
    /// When updates are late, as the nodes were told.
    pub(in crate::round) reporting_deadline: Timestamp,
}

impl Configuration {
    /// Begins with the announcement.
    pub fn begin(cohort: Cohort, deadlines: &Deadlines, now: Timestamp) -> Self {
        let deadline = now + deadlines.configuration;
        Self { cohort, began: now, deadline, reporting_deadline: deadline + deadlines.reporting }
    }

    /// Looks at who has the model.
    pub fn settle(mut self, now: Timestamp) -> Transition {
        self.cohort.on_time(now);
        let cohort = &self.cohort;
        if let Some(abort) = cohort.out_of_reach(PhaseName::Configuration) {
            return Transition::Abort(abort, self.cohort);
        }
        let received = cohort.with_model();
        let nobody_to_wait_for = cohort.open() + cohort.reported() == received;
        if received >= cohort.goal || nobody_to_wait_for {
            return Transition::Report(self);
        }
        if now < self.deadline {
            return Transition::Stay(self);
        }
        if received >= cohort.minimum {
            return Transition::Report(self);
        }
        let abort = Abort::TooFewModels {
            received,
            minimum: cohort.minimum,
            cohort: cohort.size(),
            waited: now.since(self.began),
        };
        Transition::Abort(abort, self.cohort)
    }
}
