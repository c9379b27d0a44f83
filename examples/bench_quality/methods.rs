//! How a machine may get a model: alone, with the others, or from all telemetry in one place; and what needs none.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use common::model::{Forecaster, Foresees, Network, ParameterVector, Statistics};
use examples::together;
use node::detect::evaluate::Plan;
use node::detect::{Chosen, History, Preparation, choice};
use node::learn::{Progress, Training};
use pipeline::{Window, window};

use super::dataset::{Dataset, Machine};
use super::known;

/// What every forecaster sees and how it is trained, whatever the data are.
const PAST_STEPS: u32 = 19;
const BATCH: usize = 64;
const LEARNING_RATE: f64 = 1e-3;
const TUNE_EPOCHS: u32 = 5;

/// What is trained, for how long, and how it is judged.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) network: Network,
    pub(crate) hidden: Vec<u32>,
    pub(crate) rounds: u32,
    pub(crate) preparation: Preparation,
    /// How far, in records, a detection may be from a fault and still count in part.
    pub(crate) width: usize,
}

/// A data set that is ready to be trained on, with one seed.
pub(crate) struct Bench<'d> {
    dataset: &'d Dataset,
    pub(crate) plan: Plan,
    pub(crate) histories: Vec<History>,
    seed: u64,
}

impl<'d> Bench<'d> {
    /// Prepares each machine's own telemetry.
    ///
    /// # Errors
    ///
    /// Names the machine that cannot be trained on, or what no model can be made of.
    pub(crate) fn new(dataset: &'d Dataset, recipe: &Recipe, seed: u64) -> Result<Self> {
        let Recipe { network, rounds, preparation, width, .. } = *recipe;
        let metrics =
            dataset.metrics.to_vec().try_into().ok().context("as many metrics as a model may have")?;
        let hidden = recipe.hidden.clone().try_into().context("--hidden")?;
        let task =
            Forecaster { metrics, past_steps: PAST_STEPS, network, hidden, foresees: Foresees::default() };
        let histories = dataset.machines.iter().map(|machine| prepare(&task, machine, &preparation));
        let histories = histories.collect::<Result<Vec<_>>>()?;
        let training =
            Training { epochs: 1, batch: BATCH, learning_rate: LEARNING_RATE, seed, ..Training::default() };
        let usual = dataset.machines.iter().map(|machine| machine.training.len() as u64).max().unwrap_or(0);
        let plan = Plan {
            task,
            rounds,
            training,
            initial_seed: seed,
            preparation,
            tune_epochs: TUNE_EPOCHS,
            usual_records: usual,
            tune_share_min: 0.05,
            width,
        };
        Ok(Self { dataset, plan, histories, seed })
    }

    /// The name of the data set.
    pub(crate) fn dataset(&self) -> &str {
        &self.dataset.name
    }

    /// What all chance is drawn from.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// What another machine has to train on.
    pub(crate) fn history(&self, machine: &Machine) -> Result<History> {
        prepare(&self.plan.task, machine, &self.plan.preparation)
    }

    /// Trained by all machines together, as a coordinator and its nodes do it.
    pub(crate) fn federated(&self) -> Result<ParameterVector> {
        let machines = self.dataset.machines.iter().zip(&self.histories);
        let machines = machines.map(|(machine, history)| (machine.name.clone(), history.training.clone()));
        together::train(&self.plan.task, self.plan.rounds, &self.plan.training, machines.collect())
    }

    /// What all machines know together of their telemetry, and of this model on it.
    pub(crate) fn known(&self, federated: &ParameterVector) -> Result<Statistics> {
        known::known(&self.plan.task, federated, &self.dataset.machines, &self.plan.preparation)
    }

    /// What one machine makes itself beside the federated model.
    pub(crate) fn own(
        &self,
        history: &History,
        federated: &ParameterVector,
    ) -> Result<Vec<(Chosen, ParameterVector)>> {
        Ok(self.plan.own(history, federated, &mut go_on)?)
    }

    /// Trained on the telemetry of all machines in one place, each scaled by itself, with as many passes.
    pub(crate) fn centralised(&self) -> Result<ParameterVector> {
        let tables = self.histories.iter().map(|history| history.training.table());
        let Preparation { stride, gap_steps, .. } = self.plan.preparation;
        let params = Window { past_steps: PAST_STEPS, stride, gap_steps };
        let windows = window(together::pooled(self.dataset.metrics.len(), tables), &params);
        let run = (self.plan.rounds, self.plan.initial_seed);
        Ok(choice::train_alone(&self.plan.task, &self.plan.training, run, &windows, &mut go_on)?)
    }
}

/// What a machine has to train on for this task.
///
/// # Errors
///
/// Names the machine that cannot be trained on.
pub(crate) fn prepare(task: &Forecaster, machine: &Machine, preparation: &Preparation) -> Result<History> {
    History::prepare(task, &machine.training, preparation).with_context(|| machine.name.clone())
}

/// Lets training go on.
pub(crate) fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
