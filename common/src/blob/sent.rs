//! What was sent when: which of it is lost, and how long a round trip takes.

use super::REPEAT;
use super::smoothed::Smoothed;
use crate::units::{Millis, Timestamp};

/// The longest wait for the receipt of a chunk, whatever the round trips were.
const OVERDUE_MAX: Millis = Millis(1000);

/// Both ways that a chunk can go. What goes the same way arrives in order; two ways overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    All,
    One,
}

/// When a chunk went out last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Counted over all sends of the transfer.
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) way: Way,
}

/// The newest send of each way that a reader has confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Newest {
    all: u64,
    one: u64,
}

impl Newest {
    pub(super) fn note(&mut self, sent: Sent) {
        let newest = self.of(sent.way);
        *newest = sent.number.max(*newest);
    }

    /// Whether something that was sent later the same way has arrived: then this has not, and will not.
    pub(super) fn is_past(mut self, sent: Sent) -> bool {
        *self.of(sent.way) > sent.number
    }

    fn of(&mut self, way: Way) -> &mut u64 {
        match way {
            Way::All => &mut self.all,
            Way::One => &mut self.one,
        }
    }
}

/// The round trip from a chunk to its receipt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Smoothed,
    /// The shortest one, in microseconds.
    least: u64,
}

impl RoundTrip {
    pub(super) fn note(&mut self, micros: u64) {
        if self.smoothed.is_zero() {
            (self.smoothed, self.least) = (Smoothed::first(micros), micros);
        } else {
            self.smoothed.note(micros);
            self.least = self.least.min(micros);
        }
    }

    /// Whether a receipt can have come so soon after its chunk.
    pub(super) fn fits(self, micros: u64) -> bool {
        micros >= self.least
    }

    /// What was sent so long before a reader ran dry is lost: nothing that queued on the way is still to come.
    pub(super) fn dry(self) -> Millis {
        Millis((2 * self.least).div_ceil(1000)).clamp(REPEAT, OVERDUE_MAX)
    }

    /// A chunk without a receipt for so long is lost, even if nothing sent after it has arrived.
    pub(super) fn overdue(self) -> Millis {
        self.smoothed.unusual().clamp(REPEAT, OVERDUE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_later_the_same_way_proves_a_loss() {
        let sent = |number, way| Sent { number, at: Timestamp(0), way };
        let mut newest = Newest::default();
        newest.note(sent(7, Way::All));
        assert!(newest.is_past(sent(6, Way::All)));
        assert!(!newest.is_past(sent(7, Way::All)));
        assert!(!newest.is_past(sent(6, Way::One)));
        newest.note(sent(3, Way::All));
        assert!(newest.is_past(sent(6, Way::All)), "an older receipt takes nothing back");
    }

    #[test]
    fn the_wait_for_a_receipt_follows_the_round_trips_within_bounds() {
        let mut trip = RoundTrip::default();
        assert_eq!(trip.overdue(), REPEAT);
        for _ in 0..100 {
            trip.note(80_000);
        }
        assert!((Millis(80)..Millis(90)).contains(&trip.overdue()), "{}", trip.overdue());
        trip.note(900_000_000);
        assert_eq!(trip.overdue(), OVERDUE_MAX);
        assert_eq!(trip.dry(), Millis(160), "the quickest one counts");
    }
}
