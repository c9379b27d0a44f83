//! The weighted mean of deltas `Δₖ = wₖ - w`, exactly: `Σ nₖ Δₖ / Σ nₖ`.
//!
//! This is the sum in algorithm 1 of McMahan et al. 2017, "Communication-efficient learning of deep networks from
//! decentralized data", which writes it with the parameters `wₖ` themselves.
//!
//! The sum is exact, so the order of arrival cannot reach the result. Each delta is rounded once to a multiple of
//! 2⁻²⁴ (an error of at most 2⁻²⁵ a value, and so at most 2⁻²⁵ in the mean) and everything after that is integer
//! addition. Memory is one `i64` a parameter, whatever the cohort.

use common::limits::{COHORT_MAX, WEIGHT_MAX};

use super::update::DELTA_MAX;

/// Binary digits after the point of a folded delta.
const FRACTION_BITS: u32 = 24;

/// Units in 1.0.
const UNITS: f64 = (1_u64 << FRACTION_BITS) as f64;

/// Units in the largest delta.
const UNITS_MAX: u64 = (DELTA_MAX as u64) << FRACTION_BITS;

// 2³⁰ units x 2²⁰ samples x 2¹² nodes = 2⁶²: no sum of a whole cohort can overflow.
const _: () = assert!(UNITS_MAX as u128 * WEIGHT_MAX as u128 * COHORT_MAX as u128 <= 1 << 62);
// A weighted delta is an integer that `f64` holds exactly and that `to_integer` can convert.
const _: () = assert!(UNITS_MAX as u128 * WEIGHT_MAX as u128 <= 1 << 50);

/// 1.5 x 2⁵²: a double near it has a unit in the last place of exactly 1.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The exact weighted sum of a round's deltas.
#[derive(Debug, Default)]
pub(super) struct Mean {
    /// In units of 2⁻²⁴ samples. Made by the first fold, from the memory of the round before.
    sums: Vec<i64>,
    folded: usize,
    weight_total: u64,
}

impl Mean {
    /// Empties the sum for the next round and keeps its memory.
    pub(super) fn reset(&mut self) {
        self.sums.clear();
        (self.folded, self.weight_total) = (0, 0);
    }

    /// Adds one checked delta, each value times `scale`, which is at most 1.
    pub(super) fn fold(&mut self, values: &[[u8; 4]], scale: f64, weight: u64) {
        assert!(self.folded < COHORT_MAX, "a round folds one update a member of its cohort");
        let weighted = |value: &[u8; 4]| {
            to_integer(to_units(f64::from(f32::from_le_bytes(*value)) * scale) * weight as f64)
        };
        if self.folded == 0 {
            self.sums.reserve_exact(values.len());
            self.sums.extend(values.iter().map(weighted));
        } else {
            let pairs = self.sums.iter_mut().zip(values);
            // Never wraps, see above; a checked addition would not vectorise in a build with checks.
            pairs.for_each(|(sum, value)| *sum = sum.wrapping_add(weighted(value)));
        }
        self.folded += 1;
        self.weight_total += weight;
    }

    /// The mean, in the order of the model's values.
    ///
    /// # Panics
    ///
    /// When nothing was folded: reporting closes with at least one update.
    pub(super) fn deltas(&self) -> impl Iterator<Item = f64> {
        assert!(self.folded > 0, "a mean needs an update");
        // At most 2³² samples x 2²⁴ units: exact. So there is one rounding in the conversion of the sum and one in
        // the division, always the same.
        let units = self.weight_total as f64 * UNITS;
        self.sums.iter().map(move |sum| *sum as f64 / units)
    }
}

/// The nearest whole number of units, ties to even. Exact up to the rounding, which the addition does: IEEE 754-2019
/// section 4.3.1, and vectorises where `round_ties_even` is a call.
fn to_units(delta: f64) -> f64 {
    (delta * UNITS + ROUNDER) - ROUNDER
}

/// An integer of less than 2⁵¹ as an integer: near [`ROUNDER`] it is the low bits of the mantissa.
fn to_integer(whole: f64) -> i64 {
    (whole + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delta_is_rounded_to_the_nearest_unit(delta in -DELTA_MAX..=DELTA_MAX, weight in 1..=WEIGHT_MAX) {
            let delta = f64::from(delta);
            let units = (delta * UNITS).round_ties_even() as i64;
            prop_assert_eq!(to_integer(to_units(delta) * weight as f64), units * weight as i64);
        }
    }
}
