//! Updates in, parameters out: how the nodes' deltas become the next model.

pub mod fedavg;

pub use fedavg::{FedAvg, Folded};

/// What was wrong with an update's values. The sum it was meant for is as it was before.
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
    #[error("a weight of {0} samples; it must be from 1 to {max}", max = common::limits::WEIGHT_MAX)]
    WrongWeight(u64),
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
    #[error("value {index} is out of range: a delta must be within ±{max}", max = fedavg::DELTA_MAX)]
    OutOfRange {
        /// Where it is in the flat vector.
        index: usize,
        /// The value.
        value: f32,
    },
}
