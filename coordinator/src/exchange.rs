//! One epoch's exchange with the cohort: keys, the model down, the updates up.

mod downlink;
mod epoch;
mod uplink;

pub use downlink::Downlink;
pub use epoch::Epoch;
pub use uplink::{Arrived, Inadmissible, Step, Uplink, claimed};

use bytes::Bytes;
use common::id::{BlobId, NodeId};

/// What goes out on a data topic.
#[derive(Debug)]
pub enum Dispatch {
    /// A chunk of a model, to every node or to one.
    ModelChunk {
        /// To whom; everybody when none.
        to: Option<NodeId>,
        /// Which blob.
        blob: BlobId,
        /// Which chunk.
        index: u32,
        /// The sealed bytes.
        bytes: Bytes,
    },
    /// A receipt for an update.
    Receipt {
        /// Which blob.
        blob: BlobId,
        /// Whose.
        node: NodeId,
        /// The sealed receipt.
        bytes: Vec<u8>,
    },
}
