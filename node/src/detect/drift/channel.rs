//! One number of the blocks, in their order: where each new one falls among those before it.

use serde::{Deserialize, Serialize};

use super::wager::Wager;

/// Blocks without which nothing is said: two weeks of days. With fewer it takes long to be sure, and a history that wanders
/// looks like one that does not.
pub const BLOCKS_MIN: usize = 14;

/// Blocks that are remembered one by one. Once a number is watched it is only counted between which of them later ones fell: so a
/// change does not become part of what it is measured by.
const BLOCKS_MAX: usize = 64;

/// A history with a smaller von Neumann ratio of ranks than so many of its standard deviations below the mean wanders: of
/// exchangeable ones that is one in twenty (Bartels 1982).
const WANDERS_SDS: f64 = 1.645;

/// A number of the blocks so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Channel {
    /// Those before it was watched, in their order.
    known: Vec<f64>,
    /// How many later ones fell below all of these, between the two smallest, and so on; empty while none did.
    later: Vec<u64>,
    stage: Stage,
}

/// Whether a number is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// There are too few blocks.
    Gathering,
    /// It is.
    Watched(Wager),
    /// It is not: blocks that are close in time are alike in the history, so they are not exchangeable.
    Wandering,
}

impl Channel {
    /// Begins after these blocks.
    pub(super) fn after(history: &[f64]) -> Self {
        let known = history[history.len().saturating_sub(BLOCKS_MAX)..].to_vec();
        let mut channel = Self { known, later: Vec::new(), stage: Stage::Gathering };
        channel.settle();
        channel
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Takes the number of the next block.
    pub(super) fn take(&mut self, number: f64, block: u64) {
        match &mut self.stage {
            Stage::Wandering => (),
            Stage::Gathering => {
                self.known.push(number);
                self.settle();
            }
            Stage::Watched(wager) => {
                let below = self.known.iter().filter(|known| **known < number).count();
                wager.bet(interval(self.known.len(), &self.later, below), block);
                self.later.resize(self.known.len() + 1, 0);
                self.later[below] += 1;
            }
        }
    }

    /// With enough blocks it is settled whether the number is watched, by their order alone. If blocks are exchangeable, that
    /// says nothing of where the next ones fall among them.
    fn settle(&mut self) {
        if self.stage == Stage::Gathering && self.known.len() >= BLOCKS_MIN {
            self.stage =
                if wanders(&self.known) { Stage::Wandering } else { Stage::Watched(Wager::default()) };
        }
    }
}

/// Where among so many blocks one is that is above `below` of them: as likely to be in any part of 0 to 1 as that is long. A gap
/// into which others fell later is so much likelier (Pólya's urn).
fn interval(known: usize, later: &[u64], below: usize) -> (f64, f64) {
    let fell = |gaps: usize| gaps as u64 + later.iter().take(gaps).sum::<u64>();
    let all = fell(known + 1) as f64;
    (fell(below) as f64 / all, fell(below + 1) as f64 / all)
}

/// Whether numbers that follow each other are more alike than others.
fn wanders(numbers: &[f64]) -> bool {
    let rank = |number: &f64| numbers.iter().filter(|other| *other < number).count() as f64;
    let ranks: Vec<f64> = numbers.iter().map(rank).collect();
    let count = ranks.len() as f64;
    let mean = (count - 1.0) / 2.0;
    let steps: f64 = ranks.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)).sum();
    let all: f64 = ranks.iter().map(|rank| (rank - mean).powi(2)).sum();
    // Mean 2 and variance 4 / count, nearly.
    steps / all < 2.0 - WANDERS_SDS * 2.0 / count.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gap_is_as_likely_as_any_other_and_more_so_for_each_that_fell_into_it() {
        assert_eq!(interval(3, &[], 0), (0.0, 0.25));
        assert_eq!(interval(3, &[], 3), (0.75, 1.0));
        assert_eq!(interval(3, &[0, 4, 0, 0], 1), (0.125, 0.75));
        for later in [vec![], vec![3, 0, 0, 9, 1]] {
            let all: f64 = (0..5).map(|below| interval(4, &later, below)).map(|(from, to)| to - from).sum();
            assert!((all - 1.0).abs() < 1e-12, "{later:?}");
        }
    }

    #[test]
    fn a_history_that_goes_up_or_stays_where_it_was_wanders_and_one_that_jumps_does_not() {
        let slow = |day: usize| (day as f64 / 5.0).sin();
        let up = |day: usize| day as f64;
        let jumps = |day: usize| ((day * 7 + 3) % 20) as f64;
        let of = |number: &dyn Fn(usize) -> f64| Channel::after(&(0..20).map(number).collect::<Vec<_>>());
        assert_eq!(
            [&slow as &dyn Fn(usize) -> f64, &up].map(|number| of(number).stage),
            [(); 2].map(|()| Stage::Wandering)
        );
        assert!(matches!(of(&jumps).stage, Stage::Watched(_)));
        assert_eq!(Channel::after(&[1.0; BLOCKS_MIN - 1]).stage, Stage::Gathering);
    }

    #[test]
    fn the_memory_is_bounded_and_the_newest_of_a_history_stay() {
        let mut channel = Channel::after(&(0..500).map(|day| f64::from(day * 37 % 100)).collect::<Vec<_>>());
        assert_eq!((channel.known.len(), channel.known[BLOCKS_MAX - 1]), (BLOCKS_MAX, 63.0));
        for day in 0..500 {
            channel.take((day * 41 % 100) as f64, day);
        }
        assert_eq!((channel.known.len(), channel.later.len()), (BLOCKS_MAX, BLOCKS_MAX + 1));
        assert_eq!(channel.later.iter().sum::<u64>(), 500);
    }
}
