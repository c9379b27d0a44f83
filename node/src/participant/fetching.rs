//! Fetching: receive the sealed model of an announcement, chunk by chunk.

use common::blob::{Arrival, Incoming, Standing};
use common::crypto::{KeyPackage, PairKey};
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId};
use common::message::receipt::{Receipt, Status};
use common::units::Timestamp;

use super::Output;

/// What a node needs to know about the announcement it works on.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) run: RunId,
    pub(super) round: RoundId,
    pub(super) epoch: EpochId,
    /// Whether an update is wanted, or only that the model is kept.
    pub(super) train: bool,
    /// When the node stops waiting, by its own clock.
    pub(super) deadline: Timestamp,
    /// Authenticates receipts both ways.
    pub(super) pair: PairKey,
    /// Where updates are sealed to.
    pub(super) coordinator: KeyPackage,
    /// The model's blob.
    pub(super) model: BlobId,
    /// Receipts written so far.
    pub(super) receipts: u32,
}

impl Work {
    /// A receipt for the model, numbered and sealed.
    pub(super) fn receipt(&mut self, node: NodeId, status: Status) -> Output {
        self.receipts += 1;
        let receipt = Receipt { blob: self.model, seq: self.receipts, status };
        Output::Receipt { blob: self.model, bytes: receipt.seal(node, &self.pair) }
    }
}

/// A model on its way in.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) work: Work,
    pub(super) incoming: Incoming,
}

/// What a chunk of the model did.
pub(super) enum Fetched {
    /// More are missing.
    Waiting(Option<Output>),
    /// All are here.
    Complete,
}

impl Fetching {
    /// Takes one chunk. One that does not open is ignored: the right one is asked for again.
    pub(super) fn on_chunk(&mut self, node: NodeId, index: u32, sealed: &[u8], now: Timestamp) -> Fetched {
        match self.incoming.on_chunk(index, sealed, now) {
            Ok(Arrival::Complete) => Fetched::Complete,
            Ok(Arrival::Stored(due)) => Fetched::Waiting(due.map(|due| self.receipt(node, due))),
            Ok(Arrival::Duplicate) | Err(_) => Fetched::Waiting(None),
        }
    }

    /// A receipt of what is here, when one is due without a chunk.
    pub(super) fn on_tick(&mut self, node: NodeId, now: Timestamp) -> Option<Output> {
        let due = self.incoming.on_tick(now)?;
        Some(self.receipt(node, due))
    }

    fn receipt(&mut self, node: NodeId, standing: Standing) -> Output {
        self.work.receipt(node, Status::Open(standing))
    }
}
