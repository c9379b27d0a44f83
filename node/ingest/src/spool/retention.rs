//! Which segments may go.

use std::collections::BTreeMap;

use common::units::{Millis, Timestamp};

/// What the writer knows of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) bytes: u64,
    /// When its newest entry came.
    pub(super) newest: Timestamp,
}

/// What bounds a spool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) bytes_max: u64,
    pub(super) keep: Millis,
    /// Segments before this one need not be kept for any reader.
    pub(super) released: u64,
}

/// The segments to remove, oldest first, before `needed` more bytes are written: those that nobody has to
/// read and that are old enough, and, while there is no room, those that nobody has to read.
/// The newest segment stays.
pub(super) fn surplus(
    segments: &BTreeMap<u64, Segment>,
    bounds: &Bounds,
    needed: u64,
    now: Timestamp,
) -> Vec<u64> {
    let mut bytes: u64 = segments.values().map(|segment| segment.bytes).sum();
    let newest = segments.keys().next_back().copied();
    let mut surplus = Vec::new();
    for (&number, segment) in segments {
        let old = now >= segment.newest + bounds.keep;
        let full = bytes + needed > bounds.bytes_max;
        if number >= bounds.released || Some(number) == newest || !(old || full) {
            break;
        }
        bytes -= segment.bytes;
        surplus.push(number);
    }
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> BTreeMap<u64, Segment> {
        (1..=4).map(|number| (number, Segment { bytes: 10, newest: Timestamp(number * 1_000_000) })).collect()
    }

    fn surplus_of(released: u64, bytes_max: u64, keep_s: u64, now_s: u64) -> Vec<u64> {
        let bounds = Bounds { bytes_max, keep: Millis(keep_s * 1000), released };
        surplus(&segments(), &bounds, 5, Timestamp(now_s * 1_000_000))
    }

    #[test]
    fn what_was_read_goes_when_its_time_has_come() {
        assert_eq!(surplus_of(9, 1000, 10, 12), [1, 2]);
        assert_eq!(surplus_of(2, 1000, 10, 12), [1]);
        assert_eq!(surplus_of(0, 1000, 10, 12), [0; 0]);
    }

    #[test]
    fn a_full_spool_gives_up_what_was_read_and_nothing_else() {
        assert_eq!(surplus_of(9, 30, 1000, 5), [1, 2]);
        assert_eq!(surplus_of(2, 30, 1000, 5), [1]);
        assert_eq!(surplus_of(1, 30, 1000, 5), [0; 0]);
    }

    #[test]
    fn the_newest_segment_always_stays() {
        assert_eq!(surplus_of(9, 0, 0, 100), [1, 2, 3]);
    }
}
