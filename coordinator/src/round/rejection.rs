//! What a peer got wrong. It costs that peer its slot at most, never the round.

use common::id::{EpochId, NodeId};
use common::wire::WireError;

use crate::strategy::UpdateFault;

/// An update that is not in the sum, and whose it was.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("update of node {node:?}: {fault}")]
pub struct Rejection {
    /// Who sent it.
    pub node: NodeId,
    /// What was wrong.
    pub fault: Fault,
}

/// What was wrong with an update.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The sender is not in the cohort of this round.
    #[error("the node was not selected for this round")]
    NotSelected,
    /// The sender's update is in the sum already.
    #[error("the node has already reported in this round")]
    Duplicate,
    /// The sender declined, or its first update was refused.
    #[error("the node lost its slot in this round")]
    SlotLost,
    /// The round it was meant for is over.
    #[error("it came too late for epoch {0}")]
    Late(EpochId),
    /// It is for an epoch that was never announced.
    #[error("it is for epoch {found}, but the newest announced is {announced}")]
    WrongEpoch {
        /// The newest one announced, or about to be.
        announced: EpochId,
        /// The update's.
        found: EpochId,
    },
    /// Its head cannot be read.
    #[error("it cannot be read: {0}")]
    Malformed(WireError),
    /// Its loss is infinite or not a number.
    #[error("its training loss is {0}")]
    NonFiniteLoss(f32),
    /// Its weight or values cannot be averaged.
    #[error(transparent)]
    Values(UpdateFault),
}

impl Fault {
    /// Whether the sender loses its slot: the update was this round's, and wrong in itself.
    pub fn costs_the_slot(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::NonFiniteLoss(_) | Self::Values(_))
    }
}
