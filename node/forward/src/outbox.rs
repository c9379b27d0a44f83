//! One node's telemetry on its way: a batch is sealed, offered and sent until the node has it on its disk.

use bytes::Bytes;
use common::crypto::{Identity, KeyPackage, Kind, PairKey, SealError, Sealer, Subject};
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId, TenantId};
use common::message::presence::Address;
use common::units::{Millis, Timestamp};
use common::upload::{Ended, Upload};
use rand_chacha::ChaCha20Rng;

use crate::batch;
use crate::feed::{Batch, Mark};

/// A batch that the node did not take is sealed again after this long; doubled each time, up to [`AGAIN_MAX`].
const AGAIN: Millis = Millis(100);

/// The longest wait before a batch is sealed again.
const AGAIN_MAX: Millis = Millis(10_000);

/// A batch of which nothing is heard for this long, from a node that is there, is sealed again: its key may have
/// been erased.
const UNHEARD: Millis = Millis(5000);

/// A batch that was not answered in this time is sealed again when the node has another key: with several bridges,
/// the one that it was sealed to may have been erased.
const UNANSWERED: Millis = Millis(50);

/// Where a node takes telemetry, and under which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process.
    pub session: u64,
    /// To which the next batch is sealed.
    pub package: KeyPackage,
    /// Where it reads.
    pub chunks: Address,
    /// When it was heard last.
    pub heard: Timestamp,
}

/// A piece of a batch, to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// To which reader.
    pub to: Address,
    /// Of which blob.
    pub blob: BlobId,
    /// Which piece; [`common::limits::OFFER_INDEX`] for the manifest.
    pub index: u32,
    /// The piece.
    pub bytes: Bytes,
}

/// What sealing takes.
#[derive(Debug)]
pub struct Sealing<'a> {
    /// The bridge.
    pub identity: &'a Identity,
    /// Randomness.
    pub random: &'a mut ChaCha20Rng,
}

/// What is on its way to one node.
#[derive(Debug)]
pub struct Outbox {
    tenant: TenantId,
    node: NodeId,
    load: Option<Batch>,
    sending: Option<Sending>,
    seal_at: Timestamp,
    again: Millis,
    seq: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Sending {
    upload: Upload,
    pair: PairKey,
    session: u64,
    /// To which it is sealed.
    package: [u8; 16],
    answered: bool,
    heard: Timestamp,
}

impl Outbox {
    /// Nothing to send yet.
    pub fn new(tenant: TenantId, node: NodeId) -> Self {
        let (load, sending, seal_at) = (None, None, Timestamp::default());
        Self { tenant, node, load, sending, seal_at, again: AGAIN, seq: 0, buffer: Vec::new() }
    }

    /// Whether it has nothing to send.
    pub fn is_empty(&self) -> bool {
        self.load.is_none()
    }

    /// Takes the next batch.
    ///
    /// # Panics
    ///
    /// When the last one has not been delivered.
    pub fn load(&mut self, batch: Batch) {
        assert!(self.load.is_none(), "one batch after the other");
        self.load = Some(batch);
    }

    /// Takes a receipt; returns up to where the node has everything, when it is the last one of a batch.
    pub fn on_receipt(&mut self, bytes: &[u8], now: Timestamp) -> Option<Delivered> {
        let sending = self.sending.as_mut()?;
        let before = sending.upload.receipts_heard();
        let ended = sending.upload.on_receipt(bytes, &sending.pair, now);
        if sending.upload.receipts_heard() > before {
            sending.heard = now;
            sending.answered = true;
        }
        match ended? {
            Ended::Delivered => {
                self.stop();
                self.again = AGAIN;
                self.seal_at = now;
                let batch = self.load.take()?;
                Some(Delivered { mark: batch.mark, parts: batch.parts.len() })
            }
            Ended::Refused => {
                self.retry(now);
                None
            }
        }
    }

    /// Everything that may be sent now to the node, which is there.
    ///
    /// # Errors
    ///
    /// [`SealError`] when the node's package is no key; it is tried again with its next one. Or when nothing can be
    /// signed.
    pub fn send(
        &mut self,
        peer: &Peer,
        sealing: &mut Sealing<'_>,
        now: Timestamp,
        out: &mut Vec<Piece>,
    ) -> Result<(), SealError> {
        let stale = |sending: &Sending| {
            let erased = !sending.answered && sending.package != peer.package.nonce;
            sending.session != peer.session
                || now >= sending.heard + UNHEARD
                || (erased && now >= sending.heard + UNANSWERED)
        };
        if self.sending.as_ref().is_some_and(stale) {
            self.stop();
        }
        if self.sending.is_none() && now >= self.seal_at && self.load.is_some() {
            self.seal(peer, sealing, now).inspect_err(|_| self.retry(now))?;
        }
        if let Some(Sending { upload, .. }) = &mut self.sending {
            let (to, blob) = (peer.chunks, upload.blob());
            upload.send(now, |index, bytes| out.push(Piece { to, blob, index, bytes }));
        }
        Ok(())
    }

    /// The blob that is being sent.
    pub fn blob(&self) -> Option<BlobId> {
        self.sending.as_ref().map(|sending| sending.upload.blob())
    }

    /// When [`Self::send`] may have more to send, while the node is there.
    pub fn next_wake(&self) -> Option<Timestamp> {
        match (&self.load, &self.sending) {
            (None, _) => None,
            (Some(_), None) => Some(self.seal_at),
            (Some(_), Some(sending)) => {
                let unheard = sending.heard + UNHEARD;
                Some(sending.upload.next_wake().map_or(unheard, |wake| wake.min(unheard)))
            }
        }
    }

    fn seal(&mut self, peer: &Peer, sealing: &mut Sealing<'_>, now: Timestamp) -> Result<(), SealError> {
        let Some(batch) = &self.load else { return Ok(()) };
        self.seq += 1;
        let (run, round, epoch) = (RunId::default(), RoundId(0), EpochId(0));
        let trace =
            *blake3::hash(&self.seq.to_le_bytes()).as_bytes().first_chunk().expect("a hash has 32 bytes");
        let subject =
            Subject { kind: Kind::Records, tenant: self.tenant, run, round, epoch, seq: self.seq, trace };
        let buffer = std::mem::take(&mut self.buffer);
        let sealer = Sealer { identity: sealing.identity, subject, next_package: None, buffer };
        let plain = batch::encode(&batch.parts);
        let (sealed, pair) = sealer.seal_to_one(&plain[..], &peer.package, sealing.random)?;
        let upload = Upload::new(sealed, self.node, now);
        self.sending = Some(Sending {
            upload,
            pair,
            session: peer.session,
            package: peer.package.nonce,
            answered: false,
            heard: now,
        });
        Ok(())
    }

    fn retry(&mut self, now: Timestamp) {
        self.stop();
        self.seal_at = now + self.again;
        self.again = Millis(self.again.0 * 2).min(AGAIN_MAX);
    }

    fn stop(&mut self) {
        if let Some(sending) = self.sending.take() {
            self.buffer = sending.upload.into_buffer();
        }
    }
}

/// A batch is on the disk of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Up to where the node has everything.
    pub mark: Option<Mark>,
    /// How many parts it had.
    pub parts: usize,
}
