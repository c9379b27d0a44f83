//! What has come of a blob, and when its receiver owes a receipt: no keys, no bytes.

use super::smoothed::Smoothed;
use super::window::Window;
use super::{Have, PAUSE_MAX, RECEIPT_PACE, STALL, STALL_FIRST, STALL_MAX, Standing};
use crate::units::{Millis, Timestamp};

/// Which chunks are here, and how they came.
#[derive(Debug)]
pub(super) struct Reception {
    have: Have,
    window: Window,
    /// Chunks that arrived since the last receipt.
    unconfirmed: u32,
    /// Gaps that were known at the last receipt.
    missing: u32,
    /// A gap was seen or filled that no receipt has told yet.
    owed: bool,
    told: Timestamp,
    /// When a chunk came that was missing; at first, when the transfer began.
    arrived: Timestamp,
    /// When any of its chunks came.
    heard: Option<Timestamp>,
    /// Between two chunks.
    pauses: Smoothed,
    /// A receipt has said that nothing comes.
    stalled: bool,
    stall: Millis,
    wake: Timestamp,
}

impl Reception {
    pub(super) fn new(chunks: u32, window: u32, now: Timestamp) -> Self {
        Self {
            have: Have::nothing_of(chunks),
            window: Window::new(window),
            unconfirmed: 0,
            missing: 0,
            owed: false,
            told: now,
            arrived: now,
            pauses: Smoothed::default(),
            heard: None,
            stalled: false,
            stall: STALL_FIRST,
            wake: now + STALL_FIRST,
        }
    }

    pub(super) fn have(&self) -> &Have {
        &self.have
    }

    /// When a chunk came that was missing; at first, when the transfer began.
    pub(super) fn last_arrival(&self) -> Timestamp {
        self.arrived
    }

    /// A chunk came that is here already: its sender does not know, and the next receipt tells it.
    pub(super) fn on_duplicate(&mut self, now: Timestamp) {
        self.owed = true;
        self.on_arrival(now);
    }

    /// A chunk came that was missing. A receipt is due when the sender needs one to go on.
    pub(super) fn on_chunk(&mut self, index: u32, now: Timestamp) -> Option<Standing> {
        let expected = self.have.front();
        self.have.insert(index);
        self.arrived = now;
        self.on_arrival(now);
        self.unconfirmed += 1;
        self.owed |= index != expected;
        let half = self.unconfirmed * 2 >= self.window.chunks();
        let due = half || (self.owed && now >= self.told + RECEIPT_PACE);
        (due && !self.have.is_complete()).then(|| self.tell(false, now))
    }

    /// A receipt that is due by now: one that was put off, or one that says that nothing comes.
    pub(super) fn on_tick(&mut self, now: Timestamp) -> Option<Standing> {
        if self.have.is_complete() {
            return None;
        }
        if now >= self.wake {
            self.stalled = true;
            self.stall = Millis(self.stall.0 * 2).min(STALL_MAX.max(self.stall));
            self.wake = now + self.stall;
            return Some(self.tell(true, now));
        }
        (self.owed && now >= self.told + RECEIPT_PACE).then(|| self.tell(false, now))
    }

    /// When to call [`Self::on_tick`] next.
    pub(super) fn next_wake(&self) -> Timestamp {
        if self.owed { self.wake.min(self.told + RECEIPT_PACE) } else { self.wake }
    }

    /// What the sender is told when it asks.
    pub(super) fn standing(&self, stalled: bool) -> Standing {
        Standing { window: self.window.chunks(), stalled, gaps: self.have.gaps() }
    }

    /// Bounds the window anew: the receiver's buffers are shared by more transfers now, or by fewer.
    pub(super) fn limit_window(&mut self, most: u32) {
        self.window.limit(most);
    }

    /// The line is not silent.
    fn on_arrival(&mut self, now: Timestamp) {
        // A pause in which the sender was asked ends with its answer, and says nothing of the way (Karn's rule,
        // RFC 6298, section 3): until a chunk has come by itself, the longer wait holds.
        if let Some(heard) = self.heard.filter(|_| !self.stalled) {
            self.pauses.note(now.micros_since(heard));
        }
        if let Some(unusual) = self.pauses.unusual() {
            self.stall = unusual.clamp(STALL, PAUSE_MAX);
        }
        (self.heard, self.stalled, self.wake) = (Some(now), false, now + self.stall);
    }

    fn tell(&mut self, stalled: bool, now: Timestamp) -> Standing {
        let missing = self.have.front() - self.have.count();
        self.window.on_outcome(self.unconfirmed, missing.saturating_sub(self.missing));
        (self.missing, self.unconfirmed, self.owed, self.told) = (missing, 0, false, now);
        self.standing(stalled)
    }
}
