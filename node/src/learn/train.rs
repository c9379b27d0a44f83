//! Training on one node: some epochs of an optimiser over its examples.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::optim::{Adam, AdamConfig, AdamState, Optimizer as _, Sgd, SgdConfig};
use burn::tensor::Tensor;
use common::message::model::Optimizer;
use common::model::{Layer, ParameterVector};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;

use super::moments::moments;
use super::network::Network;
use super::values::{flat, floats};
use super::{Examples, LearnError, check, mean_loss};

/// How a node trains in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training<'c> {
    /// Passes over the examples.
    pub epochs: u32,
    /// Examples in one step.
    pub batch: usize,
    /// How the parameters step along a gradient; the other settings of Adam are its paper's.
    pub optimizer: Optimizer,
    /// Its step size.
    pub learning_rate: f64,
    /// `μ` of the proximal term `μ/2 ‖w - w_t‖²`, whose gradient `μ (w - w_t)` is added to that of the loss.
    pub proximal: f64,
    /// With `round`, decides the order of the examples.
    pub seed: u64,
    /// The round: each has its own order.
    pub round: u32,
    /// What is added to each gradient, a value for each parameter: SCAFFOLD's `c - cᵢ`.
    pub correction: Option<&'c [f32]>,
}

impl Default for Training<'_> {
    fn default() -> Self {
        let (optimizer, learning_rate, proximal) = (Optimizer::Adam, 1e-3, 0.0);
        let (epochs, batch, seed, round, correction) = (1, 64, 0, 0, None);
        Self { epochs, batch, optimizer, learning_rate, proximal, seed, round, correction }
    }
}

/// How far training is, told after every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Epoch, counted from 1.
    pub epoch: u32,
    /// All epochs.
    pub epochs: u32,
    /// Step in the epoch, counted from 1.
    pub step: u32,
    /// All steps of an epoch.
    pub steps: u32,
    /// Loss of the step: mean squared error over windows and metrics, or mean cross-entropy.
    pub loss: f32,
}

/// What training made.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The model.
    pub parameters: ParameterVector,
    /// How many examples it learned from: its weight in the average (`McMahan` et al. 2017, `n_k`).
    pub samples: u64,
    /// Steps that the optimiser took.
    pub steps: u32,
    /// Mean loss over the last epoch.
    pub loss: f32,
}

