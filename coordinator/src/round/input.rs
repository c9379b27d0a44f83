//! What the driver tells a run.

use common::id::{EpochId, NodeId};
use common::message::update::UpdateHead;
use common::wire::WireError;

use super::Checkpoint;

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
