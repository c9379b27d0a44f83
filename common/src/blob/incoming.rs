//! The receiver's side: chunks opened into their place as they come, in any order.

use super::Standing;
use super::reception::Reception;
use crate::crypto::{OpenError, Opener, VerifiedManifest};
use crate::limits::CHUNK_PLAIN_BYTES;
use crate::units::Timestamp;

/// A blob being received. Holds the plaintext so far and 32 bytes a chunk, never the sealed bytes.
#[derive(Debug)]
pub struct Incoming {
    opener: Opener,
    plain: Vec<u8>,
    reception: Reception,
}

/// What a chunk did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was here already.
    Duplicate,
    /// It is in its place. A receipt is due when the sender needs one to go on.
    Stored(Option<Standing>),
    /// It was the last one missing.
    Complete,
}

impl Incoming {
    /// Starts with nothing. `plain` is an old buffer to be used again, `window` the chunks that may be on their
    /// way at most: a receipt is due each half of what is granted.
    pub fn new(opener: Opener, mut plain: Vec<u8>, window: u32, now: Timestamp) -> Self {
        // What an old buffer still holds is overwritten chunk by chunk, and nobody reads it before `finish`.
        plain.resize(opener.plain_bytes(), 0);
        let reception = Reception::new(opener.chunks(), window, now);
        Self { opener, plain, reception }
    }

    /// Opens a chunk into its place.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the chunk is not one of this blob; what has arrived stays as it was.
    pub fn on_chunk(&mut self, index: u32, sealed: &[u8], now: Timestamp) -> Result<Arrival, OpenError> {
        if self.reception.have().contains(index) {
            self.reception.on_duplicate(now);
            return Ok(Arrival::Duplicate);
        }
        self.opener.open_chunk(index, sealed, &mut self.plain)?;
        let due = self.reception.on_chunk(index, now);
        Ok(if self.reception.have().is_complete() { Arrival::Complete } else { Arrival::Stored(due) })
    }

    /// A receipt that is due by now: one that was put off, or one that says that nothing comes.
    pub fn on_tick(&mut self, now: Timestamp) -> Option<Standing> {
        self.reception.on_tick(now)
    }

    /// When to call [`Self::on_tick`] next.
    pub fn next_wake(&self) -> Timestamp {
        self.reception.next_wake()
    }

    /// What the sender is told when it asks.
    pub fn standing(&self, stalled: bool) -> Standing {
        self.reception.standing(stalled)
    }

    /// Bounds the window anew: the receiver's buffers are shared by more transfers now, or by fewer.
    pub fn limit_window(&mut self, most: u32) {
        self.reception.limit_window(most);
    }

    /// When a chunk came that was missing; at first, when the transfer began.
    pub fn last_arrival(&self) -> Timestamp {
        self.reception.last_arrival()
    }

    /// Plaintext bytes here and in all; the last chunk counts as a full one until all are here.
    pub fn progress(&self) -> (u64, u64) {
        let all = self.plain.len() as u64;
        (all.min(u64::from(self.reception.have().count()) * CHUNK_PLAIN_BYTES as u64), all)
    }

    /// What is received, and from whom.
    pub fn manifest(&self) -> &VerifiedManifest {
        self.opener.manifest()
    }

    /// The plaintext, once the hash over all chunks is the signed one.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when it is not: some member of the group made chunks of its own.
    pub fn finish(self) -> Result<Vec<u8>, OpenError> {
        self.opener.finish()?;
        Ok(self.plain)
    }
}
