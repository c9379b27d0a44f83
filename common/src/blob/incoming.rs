//! The receiver's side: chunks opened into their place as they come, in any order.

use super::{Gaps, Have, STALL, STALL_MAX};
use crate::crypto::{OpenError, Opener, VerifiedManifest};
use crate::limits::CHUNK_PLAIN_BYTES;
use crate::units::{Millis, Timestamp};

/// A blob being received. Holds the plaintext so far and 32 bytes a chunk, never the sealed bytes.
#[derive(Debug)]
pub struct Incoming {
    opener: Opener,
    plain: Vec<u8>,
    have: Have,
    window: u32,
    unconfirmed: u32,
    stall: Millis,
    wake: Timestamp,
}

/// What a chunk did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was here already.
    Duplicate,
    /// It is in its place.
    Stored {
        /// The sender needs a receipt now to go on.
        receipt_due: bool,
    },
    /// It was the last one missing.
    Complete,
}

impl Incoming {
    /// Starts with nothing. `plain` is an old buffer to be used again, `window` what the sender may
    /// have unconfirmed: a receipt is due each half of it.
    pub fn new(opener: Opener, mut plain: Vec<u8>, window: u32, now: Timestamp) -> Self {
        // What an old buffer still holds is overwritten chunk by chunk, and nobody reads it before `finish`.
        plain.resize(opener.plain_bytes(), 0);
        let have = Have::nothing_of(opener.chunks());
        Self { opener, plain, have, window, unconfirmed: 0, stall: STALL, wake: now + STALL }
    }

    /// Opens a chunk into its place.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the chunk is not one of this blob; what has arrived stays as it was.
    pub fn on_chunk(&mut self, index: u32, sealed: &[u8], now: Timestamp) -> Result<Arrival, OpenError> {
        if self.have.contains(index) {
            return Ok(Arrival::Duplicate);
        }
        self.opener.open_chunk(index, sealed, &mut self.plain)?;
        self.have.insert(index);
        self.stall = STALL;
        self.wake = now + STALL;
        if self.have.is_complete() {
            return Ok(Arrival::Complete);
        }
        self.unconfirmed += 1;
        let receipt_due = self.unconfirmed * 2 >= self.window;
        if receipt_due {
            self.unconfirmed = 0;
        }
        Ok(Arrival::Stored { receipt_due })
    }

    /// Whether a receipt is due because nothing came for too long.
    pub fn is_stalled(&mut self, now: Timestamp) -> bool {
        let stalled = now >= self.wake && !self.have.is_complete();
        if stalled {
            self.stall = Millis(self.stall.0 * 2).min(STALL_MAX);
            self.wake = now + self.stall;
        }
        stalled
    }

    /// When to ask [`Self::is_stalled`] next.
    pub fn next_wake(&self) -> Timestamp {
        self.wake
    }

    /// What a receipt says of it.
    pub fn gaps(&self) -> Gaps {
        self.have.gaps()
    }

    /// Plaintext bytes here and in all; the last chunk counts as a full one until all are here.
    pub fn progress(&self) -> (u64, u64) {
        let all = self.plain.len() as u64;
        (all.min(u64::from(self.have.count()) * CHUNK_PLAIN_BYTES as u64), all)
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
