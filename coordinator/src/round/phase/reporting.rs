//! Reporting: wait for one update from each selected node, until the cohort is closed or the deadline passes.
//!
//! The phase after `Configuration`. Follows "Reporting" in Bonawitz et al. 2019, section 2.2.

use common::units::Timestamp;

use super::configuration::Configuration;
use crate::round::{Abort, Cohort, PhaseName};

/// Where the round goes after an input.
#[derive(Debug, PartialEq)]
pub enum Transition {
    /// Same phase; nothing more to do until the next input.
    Stay(Reporting),
    /// Enough updates are in the sum.
    Aggregate(Cohort),
    /// Too few updates are in, or can still come.
    Abort(Abort, Cohort),
}

/// Waits for updates.
#[derive(Debug, PartialEq)]
pub struct Reporting {
    pub(in crate::round) cohort: Cohort,
    announced: Timestamp,
    pub(in crate::round) deadline: Timestamp,
}

impl Reporting {
    /// Goes on from the configuration, whose updates stay counted.
    pub fn begin(configuration: Configuration) -> Self {
        let Configuration { cohort, began, reporting_deadline, .. } = configuration;
        Self { cohort, announced: began, deadline: reporting_deadline }
    }

    /// Looks at whose update is in.
    pub fn settle(mut self, now: Timestamp) -> Transition {
        self.cohort.on_time(now);
        let cohort = &self.cohort;
        if let Some(abort) = cohort.out_of_reach(PhaseName::Reporting) {
            return Transition::Abort(abort, self.cohort);
        }
        if cohort.is_closed() {
            return Transition::Aggregate(self.cohort);
        }
        if now < self.deadline {
            return Transition::Stay(self);
        }
        let reported = cohort.reported();
        if reported >= cohort.minimum {
            return Transition::Aggregate(self.cohort);
        }
        let abort = Abort::TooFewUpdates {
            reported,
            minimum: cohort.minimum,
            cohort: cohort.size(),
            waited: now.since(self.announced),
        };
        Transition::Abort(abort, self.cohort)
    }
}
