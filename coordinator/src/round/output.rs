//! What a run tells the driver to do, in this order.

use common::id::{EpochId, ModelHash, NodeId, RoundId, RunId};
use common::units::Timestamp;

use super::{Abort, PhaseName, Rejection, RoundRecord};

/// Something to be done, or to be shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A phase began. To be shown; the driver wakes at [`Run::next_deadline`](super::Run::next_deadline).
    PhaseBegan {
        /// Which one.
        phase: PhaseName,
        /// When it ends at the latest.
        deadline: Timestamp,
    },
    /// Empty the strategy's sum, then ask this cohort to train.
    Announce(Announce),
    /// This node's update is in the sum.
    Folded(NodeId),
    /// An update was refused.
    Rejected(Rejection),
    /// Finish the strategy's sum and store the model; answer with
    /// [`Input::Aggregated`](super::Input::Aggregated) or [`Input::StoreFailed`](super::Input::StoreFailed).
    Aggregate {
        /// Updates in the sum.
        updates: u32,
        /// Samples behind them.
        weight_total: u64,
    },
    /// Make this durable in one transaction; answer with [`Input::Committed`](super::Input::Committed)
    /// or [`Input::StoreFailed`](super::Input::StoreFailed).
    Commit {
        /// The record of the round, with the hash of its model.
        record: Box<RoundRecord>,
        /// Every epoch before this one is reserved by the same transaction.
        epochs_end: EpochId,
    },
    /// The model is durable: it may leave the coordinator.
    Publish {
        /// The round that made it.
        round: RoundId,
        /// Its hash.
        model: ModelHash,
    },
    /// A round ended without a model; its record may be kept. Nothing of it is in any model.
    RoundAborted(Box<RoundRecord>),
    /// All rounds are done.
    RunFinished {
        /// The run's result.
        model: ModelHash,
    },
    /// A round failed as often as the plan allows; the run is over.
    RunFailed(RunFailure),
    /// Our own disk failed or hangs: stop serving this run. Whether the last commit is durable is
    /// known only when the state is read again, so the run is neither failed nor finished.
    Halted(Halt),
}

/// What the nodes are to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Of which run.
    pub run: RunId,
    /// Which round.
    pub round: RoundId,
    /// Under which keys; never announced before.
    pub epoch: EpochId,
    /// From which model to train.
    pub model: ModelHash,
    /// Who is to train, in the order of their ids.
    pub cohort: Vec<NodeId>,
    /// Updates of this epoch and later ones are taken: who still trains for one goes on.
    pub taken_from: EpochId,
    /// Updates after this moment are late.
    pub deadline: Timestamp,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("round {round} failed {attempts} times; the last time {last}")]
pub struct RunFailure {
    /// The round that could not be done.
    pub round: RoundId,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt ended.
    pub last: Abort,
}

/// Why the coordinator cannot go on with a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("round {round}, {phase}: {cause}; restart to go on from what the disk holds")]
pub struct Halt {
    /// In which round.
    pub round: RoundId,
    /// In which phase: aggregation or committing.
    pub phase: PhaseName,
    /// What happened.
    pub cause: HaltCause,
}

/// What stopped a commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltCause {
    /// The store reported an error.
    #[error("{0}")]
    StoreFailed(String),
    /// The store did not answer in time.
    #[error("the disk did not take the model before the deadline")]
    Deadline,
}
