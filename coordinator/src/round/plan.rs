//! How large, how long, how often: what bounds every round of a run.

use common::id::EpochId;
use common::limits::COHORT_MAX;
use common::units::Millis;

/// Epoch numbers that one commit reserves, so that an announcement never waits for the disk. Numbers
/// cost nothing: more than any process announces between two commits, and enough for 2³² restarts.
pub const EPOCHS_AHEAD: u64 = 1 << 32;

/// Attempts at one round.
const ATTEMPTS_MAX: u32 = 64;

/// Rounds after its own in which an update may count.
const STALENESS_MAX: u32 = 64;

/// Bounds of every round of a run. One that exists can be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundPlan {
    pub(super) cohort: CohortSize,
    pub(super) deadlines: Deadlines,
    pub(super) rounds: u32,
    pub(super) attempts: u32,
    pub(super) seed: u64,
    /// Nodes that the run selects from, whether they are there or not.
    pub(super) candidates: u32,
}

/// How many nodes a round wants and needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CohortSize {
    /// Without this many nodes, models and updates a phase fails.
    pub minimum: u32,
    /// With this many a phase is done.
    pub goal: u32,
    /// Nodes selected for each update wanted, at least 1: a few may fail without holding up the round.
    pub over_selection: f64,
    /// Whether stragglers are waited for.
    pub close: Close,
    /// Rounds after its own in which an update still counts: 0 for rounds apart from each other; more for buffered
    /// asynchronous aggregation (FedBuff, Nguyen et al. 2022), where the goal is the buffer's size.
    pub staleness_max: u32,
}

/// When a round that has its goal closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// At once: who comes later is too late.
    #[default]
    AtGoal,
    /// When every selected node has reported or is lost, or at the deadline.
    AtDeadline,
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the start of a round until enough nodes are there.
    pub selection: Millis,
    /// From the announcement until the cohort has the model.
    pub configuration: Millis,
    /// After `configuration`, until the updates are in. What a fast configuration leaves is added:
    /// the nodes were told the sum.
    pub reporting: Millis,
    /// For computing and storing the new model.
    pub committing: Millis,
    /// How long a selected node may be away before the round stops counting on it.
    pub rejoin: Millis,
}

/// The next epoch to announce, and the first one not reserved on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedEpochs {
    /// Never announced so far.
    pub next: EpochId,
    /// Reserved are all before this one.
    pub end: EpochId,
}

/// A plan that no round could follow.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A cohort of nobody, or a goal under the minimum.
    #[error("a cohort of at least {minimum} with a goal of {goal}: it must be 1 ≤ minimum ≤ goal")]
    Cohort {
        /// As given.
        minimum: u32,
        /// As given.
        goal: u32,
    },
    /// A factor that is not one, or selects more nodes than a cohort may have.
    #[error("over-selection of {over_selection} x {goal} nodes: at least 1, and at most {COHORT_MAX} nodes")]
    OverSelection {
        /// As given.
        over_selection: f64,
        /// As given.
        goal: u32,
    },
    /// A number that must not be zero.
    #[error("`{0}` must not be 0")]
    Zero(&'static str),
    /// More attempts than make sense.
    #[error("{0} attempts at one round: at most {ATTEMPTS_MAX}")]
    Attempts(u32),
    /// Keys are kept for each round of which updates may still come.
    #[error("updates that are {0} rounds old: at most {STALENESS_MAX}")]
    Staleness(u32),
    /// A round that waits for its stragglers leaves none to the next.
    #[error("a round that is closed at its deadline has no updates for a later one: close it at the goal")]
    NothingStale,
}

