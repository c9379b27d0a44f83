//! When a score is an alarm: above what the node's own healthy history nearly never reached.

use serde::{Deserialize, Serialize};

/// A score above this is an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold(pub f64);

impl Threshold {
    /// The score that a share `quantile` (0 to 1) of the scores do not exceed, by the nearest rank;
    /// none when there are no scores.
    pub fn at_quantile(scores: impl IntoIterator<Item = f64>, quantile: f64) -> Option<Self> {
        let mut sorted: Vec<f64> = scores.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let rank = (quantile.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map(|&score| Self(score))
    }

    /// Whether this score is an alarm.
    pub fn alarms(self, score: f64) -> bool {
        score > self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nine_of_ten_scores_do_not_exceed_the_nine_tenths_quantile() {
        let scores = (1..=10).rev().map(f64::from);
        assert_eq!(Threshold::at_quantile(scores.clone(), 0.9), Some(Threshold(9.0)));
        assert_eq!(Threshold::at_quantile(scores.clone(), 1.0), Some(Threshold(10.0)));
        assert_eq!(Threshold::at_quantile(scores, 0.0), Some(Threshold(1.0)));
        assert_eq!(Threshold::at_quantile([], 0.9), None);
        assert!(!Threshold(9.0).alarms(9.0) && Threshold(9.0).alarms(9.1));
    }

    proptest! {
        #[test]
        fn no_more_than_the_rest_of_the_quantile_alarms(
            scores in prop::collection::vec(0.0..100.0, 1..200),
            quantile in 0.0..=1.0,
        ) {
            let threshold = Threshold::at_quantile(scores.iter().copied(), quantile).unwrap();
            let alarms = scores.iter().filter(|score| threshold.alarms(**score)).count();
            prop_assert!(alarms as f64 <= (1.0 - quantile) * scores.len() as f64 + 1e-9);
        }
    }
}
