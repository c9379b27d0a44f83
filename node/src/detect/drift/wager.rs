//! A bet that the next number will be among the highest, or among the lowest. Who bets on what is drawn evenly wins nothing
//! in the mean: what a wager is worth is evidence that it is not.

use serde::{Deserialize, Serialize};

/// A bet by this power puts so much on the outermost part `p` of all numbers: `p` to the power of it.
const POWERS: [f64; 3] = [0.1, 0.3, 0.6];

/// The one of these bets whose latest run of luck tells when a change began (Page 1954).
const TELLING: usize = 0;

/// Stakes: one that rests, one for each power on high numbers, and one for each on low ones.
const STAKES: usize = 1 + 2 * POWERS.len();

/// How they are dealt out: half of all rests.
const SHARES: [f64; STAKES] = {
    let bet = 0.5 / (STAKES - 1) as f64;
    [0.5, bet, bet, bet, bet, bet, bet]
};

/// The share of all stakes that is dealt out anew before each bet, so that what was lost before a change is no hindrance after it
/// (the Simple Jumper of Vovk et al. 2021).
const JUMPING_RATE: f64 = 0.01;

/// What was won so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wager {
    stakes: [f64; STAKES],
    /// What a bet on high numbers is winning, and what one on low numbers is.
    high: Luck,
    low: Luck,
}

/// A run of luck: what a bet has won since it last had nothing, as a logarithm, and from which block on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Luck {
    won: f64,
    since: Option<u64>,
}

impl Luck {
    fn go_on(&mut self, odds: f64, block: u64) {
        self.won += odds.ln();
        if self.won > 0.0 {
            self.since.get_or_insert(block);
        } else {
            *self = Self::default();
        }
    }
}

impl Default for Wager {
    fn default() -> Self {
        Self { stakes: SHARES, high: Luck::default(), low: Luck::default() }
    }
}

impl Wager {
    /// Bets on a block of which it is known that it will fall evenly between 0 and 1, if nothing has changed; and it fell there.
    pub(super) fn bet(&mut self, (from, to): (f64, f64), block: u64) {
        let dealt = JUMPING_RATE * self.evidence();
        let likely = to - from;
        let low = POWERS.map(|power| (to.powf(power) - from.powf(power)) / likely);
        let high = POWERS.map(|power| ((1.0 - from).powf(power) - (1.0 - to).powf(power)) / likely);
        let odds = [1.0].into_iter().chain(high).chain(low);
        for ((stake, share), odds) in self.stakes.iter_mut().zip(SHARES).zip(odds) {
            *stake = ((1.0 - JUMPING_RATE) * *stake + dealt * share) * odds;
        }
        self.high.go_on(high[TELLING], block);
        self.low.go_on(low[TELLING], block);
    }

    /// What it is worth, with a stake of 1.
    pub(super) fn evidence(&self) -> f64 {
        self.stakes.iter().sum()
    }

    /// The block since which it is winning, where it is.
    pub(super) fn since(&self) -> Option<u64> {
        if self.is_high() { self.high.since } else { self.low.since }
    }

    /// Whether more was won on high numbers than on low ones.
    pub(super) fn is_high(&self) -> bool {
        let (high, low) = self.stakes[1..].split_at(POWERS.len());
        high.iter().sum::<f64>() > low.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_was_bet_before_nothing_is_won_in_the_mean(
            places in prop::collection::vec(0_usize..20, 0..60),
            cuts in prop::collection::btree_set(1_u32..1000, 0..30),
        ) {
            let mut wager = Wager::default();
            for place in places {
                wager.bet((place as f64 / 20.0, (place + 1) as f64 / 20.0), 0);
            }
            let cuts = [0].into_iter().chain(cuts).chain([1000]);
            let cuts: Vec<f64> = cuts.map(|cut| f64::from(cut) / 1000.0).collect();
            let worth = |part: &[f64]| {
                let mut next = wager.clone();
                next.bet((part[0], part[1]), 1);
                next.evidence() * (part[1] - part[0])
            };
            let mean: f64 = cuts.windows(2).map(worth).sum();
            prop_assert!((mean / wager.evidence() - 1.0).abs() < 1e-9, "{mean} of {}", wager.evidence());
        }
    }

    #[test]
    fn what_stays_at_one_end_is_told_with_its_end_and_its_begin() {
        let mut wager = Wager::default();
        for block in 0..10 {
            wager.bet((0.45, 0.5), block);
        }
        assert_eq!(wager.since(), None);
        for block in 10..16 {
            wager.bet((0.95, 1.0), block);
        }
        assert!(wager.evidence() > 1000.0 && wager.is_high() && wager.since() == Some(10), "{wager:?}");
    }
}
