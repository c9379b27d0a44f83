//! One update as it arrived: little-endian binary32, checked before anything is made of it.

use common::limits::WEIGHT_MAX;

/// The largest value of a delta, either side of zero.
pub const DELTA_MAX: f32 = 64.0;

/// The most steps that an update may claim.
pub const STEPS_MAX: u32 = 1 << 20;

/// What an update claims to stand for, and how old it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Samples trained on.
    pub weight: u64,
    /// Steps that the optimiser took.
    pub steps: u32,
    /// How many rounds ago the model that it began with was the newest.
    pub staleness: u32,
}

/// Partial sums of the norm.
const LANES: usize = 64;

/// Values that are looked at together: while something is made of them they are still in the first cache.
pub(super) const BLOCK: usize = 32 * LANES;

/// What was wrong with an update's values. Nothing of it was taken.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum UpdateFault {
    /// Too few or too many values for the model, or a last value that is cut.
    #[error("{found_bytes} bytes of values, but the model has {expected_bytes}")]
    WrongShape {
        /// Four for each parameter of the model.
        expected_bytes: usize,
        /// What the update has.
        found_bytes: usize,
    },
    /// No samples, or more than an update may claim.
    #[error("a weight of {0} samples; it must be from 1 to {max}", max = WEIGHT_MAX)]
    WrongWeight(u64),
    /// No steps, or more than an update may claim.
    #[error("{0} steps; it must be from 1 to {max}", max = STEPS_MAX)]
    WrongSteps(u32),
    /// A value is infinite or not a number.
    #[error("value {index} is {value}")]
    NonFinite {
        /// Where it is in the flat vector.
        index: usize,
        /// `inf`, `-inf` or `NaN`.
        value: f32,
    },
    /// A value is farther from zero than the exact sum can hold.
    // The value itself stays unsaid: reasons are told in the clear.
    #[error("value {index} is out of range: a delta must be within ±{max}", max = DELTA_MAX)]
    OutOfRange {
        /// Where it is in the flat vector.
        index: usize,
        /// The value.
        value: f32,
    },
}

/// The values of an update that must have so many of them, not yet looked at.
///
/// # Errors
///
/// [`UpdateFault`] tells what was wrong with it.
pub(super) fn check(delta: &[u8], effort: Effort, values: usize) -> Result<&[[u8; 4]], UpdateFault> {
    let (expected_bytes, found_bytes) = (values * 4, delta.len());
    if expected_bytes != found_bytes {
        return Err(UpdateFault::WrongShape { expected_bytes, found_bytes });
    }
    if !(1..=WEIGHT_MAX).contains(&effort.weight) {
        return Err(UpdateFault::WrongWeight(effort.weight));
    }
    if !(1..=STEPS_MAX).contains(&effort.steps) {
        return Err(UpdateFault::WrongSteps(effort.steps));
    }
    Ok(delta.as_chunks::<4>().0)
}

/// The Euclidean norm of the first of the values; all of them are looked at.
///
/// # Errors
///
/// [`UpdateFault`] names the first value that cannot be.
pub(super) fn look(values: &[[u8; 4]], first: usize) -> Result<f64, UpdateFault> {
    let (first, rest) = values.split_at(first);
    let mut looks = [Look::default(), Look::default()];
    for (look, values) in looks.iter_mut().zip([first, rest]) {
        values.chunks(BLOCK).for_each(|block| look.at(block));
    }
    let [first, rest] = looks;
    if first.is_fine() && rest.is_fine() { Ok(first.norm()) } else { Err(first_fault(values)) }
}

/// What was seen of values that are looked at block by block.
pub(super) struct Look {
    /// Of the squares, a fixed number of sums: it vectorises, and the order of additions is the same everywhere.
    squares: [f64; LANES],
    /// The bits of a magnitude are ordered as the magnitudes are, infinity and NaN above all.
    largest: i32,
}

impl Default for Look {
    fn default() -> Self {
        Self { squares: [0.0; LANES], largest: 0 }
    }
}

impl Look {
    /// Looks at the next block; all but the last have [`BLOCK`] values.
    pub(super) fn at(&mut self, block: &[[u8; 4]]) {
        let magnitude = |value: &[u8; 4]| i32::from_le_bytes(*value) & i32::MAX;
        self.largest = block.iter().fold(self.largest, |largest, value| magnitude(value).max(largest));
        let (groups, rest) = block.as_chunks::<LANES>();
        for group in groups {
            self.squares.iter_mut().zip(group).for_each(|(sum, value)| *sum += square(*value));
        }
        self.squares.iter_mut().zip(rest).for_each(|(sum, value)| *sum += square(*value));
    }

    /// Whether every value so far can be one of a delta.
    pub(super) fn is_fine(&self) -> bool {
        self.largest as u32 <= DELTA_MAX.to_bits()
    }

    /// The Euclidean norm.
    pub(super) fn norm(&self) -> f64 {
        self.squares.iter().sum::<f64>().sqrt()
    }
}

fn square(value: [u8; 4]) -> f64 {
    let value = f64::from(f32::from_le_bytes(value));
    value * value
}

/// What is wrong with values of which one cannot be.
pub(super) fn first_fault(values: &[[u8; 4]]) -> UpdateFault {
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
