//! Weighted federated averaging: `w ← w + Σ nₖ Δₖ / Σ nₖ`, with deltas `Δₖ = wₖ - w`.
//!
//! This is algorithm 1 of "Communication-efficient learning of deep networks from decentralized
//! data" (AISTATS 2017), which writes it with the parameters `wₖ` themselves.
//!
//! The sum is exact, so the order of arrival cannot reach the result. Each delta is rounded once
//! to a multiple of 2⁻²⁴ (an error of at most 2⁻²⁵ a value, and so at most 2⁻²⁵ in the mean) and
//! everything after that is integer addition. Memory is one `i64` a parameter, whatever the cohort.

use common::limits::{COHORT_MAX, WEIGHT_MAX};

use super::UpdateFault;

/// The largest value of a delta, either side of zero.
pub const DELTA_MAX: f32 = 64.0;

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

/// Partial sums of the norm.
const LANES: usize = 64;

/// The exact weighted sum of a round's deltas.
#[derive(Debug)]
pub struct FedAvg {
    parameters: usize,
    /// In units of 2⁻²⁴ samples. Made by the first fold, from the memory of the round before.
    sums: Vec<i64>,
    folded: usize,
    weight_total: u64,
}

/// What folding an update told about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Folded {
    /// Euclidean norm of the delta.
    pub delta_norm: f32,
}

impl FedAvg {
    /// An empty sum for a model of this many parameters. The first fold takes eight bytes for each.
    pub fn new(parameters: usize) -> Self {
        Self { parameters, sums: Vec::new(), folded: 0, weight_total: 0 }
    }

    /// Empties the sum for the next round and keeps its memory.
    pub fn reset(&mut self) {
        self.sums.clear();
        (self.folded, self.weight_total) = (0, 0);
    }

    /// Empties the sum and gives its memory back.
    pub fn release(&mut self) {
        *self = Self::new(self.parameters);
    }

    /// How many updates are in the sum.
    pub fn folded(&self) -> usize {
        self.folded
    }

    /// The samples behind the sum.
    pub fn weight_total(&self) -> u64 {
        self.weight_total
    }

    /// Adds one node's delta: its parameters minus the round's model, as little-endian binary32,
    /// trained on `weight` samples.
    ///
    /// # Errors
    ///
    /// [`UpdateFault`] tells what was wrong with it; nothing of it is in the sum.
    ///
    /// # Panics
    ///
    /// When more updates are folded than a cohort may have: the round counts them.
    pub fn fold(&mut self, delta: &[u8], weight: u64) -> Result<Folded, UpdateFault> {
        assert!(self.folded < COHORT_MAX, "a round folds one update a member of its cohort");
        let (expected_bytes, found_bytes) = (self.parameters * 4, delta.len());
        if expected_bytes != found_bytes {
            return Err(UpdateFault::WrongShape { expected_bytes, found_bytes });
        }
        if weight == 0 || weight > WEIGHT_MAX {
            return Err(UpdateFault::WrongWeight(weight));
        }
        let values = delta.as_chunks::<4>().0;
        check(values)?;

        let weighted = |value: &[u8; 4]| to_integer(to_units(f32::from_le_bytes(*value)) * weight as f64);
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
        Ok(Folded { delta_norm: square_sum(values).sqrt() as f32 })
    }

    /// Moves `model`, the round's model, by the weighted mean of the deltas.
    ///
    /// # Panics
    ///
    /// When nothing was folded, or `model` has another length: reporting closes with at least one
    /// update, and both lengths are the schema's.
    pub fn finish(&self, model: &mut [f32]) {
        assert!(self.folded > 0, "a mean needs an update");
        assert_eq!(model.len(), self.sums.len(), "the sum is for this model");
        // At most 2³² samples x 2²⁴ units: exact. So there is one rounding in the conversion of
        // the sum, one in the division, one in the addition and one to binary32, always the same.
        let units = self.weight_total as f64 * UNITS;
        for (value, &sum) in model.iter_mut().zip(&self.sums) {
            *value = (f64::from(*value) + sum as f64 / units) as f32;
        }
    }
}

/// The nearest whole number of units, ties to even. Exact in `f32` up to the rounding, which the
/// addition does: IEEE 754-2019 section 4.3.1, and vectorises where `round_ties_even` is a call.
fn to_units(delta: f32) -> f64 {
    (f64::from(delta) * UNITS + ROUNDER) - ROUNDER
}

/// An integer of less than 2⁵¹ as an integer: near [`ROUNDER`] it is the low bits of the mantissa.
fn to_integer(whole: f64) -> i64 {
    (whole + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i64
}

/// Refuses values that are not finite or out of range.
fn check(values: &[[u8; 4]]) -> Result<(), UpdateFault> {
    // The bits of a magnitude are ordered as the magnitudes are, infinity and NaN above all.
    let magnitude = |value: &[u8; 4]| i32::from_le_bytes(*value) & i32::MAX;
    let largest = values.iter().fold(0, |largest, value| magnitude(value).max(largest));
    if largest as u32 <= DELTA_MAX.to_bits() { Ok(()) } else { Err(first_fault(values)) }
}

/// In lanes of a fixed number, so that it vectorises and the order of additions is the same everywhere.
fn square_sum(values: &[[u8; 4]]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (groups, rest) = values.as_chunks::<LANES>();
    for group in groups {
        lanes.iter_mut().zip(group).for_each(|(lane, value)| *lane += square(*value));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane += square(*value));
    lanes.iter().sum()
}

fn square(value: [u8; 4]) -> f64 {
    let value = f64::from(f32::from_le_bytes(value));
    value * value
}

fn first_fault(values: &[[u8; 4]]) -> UpdateFault {
    let mut values = values.iter().map(|value| f32::from_le_bytes(*value)).enumerate();
    let (index, value) = values
        .find(|(_, value)| value.is_nan() || value.abs() > DELTA_MAX)
        .expect("the largest magnitude is over the limit");
    if value.is_finite() {
        UpdateFault::OutOfRange { index, value }
    } else {
        UpdateFault::NonFinite { index, value }
    }
}

#[cfg(test)]
mod tests;
