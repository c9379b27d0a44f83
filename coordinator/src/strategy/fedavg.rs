//! Weighted federated averaging: `w ← w + Σ nₖ Δₖ / Σ nₖ` (McMahan et al. 2017, algorithm 1,
//! written with deltas `Δₖ = wₖ - w`).
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

/// Values looked at together when an update is checked: as many as keep the vector units busy.
const LANES: usize = 8;

/// The exact weighted sum of a round's deltas.
#[derive(Debug)]
pub struct FedAvg {
    /// In units of 2⁻²⁴ samples. Meaningless until the first fold, which overwrites it: a new
    /// round needs no clearing, and the pages stay those of the round before.
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
    /// An empty sum for a model of this many parameters, eight bytes each. The pages are touched
    /// by the first fold.
    pub fn new(parameters: usize) -> Self {
        Self { sums: vec![0; parameters], folded: 0, weight_total: 0 }
    }

    /// Empties the sum for the next round and keeps its memory.
    pub fn reset(&mut self) {
        (self.folded, self.weight_total) = (0, 0);
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
        let (expected_bytes, found_bytes) = (self.sums.len() * 4, delta.len());
        if expected_bytes != found_bytes {
            return Err(UpdateFault::WrongShape { expected_bytes, found_bytes });
        }
        if weight == 0 || weight > WEIGHT_MAX {
            return Err(UpdateFault::WrongWeight(weight));
        }
        let values = delta.as_chunks::<4>().0;
        let square_sum = checked_square_sum(values)?;

        let weighted = values.iter().map(|value| to_units(f32::from_le_bytes(*value)) * weight as f64);
        let sums = self.sums.iter_mut().zip(weighted);
        match self.folded {
            0 => sums.for_each(|(sum, weighted)| *sum = to_integer(weighted)),
            _ => sums.for_each(|(sum, weighted)| *sum += to_integer(weighted)),
        }
        self.folded += 1;
        self.weight_total += weight;
        Ok(Folded { delta_norm: square_sum.sqrt() as f32 })
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

/// The sum of squares, when every value is finite and in range.
fn checked_square_sum(values: &[[u8; 4]]) -> Result<f64, UpdateFault> {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut squares = [0.0_f64; LANES];
    // The bits of a magnitude are ordered as the magnitudes are, infinity and NaN above all.
    let mut magnitude_max = [0_u32; LANES];
    for group in groups {
        for lane in 0..LANES {
            let value = f32::from_le_bytes(group[lane]);
            magnitude_max[lane] = magnitude_max[lane].max(value.abs().to_bits());
            squares[lane] += f64::from(value) * f64::from(value);
        }
    }
    for (lane, value) in rest.iter().map(|value| f32::from_le_bytes(*value)).enumerate() {
        magnitude_max[lane] = magnitude_max[lane].max(value.abs().to_bits());
        squares[lane] += f64::from(value) * f64::from(value);
    }
    match magnitude_max.iter().all(|&bits| bits <= DELTA_MAX.to_bits()) {
        true => Ok(squares.iter().sum()),
        false => Err(first_fault(values)),
    }
}

fn first_fault(values: &[[u8; 4]]) -> UpdateFault {
    let mut values = values.iter().map(|value| f32::from_le_bytes(*value)).enumerate();
    let (index, value) = values
        .find(|(_, value)| !(value.abs() <= DELTA_MAX))
        .expect("the largest magnitude is over the limit");
    match value.is_finite() {
        true => UpdateFault::OutOfRange { index, value },
        false => UpdateFault::NonFinite { index, value },
    }
}

#[cfg(test)]
mod tests;
