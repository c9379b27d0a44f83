//! Sending one sealed value to one reader: offer it, then send its chunks as the reader's receipts allow.

use bytes::Bytes;

use crate::blob::{Outgoing, Send};
use crate::crypto::{PairKey, Sealed};
use crate::id::{BlobId, NodeId};
use crate::limits::OFFER_INDEX;
use crate::message::receipt::{Receipt, Status};
use crate::units::{Millis, Timestamp};
use crate::wire;

/// An offer is repeated after this long without a receipt; doubled each time, up to [`OFFER_MAX`].
const OFFER: Millis = Millis(30);

/// The longest wait between two offers.
const OFFER_MAX: Millis = Millis(1000);

/// A sealed value on its way to its only reader.
#[derive(Debug)]
pub struct Upload {
    sealed: Sealed,
    blob: BlobId,
    outgoing: Outgoing,
    to: NodeId,
    heard: u32,
    offer_at: Timestamp,
    offer_after: Millis,
    opened: bool,
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The reader has all of it.
    Delivered,
    /// The reader does not want it.
    Refused,
}

impl Upload {
    /// Begins with an offer.
    pub fn new(sealed: Sealed, to: NodeId, now: Timestamp) -> Self {
        let outgoing = Outgoing::new(sealed.chunks(), [to], 0, now);
        let blob = sealed.manifest().blob();
        Self { sealed, blob, outgoing, to, heard: 0, offer_at: now, offer_after: OFFER, opened: false }
    }

    /// What is sent.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// Takes a receipt of the reader, under the pair key; one that is not of its hand, or old, is ignored.
    pub fn on_receipt(&mut self, bytes: &[u8], pair: &PairKey, now: Timestamp) -> Option<Ended> {
        let receipt = Receipt::open(bytes, self.to, pair)?;
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
            Status::Open(standing) => {
                self.opened = true;
                self.outgoing.on_receipt(self.to, &standing, now);
                None
            }
            Status::Complete => Some(Ended::Delivered),
            Status::Refused => Some(Ended::Refused),
        }
    }

    /// The number of the newest receipt that was believed; 0 before the first.
    pub fn receipts_heard(&self) -> u32 {
        self.heard
    }

    /// Everything that may be sent now: index, [`OFFER_INDEX`] for the manifest, and bytes.
    pub fn send(&mut self, now: Timestamp, mut write: impl FnMut(u32, Bytes)) {
        if !self.opened && now >= self.offer_at {
            write(OFFER_INDEX, wire::encode(self.sealed.manifest()).into());
            self.offer_at = now + self.offer_after;
            self.offer_after = Millis(self.offer_after.0 * 2).min(OFFER_MAX);
        }
        while let Some(Send::ToAll(index) | Send::To(_, index)) = self.outgoing.next(now) {
            write(index, self.sealed.chunk(index).expect("the transfer has as many chunks as the blob"));
        }
    }

    /// Ends the upload and gives the buffer back.
    pub fn into_buffer(self) -> Vec<u8> {
        self.sealed.into_buffer()
    }

    /// When [`Self::send`] may have more to send.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.opened { self.outgoing.next_wake() } else { Some(self.offer_at) }
    }
}
