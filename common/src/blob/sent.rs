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

/// What went out again to a reader that has not confirmed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    /// The last copy, without tries: when it is past, the chunk is lost.
    pub(super) last: Sent,
    /// The first copy that may have arrived, should the chunk be there: no more is proven by that.
    pub(super) first: Sent,
    /// There was a try after the last one.
    tried: bool,
}

impl Again {
    /// A chunk is tried that is not known to be lost.
    pub(super) fn tried(before: Option<Self>, first: Sent) -> Self {
        let Self { last, first, .. } = before.unwrap_or(Self { last: first, first, tried: false });
        Self { last, first, tried: true }
    }

    /// A lost chunk goes out again. What went out before its last copy is lost too, but a try after it is not.
    pub(super) fn repaired(before: Option<Self>, again: Sent) -> Self {
        let first = before.filter(|before| before.tried).map_or(again, |before| before.first);
        Self { last: again, first, tried: false }
    }

    /// A chunk that others lost goes to all again; this reader may have it and has not said so yet.
    pub(super) fn repeated(before: Option<Self>, first: Sent, again: Sent) -> Self {
        Self { last: again, first: before.map_or(first, |before| before.first), tried: false }
    }

    /// Whether it is known which copy arrives.
    pub(super) fn is_sure(self) -> bool {
        !self.tried && self.first.number == self.last.number
    }
}

/// The newest send of each way that a reader has confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Newest {
    all: Option<Sent>,
    one: Option<Sent>,
}

impl Newest {
    pub(super) fn note(&mut self, sent: Sent) {
        let newest = match sent.way {
            Way::All => &mut self.all,
            Way::One => &mut self.one,
        };
        *newest = newest.filter(|newest| newest.number > sent.number).or(Some(sent));
    }

    /// Whether something that was sent later has arrived: then this has not, and will not. Of another way it has to
    /// be so much later that it cannot have overtaken this.
    pub(super) fn is_past(self, sent: Sent) -> bool {
        let later = |newest: Sent| {
            newest.number > sent.number && (newest.way == sent.way || newest.at >= sent.at + REPEAT)
        };
        [self.all, self.one].into_iter().flatten().any(later)
    }
}

/// The round trip from a chunk to its receipt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip(Smoothed);

impl RoundTrip {
    pub(super) fn note(&mut self, micros: u64) {
        self.0.note(micros);
    }

    /// An answer that takes longer than this will not come.
    pub(super) fn overdue(self) -> Millis {
        self.0.unusual().map_or(REPEAT, |overdue| overdue.clamp(REPEAT, OVERDUE_MAX))
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
        assert!((Millis(115)..Millis(125)).contains(&trip.overdue()), "{}", trip.overdue());
        trip.note(900_000_000);
        assert_eq!(trip.overdue(), OVERDUE_MAX);
    }
}
