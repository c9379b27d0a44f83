//! Learning: models in burn, their training on one node, and what they say.
//!
//! Single-threaded and seeded: the same task, start, examples and settings give the same bits on the
//! same kind of processor.

mod aim;
mod attribute;
mod device;
mod examples;
mod head;
pub mod labelled;
mod moments;
mod network;
pub mod predict;
pub mod train;
mod values;

pub use aim::{healthy, known};
pub use attribute::Attributor;
pub use examples::Examples;
pub use head::train_head;
pub use labelled::{LabelledSet, Share};
pub use predict::{Predictor, Quality, mean_loss, predict, quality};
pub use train::{Progress, Trained, Training, train};

use common::model::{Forecaster, Layer, ParameterVector, Schema, SchemaError};

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
    /// The labelled examples are those of another task.
    #[error("examples of {inputs} values and {classes} classes do not fit the task")]
    OtherExamples {
        /// Values of an example.
        inputs: u32,
        /// Classes.
        classes: u32,
    },
    /// Labels that do not go with their values.
    #[error("{0}")]
    Labels(String),
    /// There is nothing to learn from.
    #[error("no example to learn from; a window of telemetry needs enough records without a gap in time")]
    NoExamples,
    /// The loss became NaN or infinite.
    #[error("the loss is not finite in epoch {epoch}, step {step}")]
    NotFinite {
        /// Epoch, counted from 1.
        epoch: u32,
        /// Step in the epoch, counted from 1.
        step: u32,
    },
    /// Moments that no telemetry has: out of them nothing can be computed in closed form.
    #[error("the model's moments are those of no telemetry: they cannot be solved")]
    NoMoments,
    /// Progress said stop.
    #[error("training was cancelled")]
    Cancelled,
    /// The computing library failed.
    #[error("the computing library failed: {0}")]
    Backend(String),
}

/// Checks that task, parameters and examples belong together; none of them is taken on trust. The layers.
fn check<E: Examples>(
    task: &E::Task,
    parameters: &ParameterVector,
    examples: &E,
) -> Result<Vec<Layer>, LearnError> {
    fitting(examples.layers(task)?, parameters)
}

/// The layers of a task whose parameters these are.
pub(crate) fn layers(task: &Forecaster, parameters: &ParameterVector) -> Result<Vec<Layer>, LearnError> {
    fitting(task.layers(), parameters)
}

/// Layers, when none is empty and these are their parameters.
fn fitting(layers: Vec<Layer>, parameters: &ParameterVector) -> Result<Vec<Layer>, LearnError> {
    let is_empty = |layer: &Layer| layer.inputs() == 0 || layer.outputs() == 0;
    if layers.iter().any(is_empty) {
        return Err(LearnError::EmptyLayer);
    }
    if **parameters.schema() == Schema::of_layers(&layers)? {
        Ok(layers)
    } else {
        Err(LearnError::OtherSchema)
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! A small task and telemetry that can be foreseen.

    use std::ops::ControlFlow;
    use std::sync::Arc;

    use common::model::{Classifier, Forecaster, Foresees, MetricName, Network};
    use common::units::Timestamp;
    use pipeline::{Row, Table, Window, Windows, window};

    use super::{LabelledSet, Progress, Share};

    /// One source, a row a second, these values.
    pub(crate) fn table(columns: usize, values: &[f32]) -> Table {
        let rows = (0..values.len() / columns).map(|record| row(0, record)).collect();
        Table { columns, rows, values: values.to_vec() }
    }

    pub(crate) fn row(source: u32, record: usize) -> Row {
        Row { source, at: Timestamp::from_millis(record as u64 * 1000), record, down: false }
    }

    pub(crate) fn names(names: &[&str]) -> Arc<[MetricName]> {
        names.iter().map(|name| MetricName::try_from(*name).unwrap()).collect()
    }

    pub(crate) fn forecaster(metrics: &[&str], past_steps: u32, hidden: &[u32]) -> Forecaster {
        let metrics: Vec<_> = metrics.iter().map(|name| MetricName::try_from(*name).unwrap()).collect();
        let hidden = hidden.to_vec().try_into().unwrap();
        let (network, foresees) = (Network::default(), Foresees::default());
        Forecaster { metrics: metrics.try_into().unwrap(), past_steps, network, hidden, foresees }
    }

    /// Windows over two metrics that swing, one a quarter behind the other.
    pub(crate) fn swinging(rows: usize, past_steps: u32) -> Windows {
        let values: Vec<f32> =
            (0..rows).flat_map(|row| [(row as f32 * 0.3).sin(), (row as f32 * 0.3).cos()]).collect();
        window(table(2, &values), &Window { past_steps, stride: 1, gap_steps: 3 })
    }

    /// Two features, and three classes that lie around the corners of a triangle.
    pub(crate) fn corners(count: usize) -> Share {
        let spread = |index: usize| [(index as f32 * 1.3).sin() * 0.4, (index as f32 * 2.1).cos() * 0.4];
        let corner = [[0.0, 1.0], [-1.0, -1.0], [1.0, -1.0]];
        let example = |index: usize| {
            let ([x, y], [dx, dy]) = (corner[index % 3], spread(index));
            [x + dx, y + dy]
        };
        let labels = (0..count).map(|index| index as u32 % 3).collect();
        let set = LabelledSet::new(2, 3, (0..count).flat_map(example).collect(), labels).unwrap();
        Arc::new(set).whole()
    }

    pub(crate) fn classifier(inputs: u32, classes: u32, hidden: &[u32]) -> Classifier {
        Classifier { inputs, hidden: hidden.to_vec().try_into().unwrap(), classes }
    }

    pub(crate) fn go_on(_: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
