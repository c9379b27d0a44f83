//! The weighted mean of deltas `Δₖ = wₖ - w`, exactly: `Σ nₖ Δₖ / Σ nₖ`.
//!
//! This is the sum in algorithm 1 of McMahan et al. 2017, "Communication-efficient learning of deep networks from
//! decentralized data", which writes it with the parameters `wₖ` themselves.
//!
//! Or the normalized mean `τ Σ nₖ/τₖ Δₖ / Σ nₖ` with `τₖ` the steps of a node and `τ = Σ nₖ τₖ / Σ nₖ`: FedNova, Wang et
//! al. 2020, "Tackling the objective inconsistency problem in heterogeneous federated optimization", equations 6 and 8,
//! for nodes that descend by plain gradients (`‖aₖ‖₁ = τₖ`).
//!
//! The sum is exact, so the order of arrival cannot reach the result. Each weighted delta is rounded once to a multiple
//! of 2⁻²⁴ samples (an error of at most 2⁻²⁵, and so at most 2⁻²⁵ in the mean) and everything after that is integer
//! addition. Memory is one `i64` a parameter, whatever the cohort.

use common::limits::{COHORT_MAX, WEIGHT_MAX};

use super::update::{self, BLOCK, DELTA_MAX, Effort, Look, STEPS_MAX, UpdateFault};

/// Binary digits after the point of a folded delta.
const FRACTION_BITS: u32 = 24;

/// Units in 1.0.
const UNITS: f64 = (1_u64 << FRACTION_BITS) as f64;

/// Units in the largest delta.
const UNITS_MAX: u64 = (DELTA_MAX as u64) << FRACTION_BITS;

// 2³⁰ units x 2²⁰ samples x 2¹² nodes = 2⁶²: no sum of a whole cohort can overflow.
const _: () = assert!(UNITS_MAX as u128 * WEIGHT_MAX as u128 * COHORT_MAX as u128 <= 1 << 62);
// A weighted delta is an integer that `to_integer` can convert.
const _: () = assert!(UNITS_MAX as u128 * WEIGHT_MAX as u128 <= 1 << 50);

// And the sum of weighted steps is one that `f64` holds exactly.
const _: () = assert!(WEIGHT_MAX as u128 * STEPS_MAX as u128 * COHORT_MAX as u128 <= 1 << 53);

/// 1.5 x 2⁵²: a double near it has a unit in the last place of exactly 1.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The exact weighted sum of a round's deltas.
#[derive(Debug, Default)]
pub(super) struct Mean {
    /// In units of 2⁻²⁴ samples. Made by the first fold, from the memory of the round before.
    sums: Vec<i64>,
    folded: usize,
    weight_total: u64,
    /// Samples times steps, summed up, when each delta is divided by its steps.
    steps_total: Option<u64>,
}

impl Mean {
    /// A sum for the normalized mean.
    pub(super) fn normalized() -> Self {
        Self { steps_total: Some(0), ..Self::default() }
    }

    /// Empties the sum for the next round and keeps its memory.
    pub(super) fn reset(&mut self) {
        self.sums.clear();
        (self.folded, self.weight_total) = (0, 0);
        self.steps_total = self.steps_total.map(|_| 0);
    }

    /// Adds one delta, each value times `scale`, which is at most 1. Returns the norm of the first of its values. Each
    /// block is looked at and added while it is in the cache: memory is read once.
    ///
    /// # Errors
    ///
    /// [`UpdateFault`] names the first value that cannot be; the sum is what it was.
    pub(super) fn fold(
        &mut self,
        values: &[[u8; 4]],
        first: usize,
        scale: f64,
        effort: Effort,
    ) -> Result<f64, UpdateFault> {
        assert!(self.folded < COHORT_MAX, "a round folds one update a member of its cohort");
        let Effort { weight, steps, .. } = effort;
        let divisor = if self.steps_total.is_some() { f64::from(steps) } else { 1.0 };
        let factor = scale * weight as f64 / divisor * UNITS;
        if self.folded == 0 {
            self.sums.reserve_exact(values.len());
        }
        let (mut added, mut norms) = (0, [0.0; 2]);
        let (model, rest) = values.split_at(first);
        for (norm, part) in norms.iter_mut().zip([model, rest]) {
            let mut look = Look::default();
            for block in part.chunks(BLOCK) {
                look.at(block);
                if !look.is_fine() {
                    self.take_back(&values[..added], factor);
                    return Err(update::first_fault(values));
                }
                self.add(added, block, factor);
                added += block.len();
            }
            *norm = look.norm();
        }
        self.folded += 1;
        self.weight_total += weight;
        self.steps_total = self.steps_total.map(|total| total + weight * u64::from(steps));
        Ok(norms[0])
    }

    /// Adds a block that begins there.
    fn add(&mut self, from: usize, block: &[[u8; 4]], factor: f64) {
        if self.folded == 0 {
            return self.sums.extend(block.iter().map(|value| weighted(*value, factor)));
        }
        let pairs = self.sums[from..].iter_mut().zip(block);
        // Never wraps, see above; a checked addition would not vectorise in a build with checks.
        pairs.for_each(|(sum, value)| *sum = sum.wrapping_add(weighted(*value, factor)));
    }

    /// Undoes [`Self::add`] from the beginning: integers leave no trace.
    fn take_back(&mut self, values: &[[u8; 4]], factor: f64) {
        if self.folded == 0 {
            return self.sums.clear();
        }
        let pairs = self.sums.iter_mut().zip(values);
        pairs.for_each(|(sum, value)| *sum = sum.wrapping_sub(weighted(*value, factor)));
    }

    /// Updates in the sum.
    pub(super) fn folded(&self) -> usize {
        self.folded
    }

    /// The mean, in the order of the model's values.
    ///
    /// # Panics
    ///
    /// When nothing was folded: reporting closes with at least one update.
    pub(super) fn deltas(&self) -> impl Iterator<Item = f64> {
        assert!(self.folded > 0, "a mean needs an update");
        // At most 2³² samples x 2²⁴ units: exact. So there is one rounding in the conversion of the sum and one in
        // the division, always the same; and two more for the mean number of steps.
        let weight = self.weight_total as f64;
        let (units, steps) = (weight * UNITS, self.steps_total.map_or(1.0, |total| total as f64 / weight));
        self.sums.iter().map(move |sum| *sum as f64 / units * steps)
    }
}

/// A value in units of the sum.
fn weighted(value: [u8; 4], factor: f64) -> i64 {
    to_integer(f64::from(f32::from_le_bytes(value)) * factor)
}

/// The nearest integer, ties to even, to a number within ±2⁵⁰. The addition rounds (IEEE 754-2019, section 4.3.1), and
/// near [`ROUNDER`] the integer is the low bits of the mantissa; that vectorises where `round_ties_even` is a call.
fn to_integer(number: f64) -> i64 {
    (number + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_weighted_delta_is_rounded_to_the_nearest_unit(delta in -DELTA_MAX..=DELTA_MAX, weight in 1..=WEIGHT_MAX) {
            let units = f64::from(delta) * weight as f64 * UNITS;
            prop_assert_eq!(to_integer(units), units.round_ties_even() as i64);
        }
    }
}
