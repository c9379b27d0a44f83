//! Uploading: offer the sealed update, and send its chunks as the coordinator's receipts allow.

use bytes::Bytes;
use common::blob::Outgoing;
use common::crypto::Sealed;
use common::id::{BlobId, NodeId};
use common::limits::OFFER_INDEX;
use common::message::presence::Address;
use common::message::receipt::{Receipt, Status};
use common::units::{Millis, Timestamp};
use common::wire;

use super::fetching::Work;
use super::{Output, index_of};

/// An offer is repeated after this long without a receipt; doubled each time, up to [`OFFER_MAX`].
const OFFER: Millis = Millis(30);

/// The longest wait between two offers.
const OFFER_MAX: Millis = Millis(1000);

/// An update on its way out.
#[derive(Debug)]
pub(super) struct Uploading {
    pub(super) work: Work,
    sealed: Sealed,
    blob: BlobId,
    outgoing: Outgoing,
    coordinator: NodeId,
    heard: u32,
    offer_at: Timestamp,
    offer_after: Millis,
    opened: bool,
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Delivered,
    Refused,
}

impl Uploading {
    pub(super) fn new(work: Work, sealed: Sealed, coordinator: NodeId, now: Timestamp) -> Self {
        let outgoing = Outgoing::new(sealed.chunks(), [coordinator], 0, now);
        let blob = sealed.manifest().blob();
        let (offer_at, offer_after) = (now, OFFER);
        Self { work, sealed, blob, outgoing, coordinator, heard: 0, offer_at, offer_after, opened: false }
    }

    /// The update's blob.
    pub(super) fn blob(&self) -> BlobId {
        self.blob
    }

    /// Takes a receipt of the coordinator; one that is not of its hand, or old, is ignored.
    pub(super) fn on_receipt(&mut self, bytes: &[u8], now: Timestamp) -> Option<Ended> {
        let receipt = Receipt::open(bytes, self.coordinator, &self.work.pair)?;
        if receipt.blob != self.blob || receipt.seq <= self.heard {
            return None;
        }
        self.heard = receipt.seq;
        match receipt.status {
            Status::Queued => {
                self.offer_after = OFFER_MAX;
                self.offer_at = now + OFFER_MAX;
                None
            }
            Status::Open { window, stalled, gaps } => {
                self.opened = true;
                self.outgoing.on_receipt(self.coordinator, &gaps, stalled, window, now);
                None
            }
            Status::Complete => Some(Ended::Delivered),
            Status::Refused => Some(Ended::Refused),
        }
    }

    /// Everything that may be sent now.
    pub(super) fn send(&mut self, to: Address, now: Timestamp, out: &mut Vec<Output>) {
        let blob = self.blob;
        let mut write = |index, bytes: Bytes| out.push(Output::UpdateChunk { to, blob, index, bytes });
        if !self.opened && now >= self.offer_at {
            write(OFFER_INDEX, wire::encode(self.sealed.manifest()).into());
            self.offer_at = now + self.offer_after;
            self.offer_after = Millis(self.offer_after.0 * 2).min(OFFER_MAX);
        }
        while let Some(index) = self.outgoing.next(now).map(index_of) {
            write(index, self.sealed.chunk(index).expect("the transfer has as many chunks as the blob"));
        }
    }

    /// Ends the upload and gives the buffer back.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.sealed.into_buffer()
    }

    /// When [`Self::send`] may have more to send.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        if self.opened { self.outgoing.next_wake() } else { Some(self.offer_at) }
    }
}
