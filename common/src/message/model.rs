//! The plaintext of a model blob: the plan of the run and the parameters of this round.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::headed::{headed, take_head};
use crate::crypto::Plain;
use crate::limits::CONFIG_BYTES_MAX;
use crate::model::{ParameterVector, ParametersError, Schema, SchemaError, Task, take_values, write_values};
use crate::wire::{Input, WireError};

/// How a node trains. The same for every node and every round of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is trained.
    pub task: Task,
    /// Passes over the node's windows in one round.
    pub epochs: u32,
    /// Windows in one optimiser step.
    pub batch: u32,
    /// How the parameters step along a gradient.
    pub optimizer: Optimizer,
    /// Its step size.
    pub learning_rate: f32,
    /// `μ` of the proximal term `μ/2 ‖w - w_t‖²` that is added to the loss, which holds a node near the round's model
    /// `w_t` (FedProx, Li et al. 2020, section 3.2); 0 for none.
    pub proximal: f32,
    /// Every how many records a training window starts.
    pub stride: u32,
    /// Seeds every random choice of the run, on all nodes.
    pub seed: u64,
    /// Rounds in the run.
    pub rounds: u32,
}

impl Plan {
    /// A plan for a vector without meaning, which measures rounds and learns nothing.
    pub fn flat(parameters: u32, rounds: u32, seed: u64) -> Self {
        let (optimizer, learning_rate, proximal) = (Optimizer::Sgd, 1.0, 0.0);
        let task = Task::Flat { parameters };
        Self { task, epochs: 1, batch: 1, optimizer, learning_rate, proximal, stride: 1, seed, rounds }
    }
}

/// How a node's parameters step along a gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015), begun afresh in each round.
    #[default]
    Adam,
    /// Stochastic gradient descent: `w ← w - η g`.
    Sgd,
}

crate::wire_fields!(Plan { task, epochs, batch, optimizer, learning_rate, proximal, stride, seed, rounds });
crate::wire_tags!(Optimizer { Adam = 1, Sgd = 2 });

/// Bytes that are not a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The plan cannot be read.
    #[error("the plan cannot be read: {0}")]
    Plan(#[from] WireError),
    /// The plan's task has no valid schema.
    #[error("the plan's task: {0}")]
    Schema(#[from] SchemaError),
    /// The values do not fit the schema.
    #[error("the model's values: {0}")]
    Values(#[from] ParametersError),
}

/// A plan and a model's values.
pub fn plaintext<'v>(plan: &Plan, values: &'v [f32]) -> impl Plain + use<'v> {
    headed(plan, values.len(), |range, out| write_values(values[range].iter().copied(), out))
}

/// Bytes of a plan and so many parameters.
pub fn plain_bytes(plan: &Plan, parameters: usize) -> u64 {
    headed(plan, parameters, |_, _| ()).bytes() as u64
}

/// Reads what [`plaintext`] wrote.
///
/// # Errors
///
/// [`ModelError`] says which half is wrong.
pub fn decode(bytes: &[u8]) -> Result<(Plan, ParameterVector), ModelError> {
    let head = bytes.len().min(CONFIG_BYTES_MAX as usize);
    let mut input = Input::new(&bytes[..head]);
    let plan: Plan = take_head(&mut input)?;
    let schema: Schema = plan.task.schema()?;
    let values = take_values(&bytes[input.offset()..])?;
    Ok((plan, ParameterVector::new(Arc::new(schema), values)?))
}
