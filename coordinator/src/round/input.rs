//! What the driver tells a run.

use common::id::{EpochId, NodeId};
use common::message::update::{self, UpdateHead};
use common::wire::WireError;

use super::Checkpoint;
use crate::strategy::Effort;

/// Something that came about. One that does not fit the phase changes nothing: presence is
/// repeated, and receipts of an earlier epoch come late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed; a deadline may have.
    Tick,
    /// A node is there and can take part. May be said again.
    NodeReady(NodeId),
    /// A node is there and goes on with the round that it is in, but is not to be selected. May be said again.
    NodeDrains(NodeId),
    /// A node was not heard for too long, or said goodbye.
    NodeGone(NodeId),
    /// A node has the whole model of this epoch.
    ModelReceived {
        /// Which node.
        node: NodeId,
        /// Of which epoch.
        epoch: EpochId,
    },
    /// A node cannot take part in this epoch; its own log says why.
    Declined {
        /// Which node.
        node: NodeId,
        /// Which epoch.
        epoch: EpochId,
    },
    /// The strategy's result is on disk.
    Aggregated(Checkpoint),
    /// The round's record is on disk.
    Committed,
    /// The model or the record could not be written.
    StoreFailed(String),
}

/// An opened and verified update, before its values are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Who signed it.
    pub node: NodeId,
    /// For which epoch it was sealed.
    pub epoch: EpochId,
    /// What it says of itself, or why that could not be read.
    pub head: Result<UpdateHead, WireError>,
}

impl Arrival {
    /// Reads the plaintext of an update: what arrived, and for the strategy its values and what they took. Of one that
    /// cannot be read these are nothing; the round refuses it by its head.
    pub fn read(node: NodeId, epoch: EpochId, plain: &[u8]) -> (Self, &[u8], Effort) {
        match update::decode(plain) {
            Ok((head, values)) => {
                let effort = Effort { weight: head.weight, steps: head.steps, staleness: 0 };
                (Self { node, epoch, head: Ok(head) }, values, effort)
            }
            Err(error) => {
                (Self { node, epoch, head: Err(error) }, &[], Effort { weight: 0, steps: 0, staleness: 0 })
            }
        }
    }
}
