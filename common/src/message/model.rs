//! The plaintext of a model blob: the plan of the run and the parameters of this round, and behind them the server's
//! control variate where nodes keep one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::headed::{headed, one_after_the_other, take_head};
use crate::crypto::Plain;
use crate::id::{EpochId, NodeId};
use crate::limits::{COHORT_MAX, CONFIG_BYTES_MAX};
use crate::model::{ParameterVector, ParametersError, Schema, SchemaError, Task, take_values, write_values};
use crate::wire::{Input, List, Wire, WireError};

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
    /// Whether nodes correct their steps by control variates (SCAFFOLD, Karimireddy et al. 2020): the server's comes
    /// with the model, and the change of the node's own goes with its update.
    pub control: bool,
}

impl Plan {
    /// A plan for a vector without meaning, which measures rounds and learns nothing.
    pub fn flat(parameters: u32, rounds: u32, seed: u64) -> Self {
        let (optimizer, learning_rate, proximal) = (Optimizer::Sgd, 1.0, 0.0);
        let task = Task::Flat { parameters };
        let (epochs, batch, stride, control) = (1, 1, 1, false);
        Self { task, epochs, batch, optimizer, learning_rate, proximal, stride, seed, rounds, control }
    }

    /// Values that travel each way for a model of so many parameters.
    pub fn values(&self, parameters: usize) -> usize {
        parameters * (1 + usize::from(self.control))
    }
}

/// What goes before the values.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelHead {
    /// How nodes train.
    pub plan: Plan,
    /// Whose updates the run has: by that each node knows which of its control variates holds. Of nodes of this cohort,
    /// and of plans with control only.
    pub folded: List<LastFolded, COHORT_MAX>,
}

/// The last update of a node that became part of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFolded {
    /// Whose.
    pub node: NodeId,
    /// In which epoch.
    pub epoch: EpochId,
}

impl From<Plan> for ModelHead {
    fn from(plan: Plan) -> Self {
        Self { plan, folded: List::default() }
    }
}

impl Wire for ModelHead {
    fn put(&self, out: &mut Vec<u8>) {
        self.plan.put(out);
        if self.plan.control {
            self.folded.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let plan = Plan::take(input)?;
        let folded = if plan.control { Wire::take(input)? } else { List::default() };
        Ok(Self { plan, folded })
    }
}

/// What a node is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What was before the values.
    pub head: ModelHead,
    /// The parameters.
    pub parameters: ParameterVector,
    /// The server's control variate, when the plan has one.
    pub control: Option<Vec<f32>>,
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

crate::wire_fields!(Plan {
    task,
    epochs,
    batch,
    optimizer,
    learning_rate,
    proximal,
    stride,
    seed,
    rounds,
    control
});
crate::wire_fields!(LastFolded { node, epoch });
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

/// A head, a model's values, and the server's control variate when the plan has one.
///
/// # Panics
///
/// When there is a control variate that the plan has not, or the other way round, or it is not as long as the model.
pub fn plaintext<'v>(head: &ModelHead, values: &'v [f32], control: &'v [f32]) -> impl Plain + use<'v> {
    let all = values.len() + control.len();
    assert_eq!(all, head.plan.values(values.len()), "a control variate is as long as its model");
    headed(head, all, move |range, out| {
        one_after_the_other(range, values.len(), out, |which, range, out| {
            write_values([values, control][which][range].iter().copied(), out);
        });
    })
}

/// Bytes of a head and the values for a model of so many parameters.
pub fn plain_bytes(head: &ModelHead, parameters: usize) -> u64 {
    headed(head, head.plan.values(parameters), |_, _| ()).bytes() as u64
}

/// Reads what [`plaintext`] wrote.
///
/// # Errors
///
/// [`ModelError`] says which half is wrong.
pub fn decode(bytes: &[u8]) -> Result<Model, ModelError> {
    let most = bytes.len().min(CONFIG_BYTES_MAX as usize);
    let mut input = Input::new(&bytes[..most]);
    let head: ModelHead = take_head(&mut input)?;
    let schema: Schema = head.plan.task.schema()?;
    let (values, parameters) = (&bytes[input.offset()..], schema.parameters());
    let (found, expected) = (values.len() / 4, head.plan.values(parameters));
    if found != expected {
        return Err(ParametersError::WrongLength { found, expected }.into());
    }
    let (model, control) = values.split_at(parameters * 4);
    let control = head.plan.control.then(|| take_values(control)).transpose()?;
    let parameters = ParameterVector::new(Arc::new(schema), take_values(model)?)?;
    Ok(Model { head, parameters, control })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_comes_with_a_control_variate_when_the_plan_says_so() {
        let last = LastFolded { node: NodeId([3; 32]), epoch: EpochId(9) };
        for control in [false, true] {
            let plan = Plan { control, ..Plan::flat(5, 2, 1) };
            let folded = if control { vec![last] } else { Vec::new() }.try_into().unwrap();
            let head = ModelHead { plan, folded };
            let values: Vec<f32> = (0_u8..10).map(f32::from).collect();
            let (model, server) = values.split_at(5);
            let server = if control { server } else { &[] };
            let plain = plaintext(&head, model, server);
            assert_eq!(plain.bytes() as u64, plain_bytes(&head, 5));
            let mut bytes = vec![0; plain.bytes()];
            // In pieces that end within a vector and across both.
            (0..).zip(bytes.chunks_mut(12)).for_each(|(piece, out)| plain.write(piece * 12, out));
            let read = decode(&bytes).unwrap();
            assert_eq!((&read.head, read.parameters.values()), (&head, model));
            assert_eq!(read.control.unwrap_or_default(), server);
            let cut = decode(&bytes[..bytes.len() - 4]).unwrap_err();
            assert!(matches!(cut, ModelError::Values(ParametersError::WrongLength { .. })), "{cut}");
        }
    }
}
