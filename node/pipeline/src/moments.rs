//! Count, mean and spread of a stream of numbers, in a form that two nodes can add up.

use serde::{Deserialize, Serialize};

/// Count, mean and sum of squared differences from the mean (Welford 1962).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many numbers.
    pub count: u64,
    /// Their mean; 0 when there are none.
    pub mean: f64,
    /// Sum of squared differences from the mean.
    pub squares: f64,
}

impl Moments {
    /// Takes one more number.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// The moments of both streams together (Chan, Golub, `LeVeque` 1979): what makes statistics
    /// of several nodes one, without their telemetry.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0 {
            return Self::default();
        }
        let distance = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        Self {
            count,
            mean: self.mean + distance * share,
            squares: self.squares + other.squares + distance * distance * self.count as f64 * share,
        }
    }

    /// Standard deviation of the population; 0 when there are no numbers.
    pub fn sd(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).max(0.0).sqrt() }
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        values.into_iter().for_each(|value| moments.add(value));
        moments
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_of_two_four_four_four_five_five_seven_nine() {
        let moments: Moments = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().collect();
        assert_eq!((moments.count, moments.mean, moments.squares), (8, 5.0, 32.0));
        assert!((moments.sd() - 2.0).abs() < 1e-12);
        assert_eq!(Moments::default().merge(Moments::default()), Moments::default());
        assert!(Moments::default().sd().abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn merged_moments_are_those_of_the_joined_stream(
            left in prop::collection::vec(-100.0..100.0, 0..20),
            right in prop::collection::vec(-100.0..100.0, 1..20),
        ) {
            let joined: Moments = left.iter().chain(&right).copied().collect();
            let merged = left.into_iter().collect::<Moments>().merge(right.into_iter().collect());
            prop_assert_eq!(merged.count, joined.count);
            prop_assert!((merged.mean - joined.mean).abs() < 1e-9);
            prop_assert!((merged.squares - joined.squares).abs() < 1e-6);
        }
    }
}
