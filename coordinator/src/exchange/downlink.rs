//! The model on its way to the cohort: sealed once, sent once, repaired for whoever missed a piece.

use std::collections::BTreeMap;

use common::blob::{Outgoing, Send, Standing};
use common::crypto::Sealed;
use common::id::{BlobId, NodeId};
use common::message::receipt::{Receipt, Status};
use common::units::Timestamp;

use super::{Dispatch, Epoch};

/// A sealed model and what its readers have of it.
#[derive(Debug)]
pub struct Downlink {
    blob: BlobId,
    sealed: Sealed,
    outgoing: Outgoing,
    /// The newest receipt of each reader, by its number.
    heard: BTreeMap<NodeId, u32>,
}

impl Downlink {
    /// Starts the transfer to all members of the epoch.
    pub fn new(sealed: Sealed, epoch: &Epoch, window: u32, now: Timestamp) -> Self {
        let readers = epoch.keys.keys().copied();
        let outgoing = Outgoing::new(sealed.chunks(), readers, window, now);
        Self { blob: sealed.manifest().blob(), sealed, outgoing, heard: BTreeMap::new() }
    }

    /// The model's blob.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// Takes a receipt that `node` is said to have written. True when it now has everything.
    pub fn on_receipt(
        &mut self,
        epoch: &Epoch,
        node: NodeId,
        bytes: &[u8],
        window_max: u32,
        now: Timestamp,
    ) -> bool {
        let Some(receipt) = epoch.keys.get(&node).and_then(|keys| Receipt::open(bytes, node, &keys.pair))
        else {
            return false;
        };
        let heard = self.heard.entry(node).or_default();
        if receipt.blob != self.blob || receipt.seq <= *heard {
            return false;
        }
        *heard = receipt.seq;
        match receipt.status {
            Status::Complete => {
                self.outgoing.on_complete(node);
                true
            }
            Status::Open(standing) => {
                let window = standing.window.min(window_max);
                self.outgoing.on_receipt(node, &Standing { window, ..standing }, now);
                false
            }
            Status::Queued | Status::Refused => false,
        }
    }

    /// An update of this node came in: it has the model, whatever its receipts said.
    pub fn on_complete(&mut self, node: NodeId) {
        self.outgoing.on_complete(node);
    }

    /// Whether a node has written a receipt.
    pub fn has_heard(&self, node: NodeId) -> bool {
        self.heard.contains_key(&node)
    }

    /// A node is not waited for any more.
    pub fn remove(&mut self, node: NodeId) {
        self.outgoing.remove(node);
    }

    /// Whether every reader has everything.
    pub fn is_complete(&self) -> bool {
        self.outgoing.is_complete()
    }

    /// Everything that may be sent now; returns the bytes.
    pub fn send(&mut self, now: Timestamp, out: &mut Vec<Dispatch>) -> u64 {
        let mut sent = 0;
        while let Some(send) = self.outgoing.next(now) {
            let (to, index) = match send {
                Send::ToAll(index) => (None, index),
                Send::To(node, index) => (Some(node), index),
            };
            let chunk = self.sealed.chunk(index).expect("the transfer has as many chunks as the blob");
            sent += chunk.len() as u64;
            out.push(Dispatch::ModelChunk { to, blob: self.blob, index, bytes: chunk });
        }
        sent
    }

    /// When [`Self::send`] may have more to send.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.outgoing.next_wake()
    }

    /// Ends the transfer and gives the buffer back.
    pub fn into_buffer(self) -> Vec<u8> {
        self.sealed.into_buffer()
    }
}