impl RoundPlan {
    /// A plan of `rounds` rounds, each tried up to `attempts` times.
    ///
    /// # Errors
    ///
    /// [`PlanError`] names the bound that no round could keep.
    pub fn new(
        cohort: CohortSize,
        deadlines: Deadlines,
        rounds: u32,
        attempts: u32,
        seed: u64,
    ) -> Result<Self, PlanError> {
        let CohortSize { minimum, goal, over_selection, close, staleness_max } = cohort;
        if minimum == 0 || minimum > goal {
            return Err(PlanError::Cohort { minimum, goal });
        }
        let selected = (f64::from(goal) * over_selection).ceil();
        // Written so that NaN is refused.
        if !(over_selection >= 1.0 && selected <= COHORT_MAX as f64) {
            return Err(PlanError::OverSelection { over_selection, goal });
        }
        let not_zero = [
            ("selection", deadlines.selection.0),
            ("configuration", deadlines.configuration.0),
            ("reporting", deadlines.reporting.0),
            ("committing", deadlines.committing.0),
            ("attempts", u64::from(attempts)),
        ];
        if let Some((name, _)) = not_zero.iter().find(|(_, value)| *value == 0) {
            return Err(PlanError::Zero(name));
        }
        if attempts > ATTEMPTS_MAX {
            return Err(PlanError::Attempts(attempts));
        }
        if staleness_max > STALENESS_MAX {
            return Err(PlanError::Staleness(staleness_max));
        }
        if staleness_max > 0 && close == Close::AtDeadline {
            return Err(PlanError::NothingStale);
        }
        Ok(Self { cohort, deadlines, rounds, attempts, seed, candidates: 0 })
    }

    /// The same for a run that selects from so many nodes, whether they are there or not.
    #[must_use]
    pub fn among(self, candidates: u32) -> Self {
        Self { candidates, ..self }
    }

    /// Rounds in the run.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Adds rounds.
    pub(super) fn extend(&mut self, more: u32) {
        self.rounds = self.rounds.saturating_add(more);
    }

    /// Nodes selected for a round, when there are enough.
    pub fn nodes_wanted(&self) -> usize {
        self.cohort.wanted()
    }

    /// The longest that one attempt at a round takes, when the driver is punctual.
    pub fn attempt_max(&self) -> Millis {
        let Deadlines { selection, configuration, reporting, committing, .. } = self.deadlines;
        let parts = [selection, configuration, reporting, committing];
        Millis(parts.iter().fold(0, |sum, part| part.0.saturating_add(sum)))
    }
}

impl CohortSize {
    /// How many nodes to select when there are enough.
    pub fn wanted(&self) -> usize {
        ((f64::from(self.goal) * self.over_selection).ceil() as usize).min(COHORT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        selection: Millis(1),
        configuration: Millis(2),
        reporting: Millis(3),
        committing: Millis(4),
        rejoin: Millis(0),
    };

    fn plan(minimum: u32, goal: u32, over_selection: f64, attempts: u32) -> Result<RoundPlan, PlanError> {
        let size = CohortSize { minimum, goal, over_selection, close: Close::AtGoal, staleness_max: 0 };
        RoundPlan::new(size, DEADLINES, 1, attempts, 0)
    }

    #[test]
    fn a_plan_that_no_round_could_follow_is_refused() {
        assert_eq!(plan(0, 1, 1.0, 1), Err(PlanError::Cohort { minimum: 0, goal: 1 }));
        assert_eq!(plan(3, 2, 1.0, 1), Err(PlanError::Cohort { minimum: 3, goal: 2 }));
        assert!(matches!(plan(1, 2, 0.9, 1), Err(PlanError::OverSelection { .. })));
        assert!(matches!(plan(1, 2, f64::NAN, 1), Err(PlanError::OverSelection { .. })));
        assert!(matches!(plan(1, 4096, 1.1, 1), Err(PlanError::OverSelection { .. })));
        assert_eq!(plan(1, 2, 1.0, 0), Err(PlanError::Zero("attempts")));
        assert_eq!(plan(1, 2, 1.0, 65), Err(PlanError::Attempts(65)));
    }

    #[test]
    fn over_selection_rounds_up() {
        assert_eq!(plan(1, 5, 1.3, 1).unwrap().cohort.wanted(), 7);
        assert_eq!(plan(1, 5, 1.0, 1).unwrap().attempt_max(), Millis(10));
    }
}
