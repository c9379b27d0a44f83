//! Which chunks of a blob have arrived.

use crate::wire::{Fault, Input, List, Wire, WireError};

/// Gaps that one receipt can name; the ones after these are named by a later receipt.
const GAPS_MAX: usize = 64;

/// The chunks of one blob that have arrived.
#[derive(Clone, Debug)]
pub struct Have {
    arrived: Vec<bool>,
    count: u32,
    front: u32,
}

/// What a receipt says of a transfer: everything before `front` has arrived, but for these gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// One past the highest chunk that has arrived.
    pub front: u32,
    missing: List<(u32, u32), GAPS_MAX>,
}

impl Have {
    /// Nothing yet, of this many chunks.
    pub fn nothing_of(chunks: u32) -> Self {
        Self { arrived: vec![false; chunks as usize], count: 0, front: 0 }
    }

    /// Notes a chunk; false when it was here already or is not a chunk of this blob.
    pub fn insert(&mut self, index: u32) -> bool {
        match self.arrived.get_mut(index as usize) {
            Some(arrived @ false) => {
                *arrived = true;
                self.count += 1;
                self.front = self.front.max(index + 1);
                true
            }
            _ => false,
        }
    }

    /// Whether this chunk is here.
    pub fn contains(&self, index: u32) -> bool {
        self.arrived.get(index as usize).is_some_and(|arrived| *arrived)
    }

    /// How many chunks are here.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// One past the highest chunk that is here.
    pub fn front(&self) -> u32 {
        self.front
    }

    /// Whether all are here.
    pub fn is_complete(&self) -> bool {
        self.count as usize == self.arrived.len()
    }

    /// What a receipt says of it.
    pub fn gaps(&self) -> Gaps {
        let mut missing = Vec::new();
        let mut front = self.front;
        let mut index = 0;
        while index < self.front && self.count < self.front {
            let start = index + self.run(index, true);
            let end = start + self.run(start, false);
            if start >= self.front {
                break;
            }
            if missing.len() == GAPS_MAX {
                // Gaps after these are not told yet, so neither is what lies behind them.
                front = start;
                break;
            }
            missing.push((start, end));
            index = end;
        }
        let missing = List::try_from(missing).unwrap_or_default();
        Gaps { front, missing }
    }

    /// How many chunks from `start` on are all here (or all missing).
    fn run(&self, start: u32, here: bool) -> u32 {
        self.arrived[start as usize..].iter().take_while(|arrived| **arrived == here).count() as u32
    }
}

impl Gaps {
    /// Everything before `front` is here.
    pub fn none_before(front: u32) -> Self {
        Self { front, missing: List::default() }
    }

    /// Whether a receipt that says this says that the chunk is here.
    pub fn tells(&self, index: u32) -> bool {
        let after = self.missing.partition_point(|&(start, _)| start <= index);
        let before = after.checked_sub(1).map(|gap| self.missing[gap]);
        index < self.front && before.is_none_or(|(_, end)| index >= end)
    }

    /// The missing chunks before the front, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        self.missing.iter().flat_map(|&(start, end)| start..end)
    }
}

impl Wire for Gaps {
    fn put(&self, out: &mut Vec<u8>) {
        self.front.put(out);
        self.missing.put(out);
    }

    /// Gaps are sorted, apart from each other, not empty and before the front: one encoding each.
    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let front = u32::take(input)?;
        let missing = List::<(u32, u32), GAPS_MAX>::take(input)?;
        let mut from = 0;
        for (index, &(start, end)) in missing.iter().enumerate() {
            let apart = index == 0 || start > from;
            if !(apart && start < end && end <= front) {
                return Err(input.error(Fault::Invalid("gaps out of order")));
            }
            from = end;
        }
        Ok(Self { front, missing })
    }
}

impl Wire for (u32, u32) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok((Wire::take(input)?, Wire::take(input)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{decode, encode};

    #[test]
    fn gaps_are_what_is_missing_before_the_front() {
        let mut have = Have::nothing_of(10);
        for index in [0, 1, 4, 7] {
            assert!(have.insert(index));
        }
        assert_eq!(have.gaps().missing().collect::<Vec<_>>(), [2, 3, 5, 6]);
        assert_eq!(have.gaps().front, 8);
        assert!(!have.insert(4), "a chunk that is here is not new");
        assert!(!have.insert(10), "a chunk past the end is none");
    }

    #[test]
    fn more_gaps_than_a_receipt_holds_move_its_front_back() {
        let mut have = Have::nothing_of(400);
        for index in (1..400).step_by(2) {
            assert!(have.insert(index));
        }
        let gaps = have.gaps();
        assert_eq!(gaps.missing().count(), GAPS_MAX);
        assert_eq!(gaps.front as usize, 2 * GAPS_MAX);
    }

    proptest! {
        #[test]
        fn front_and_gaps_tell_exactly_what_has_arrived(indices in proptest::collection::vec(0_u32..60, 0..80)) {
            let mut have = Have::nothing_of(60);
            for index in indices {
                have.insert(index);
            }
            let gaps: Gaps = decode(&encode(&have.gaps())).unwrap();
            let missing: Vec<u32> = gaps.missing().collect();
            for index in 0..60 {
                let told = index < gaps.front && !missing.contains(&index);
                prop_assert_eq!(gaps.tells(index), told);
                prop_assert_eq!(told, have.contains(index));
            }
        }
    }
}
