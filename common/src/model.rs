//! What is learned: named tensors, the flat vector of their values, and the task that trains them.

mod architecture;
mod foresees;
mod layer;
mod parameters;
mod schema;
mod statistics;

pub use architecture::{Classifier, Forecaster, MetricName, Task};
pub use foresees::{Failure, Foresees, Load, Misfit, Quantile};
pub use layer::{KERNEL_STEPS, Layer, Network, POOLED_STEPS};
pub use parameters::{ParameterVector, ParametersError};
pub(crate) use parameters::{take_values, write_values};
pub use schema::{Schema, SchemaError, Tensor};
pub use statistics::{ERROR_MAX, EVALUATION_ROUNDS, Statistics, Usual};
