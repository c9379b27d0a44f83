//! The receiver's side: chunks opened into their place as they come, in any order.

use super::smoothed::Smoothed;
use super::window::Window;
use super::{Have, RECEIPT_PACE, STALL, STALL_FIRST, STALL_MAX, Standing};
use crate::crypto::{OpenError, Opener, VerifiedManifest};
use crate::limits::CHUNK_PLAIN_BYTES;
use crate::units::{Millis, Timestamp};

/// A blob being received. Holds the plaintext so far and 32 bytes a chunk, never the sealed bytes.
#[derive(Debug)]
pub struct Incoming {
    opener: Opener,
    plain: Vec<u8>,
    have: Have,
    window: Window,
    /// Chunks that arrived since the last receipt.
    unconfirmed: u32,
    /// Gaps that were known at the last receipt.
    missing: u32,
    /// A gap was seen or filled that no receipt has told yet.
    owed: bool,
    told: Timestamp,
    arrived: Timestamp,
    /// Between two chunks.
    pauses: Smoothed,
    stall: Millis,
    wake: Timestamp,
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
        let have = Have::nothing_of(opener.chunks());
        Self {
            opener,
            plain,
            have,
            window: Window::new(window),
            unconfirmed: 0,
            missing: 0,
            owed: false,
            told: now,
            arrived: now,
            pauses: Smoothed::default(),
            stall: STALL_FIRST,
            wake: now + STALL_FIRST,
        }
    }

    /// Opens a chunk into its place.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the chunk is not one of this blob; what has arrived stays as it was.
    pub fn on_chunk(&mut self, index: u32, sealed: &[u8], now: Timestamp) -> Result<Arrival, OpenError> {
        if self.have.contains(index) {
            // Its sender does not know; the next receipt tells it.
            self.owed = true;
            return Ok(Arrival::Duplicate);
        }
        let expected = self.have.front();
        self.opener.open_chunk(index, sealed, &mut self.plain)?;
        self.have.insert(index);
        if self.have.count() > 1 {
            self.pauses.note(now.micros_since(self.arrived));
        }
        self.arrived = now;
        self.stall = self.pauses.unusual().clamp(STALL, STALL_FIRST);
        self.wake = now + self.stall;
        if self.have.is_complete() {
            return Ok(Arrival::Complete);
        }
        self.unconfirmed += 1;
        self.owed |= index != expected;
        let half = self.unconfirmed * 2 >= self.window.chunks();
        let due = half || (self.owed && now >= self.told + RECEIPT_PACE);
        Ok(Arrival::Stored(due.then(|| self.tell(false, now))))
    }

    /// A receipt that is due by now: one that was put off, or one that says that nothing comes.
    pub fn on_tick(&mut self, now: Timestamp) -> Option<Standing> {
        if self.have.is_complete() {
            return None;
        }
        if now >= self.wake {
            self.stall = Millis(self.stall.0 * 2).min(STALL_MAX);
            self.wake = now + self.stall;
            return Some(self.tell(true, now));
        }
        (self.owed && now >= self.told + RECEIPT_PACE).then(|| self.tell(false, now))
    }

    /// When to call [`Self::on_tick`] next.
    pub fn next_wake(&self) -> Timestamp {
        if self.owed { self.wake.min(self.told + RECEIPT_PACE) } else { self.wake }
    }

    /// What the sender is told when it asks.
    pub fn standing(&self, stalled: bool) -> Standing {
        Standing { window: self.window.chunks(), stalled, gaps: self.have.gaps() }
    }

    /// Bounds the window anew: the receiver's buffers are shared by more transfers now, or by fewer.
    pub fn limit_window(&mut self, most: u32) {
        self.window.limit(most);
    }

    /// When a chunk came last; at first, when the transfer began.
    pub fn last_arrival(&self) -> Timestamp {
        self.arrived
    }

    fn tell(&mut self, stalled: bool, now: Timestamp) -> Standing {
        let missing = self.have.front() - self.have.count();
        self.window.on_outcome(self.unconfirmed, missing.saturating_sub(self.missing));
        (self.missing, self.unconfirmed, self.owed, self.told) = (missing, 0, false, now);
        self.standing(stalled)
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