/// Trains from `start` and tells `progress` after every step, which may break it off.
/// The optimiser starts afresh in each call, as nothing but parameters is shared between rounds.
///
/// # Errors
///
/// [`LearnError`]: parts that do not belong together, no examples, a loss that is not finite, or
/// [`LearnError::Cancelled`] when `progress` broke it off.
pub fn train<E: Examples>(
    task: &E::Task,
    start: &ParameterVector,
    examples: &E,
    settings: &Training<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Trained, LearnError> {
    let layers = check(task, start, examples)?;
    if let [layer] = &layers[..]
        && layer.is_closed_form()
    {
        return solve(task, layer, start, examples, progress);
    }
    let mut learner = Learner::new(layers, start, settings);
    let mut random = ChaCha20Rng::seed_from_u64(settings.seed);
    random.set_stream(u64::from(settings.round));
    let mut order: Vec<usize> = (0..examples.count()).collect();
    if order.is_empty() {
        return Err(LearnError::NoExamples);
    }
    let batch = settings.batch.clamp(1, order.len());
    let steps = order.len().div_ceil(batch) as u32;
    let mut loss = 0.0;
    for epoch in 1..=settings.epochs {
        order.shuffle(&mut random);
        let mut sum = 0.0;
        for (step, chosen) in (1..).zip(order.chunks(batch)) {
            let loss = learner.step(task, examples, chosen)?;
            if !loss.is_finite() {
                return Err(LearnError::NotFinite { epoch, step });
            }
            sum += f64::from(loss) * chosen.len() as f64;
            if progress(Progress { epoch, epochs: settings.epochs, step, steps, loss }).is_break() {
                return Err(LearnError::Cancelled);
            }
        }
        loss = (sum / order.len() as f64) as f32;
    }
    let parameters = of_schema(start, floats(learner.parameters)?)?;
    let all_steps = settings.epochs.saturating_mul(steps);
    Ok(Trained { parameters, samples: order.len() as u64, steps: all_steps, loss })
}

/// In closed form: one pass, whatever the settings, and nothing of the start. Its loss is that of its own solution.
fn solve<E: Examples>(
    task: &E::Task,
    layer: &Layer,
    start: &ParameterVector,
    examples: &E,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Trained, LearnError> {
    let count = examples.count();
    if count == 0 {
        return Err(LearnError::NoExamples);
    }
    let steps = u32::try_from(count).unwrap_or(u32::MAX);
    let values = moments(task, layer, examples, |done| {
        let step = u32::try_from(done).unwrap_or(u32::MAX);
        progress(Progress { epoch: 1, epochs: 1, step, steps, loss: 0.0 })
    })?;
    if !values.iter().all(|value| value.is_finite()) {
        return Err(LearnError::NotFinite { epoch: 1, step: 1 });
    }
    let parameters = of_schema(start, values)?;
    let loss = mean_loss(task, &parameters, examples)? as f32;
    Ok(Trained { parameters, samples: count as u64, steps: 1, loss })
}

fn of_schema(start: &ParameterVector, values: Vec<f32>) -> Result<ParameterVector, LearnError> {
    ParameterVector::new(Arc::clone(start.schema()), values).map_err(|_| LearnError::OtherSchema)
}

struct Learner {
    layers: Vec<Layer>,
    parameters: Tensor<1>,
    stepper: Stepper,
    learning_rate: f64,
    /// The factor of the proximal term and the parameters that it holds to, when there is one.
    anchor: Option<(f64, Tensor<1>)>,
    /// What is added to each gradient, when there is something.
    correction: Option<Tensor<1>>,
}

/// An optimiser, and what it remembers.
enum Stepper {
    Adam(Adam, Box<Option<AdamState<1>>>),
    Sgd(Sgd),
}

impl Learner {
    fn new(layers: Vec<Layer>, start: &ParameterVector, settings: &Training<'_>) -> Self {
        let parameters = flat(start.values());
        let stepper = match settings.optimizer {
            Optimizer::Adam => Stepper::Adam(AdamConfig::new().with_epsilon(1e-8).build(), Box::default()),
            Optimizer::Sgd => Stepper::Sgd(SgdConfig::new().build()),
        };
        let anchor = (settings.proximal > 0.0).then(|| (settings.proximal, parameters.clone()));
        let correction = settings.correction.map(flat);
        Self { layers, parameters, stepper, learning_rate: settings.learning_rate, anchor, correction }
    }

    /// One step on the examples chosen; the loss before it.
    fn step<E: Examples>(
        &mut self,
        task: &E::Task,
        examples: &E,
        chosen: &[usize],
    ) -> Result<f32, LearnError> {
        let input = examples.see(task, chosen);
        let network = Network::new(&self.layers, &self.parameters)?;
        let target = examples.target(task, chosen);
        let (loss, mut gradient) = network.gradient(input, |output| E::loss(task, output, target));
        drop(network);
        if let Some((proximal, held)) = &self.anchor {
            gradient = gradient + (self.parameters.clone() - held.clone()) * *proximal;
        }
        if let Some(correction) = &self.correction {
            gradient = gradient + correction.clone();
        }
        self.parameters = self.stepper.step(self.learning_rate, self.parameters.clone(), gradient);
        loss.try_into_scalar().map_err(|error| LearnError::Backend(error.to_string()))
    }
}

impl Stepper {
    fn step(&mut self, learning_rate: f64, parameters: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Adam(adam, remembered) => {
                let (parameters, state) = adam.step(learning_rate, parameters, gradient, remembered.take());
                **remembered = state;
                parameters
            }
            Self::Sgd(sgd) => sgd.step(learning_rate, parameters, gradient, None).0,
        }
    }
}

#[cfg(test)]
mod tests;
