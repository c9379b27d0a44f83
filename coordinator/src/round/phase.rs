//! The phases of a round, each in its own file. A phase owns what it needs and is consumed on leaving it.

pub mod aggregation;
pub mod committing;
pub mod configuration;
pub mod reporting;
pub mod selection;

use common::units::Timestamp;

use super::{Cohort, PhaseName};
use aggregation::Aggregation;
use committing::Committing;
use configuration::Configuration;
use reporting::Reporting;
use selection::Selection;

/// The phase a round is in.
#[derive(Debug)]
pub(super) enum Phase {
    Selection(Selection),
    Configuration(Configuration),
    Reporting(Reporting),
    Aggregation(Aggregation),
    Committing(Committing),
}

impl Phase {
    pub(super) fn name(&self) -> PhaseName {
        match self {
            Self::Selection(_) => PhaseName::Selection,
            Self::Configuration(_) => PhaseName::Configuration,
            Self::Reporting(_) => PhaseName::Reporting,
            Self::Aggregation(_) => PhaseName::Aggregation,
            Self::Committing(_) => PhaseName::Committing,
        }
    }

    pub(super) fn deadline(&self) -> Timestamp {
        match self {
            Self::Selection(phase) => phase.deadline,
            Self::Configuration(phase) => phase.deadline,
            Self::Reporting(phase) => phase.deadline,
            Self::Aggregation(phase) => phase.deadline,
            Self::Committing(phase) => phase.deadline,
        }
    }

    pub(super) fn cohort(&self) -> Option<&Cohort> {
        match self {
            Self::Selection(_) | Self::Committing(_) => None,
            Self::Configuration(phase) => Some(&phase.cohort),
            Self::Reporting(phase) => Some(&phase.cohort),
            Self::Aggregation(phase) => Some(&phase.cohort),
        }
    }

    /// The cohort while its nodes can still change the round.
    pub(super) fn open_cohort(&mut self) -> Option<&mut Cohort> {
        self.is_open().then(|| self.waits_for_mut())
    }

    /// Whether updates are taken.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Configuration(_) | Self::Reporting(_))
    }

    /// The nodes that may still report, in this round or in a later one.
    pub(super) fn waits_for(&self) -> &Cohort {
        match self {
            Self::Configuration(phase) => &phase.cohort,
            Self::Reporting(phase) => &phase.cohort,
            Self::Selection(phase) => &phase.carried,
            Self::Aggregation(phase) => &phase.carried,
            Self::Committing(phase) => &phase.carried,
        }
    }

    /// The same, to be changed.
    pub(super) fn waits_for_mut(&mut self) -> &mut Cohort {
        match self {
            Self::Configuration(phase) => &mut phase.cohort,
            Self::Reporting(phase) => &mut phase.cohort,
            Self::Selection(phase) => &mut phase.carried,
            Self::Aggregation(phase) => &mut phase.carried,
            Self::Committing(phase) => &mut phase.carried,
        }
    }

    /// When the phase has something to do without an input.
    pub(super) fn next_deadline(&self) -> Timestamp {
        let earlier = match self {
            Self::Selection(phase) => phase.pause_end,
            Self::Configuration(phase) => phase.cohort.next_deadline(),
            Self::Reporting(phase) => phase.cohort.next_deadline(),
            Self::Aggregation(_) | Self::Committing(_) => None,
        };
        earlier.map_or(self.deadline(), |earlier| earlier.min(self.deadline()))
    }
}
