//! Learning: the forecaster in burn, its training on one node, and its flat parameters.
//!
//! Single-threaded and seeded: the same task, start, windows and settings give the same bits on the
//! same kind of processor.

pub mod forecast;
mod model;
pub mod parameters;
pub mod train;

pub use forecast::{forecast, mean_loss};
pub use train::{Progress, Trained, Training, train};

use burn::tensor::Device;
use common::model::{Forecaster, ParameterVector, Schema, SchemaError, Task};
use pipeline::Windows;

/// Why a model was not trained or used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LearnError {
    /// The task's model is over a limit.
    #[error("the task has no model: {0}")]
    Task(#[from] SchemaError),
    /// A task without metrics, past steps or with an empty layer.
    #[error("a layer of the task's model is empty")]
    EmptyLayer,
    /// The parameters are those of another task.
    #[error("the parameters have another schema than the task")]
    OtherSchema,
    /// The windows are those of another task.
    #[error("windows of {past_steps} steps x {columns} metrics do not fit the task")]
    OtherWindows {
        /// Past steps in a window.
        past_steps: usize,
        /// Metrics in a row.
        columns: usize,
    },
    /// There is nothing to learn from.
    #[error("no window to learn from: too few records without a gap in time")]
    NoWindows,
    /// The loss became NaN or infinite.
    #[error("the loss is not finite in epoch {epoch}, step {step}")]
    NotFinite {
        /// Epoch, counted from 1.
        epoch: u32,
        /// Step in the epoch, counted from 1.
        step: u32,
    },
    /// Progress said stop.
    #[error("training was cancelled")]
    Cancelled,
    /// The computing library failed.
    #[error("the computing library failed: {0}")]
    Backend(String),
}

/// The processor, without a graph of gradients.
fn device() -> Device {
    Device::flex()
}

/// Checks that task, parameters and windows belong together; none of them is taken on trust.
fn check(task: &Forecaster, parameters: &ParameterVector, windows: &Windows) -> Result<(), LearnError> {
    if **parameters.schema() != schema(task)? {
        return Err(LearnError::OtherSchema);
    }
    let (past_steps, columns) = (windows.past_steps(), windows.columns());
    if past_steps != task.past_steps as usize || columns != task.metrics.len() {
        return Err(LearnError::OtherWindows { past_steps, columns });
    }
    Ok(())
}

/// The schema of a task that has a model.
pub(crate) fn schema(task: &Forecaster) -> Result<Schema, LearnError> {
    if task.widths().contains(&0) {
        return Err(LearnError::EmptyLayer);
    }
    Ok(Task::Forecaster(task.clone()).schema()?)
}

#[cfg(test)]
pub(crate) mod samples {
    //! A small task and telemetry that can be foreseen.

    use std::ops::ControlFlow;
    use std::sync::Arc;

    use common::model::{Forecaster, MetricName};
    use common::units::Timestamp;
    use pipeline::{Row, Table, Window, Windows, window};

    use super::Progress;

    /// One source, a row a second, these values.
    pub(crate) fn table(columns: usize, values: &[f32]) -> Table {
        let rows = (0..values.len() / columns).map(|record| row(0, record)).collect();
        Table { columns, rows, values: values.to_vec() }
    }

    pub(crate) fn row(source: u32, record: usize) -> Row {
        Row { source, at: Timestamp::from_millis(record as u64 * 1000), record }
    }

    pub(crate) fn names(names: &[&str]) -> Arc<[MetricName]> {
        names.iter().map(|name| MetricName::try_from(*name).unwrap()).collect()
    }

    pub(crate) fn forecaster(metrics: &[&str], past_steps: u32, hidden: &[u32]) -> Forecaster {
        let metrics: Vec<_> = metrics.iter().map(|name| MetricName::try_from(*name).unwrap()).collect();
        let hidden = hidden.to_vec().try_into().unwrap();
        Forecaster { metrics: metrics.try_into().unwrap(), past_steps, hidden }
    }

    /// Windows over two metrics that swing, one a quarter behind the other.
    pub(crate) fn swinging(rows: usize, past_steps: u32) -> Windows {
        let values: Vec<f32> =
            (0..rows).flat_map(|row| [(row as f32 * 0.3).sin(), (row as f32 * 0.3).cos()]).collect();
        window(table(2, &values), &Window { past_steps, stride: 1, gap_steps: 3 })
    }

    pub(crate) fn go_on(_: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
