//! Training on one node: some epochs of an optimiser over its windows.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::loss::{MseLoss, Reduction};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use common::message::model::Optimizer;
use common::model::{Forecaster, ParameterVector};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;

use super::model::Mlp;
use super::parameters::{from_module, to_module};
use super::{LearnError, check, device};
use pipeline::Windows;

/// How a node trains in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Passes over the windows.
    pub epochs: u32,
    /// Windows in one step.
    pub batch: usize,
    /// How the parameters step along a gradient; the other settings of Adam are its paper's.
    pub optimizer: Optimizer,
    /// Its step size.
    pub learning_rate: f64,
    /// `μ` of the proximal term `μ/2 ‖w - w_t‖²`, whose gradient `μ (w - w_t)` is added to that of the loss.
    pub proximal: f64,
    /// With `round`, decides the order of the windows.
    pub seed: u64,
    /// The round: each has its own order.
    pub round: u32,
}

impl Default for Training {
    fn default() -> Self {
        let (optimizer, learning_rate, proximal) = (Optimizer::Adam, 1e-3, 0.0);
        Self { epochs: 1, batch: 64, optimizer, learning_rate, proximal, seed: 0, round: 0 }
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
    /// Loss of the step: mean squared error over windows and metrics.
    pub loss: f32,
}

/// What training made.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The model.
    pub parameters: ParameterVector,
    /// How many windows it learned from: its weight in the average (`McMahan` et al. 2017, `n_k`).
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
/// [`LearnError`]: parts that do not belong together, no windows, a loss that is not finite, or
/// [`LearnError::Cancelled`] when `progress` broke it off.
pub fn train(
    task: &Forecaster,
    start: &ParameterVector,
    windows: &Windows,
    settings: &Training,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Trained, LearnError> {
    check(task, start, windows)?;
    if windows.count() == 0 {
        return Err(LearnError::NoWindows);
    }
    let mut learner = Learner::new(to_module(task, start, &device().autodiff()), settings);
    let mut random = ChaCha20Rng::seed_from_u64(settings.seed);
    random.set_stream(u64::from(settings.round));
    let mut order: Vec<usize> = (0..windows.count()).collect();
    let batch = settings.batch.clamp(1, order.len());
    let steps = order.len().div_ceil(batch) as u32;
    let mut loss = 0.0;
    for epoch in 1..=settings.epochs {
        order.shuffle(&mut random);
        let mut sum = 0.0;
        for (step, chosen) in (1..).zip(order.chunks(batch)) {
            let loss = learner.step(windows, chosen)?;
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
    let parameters = from_module(&learner.module.valid(), &Arc::clone(start.schema()))?;
    let all_steps = settings.epochs.saturating_mul(steps);
    Ok(Trained { parameters, samples: windows.count() as u64, steps: all_steps, loss })
}

struct Learner {
    module: Mlp,
    optimizer: ModuleOptimizer,
    learning_rate: f64,
    /// The factor of the proximal term and the model that it holds to, when there is one.
    anchor: Option<(f64, Mlp)>,
    device: Device,
}

impl Learner {
    fn new(module: Mlp, settings: &Training) -> Self {
        let optimizer = match settings.optimizer {
            Optimizer::Adam => AdamConfig::new().with_epsilon(1e-8).init(),
            Optimizer::Sgd => SgdConfig::new().init(),
        };
        let anchor = (settings.proximal > 0.0).then(|| (settings.proximal, module.valid()));
        let learning_rate = settings.learning_rate;
        Self { module, optimizer, learning_rate, anchor, device: device().autodiff() }
    }

    /// One step on the windows chosen; the loss before it.
    fn step(&mut self, windows: &Windows, chosen: &[usize]) -> Result<f32, LearnError> {
        let (input, target) = batch(windows, chosen.iter().copied(), &self.device);
        let loss = MseLoss::new().forward(self.module.forward(input), target, Reduction::Mean);
        let mut gradients = GradientsParams::from_grads(loss.backward(), &self.module);
        if let Some((proximal, anchor)) = &self.anchor {
            for (layer, held) in self.module.layers.iter().zip(&anchor.layers) {
                pull(&mut gradients, &layer.weight, &held.weight, *proximal);
                if let (Some(bias), Some(held)) = (&layer.bias, &held.bias) {
                    pull(&mut gradients, bias, held, *proximal);
                }
            }
        }
        self.module = self.optimizer.step(self.learning_rate, self.module.clone(), gradients);
        loss.try_into_scalar().map_err(|error| LearnError::Backend(error.to_string()))
    }
}

/// Adds the gradient of the proximal term to that of a parameter.
fn pull<const D: usize>(
    gradients: &mut GradientsParams,
    parameter: &Param<Tensor<D>>,
    held: &Param<Tensor<D>>,
    proximal: f64,
) {
    let term = (parameter.val().inner() - held.val()) * proximal;
    let gradient = match gradients.remove::<D>(parameter.id) {
        Some(gradient) => gradient + term,
        None => term,
    };
    gradients.register(parameter.id, gradient);
}

/// Windows as tensors: [windows, past steps x metrics] and [windows, metrics].
pub(super) fn batch(
    windows: &Windows,
    chosen: impl ExactSizeIterator<Item = usize> + Clone,
    device: &Device,
) -> (Tensor<2>, Tensor<2>) {
    let (count, columns) = (chosen.len(), windows.columns());
    let width = columns * windows.past_steps();
    let mut past = Vec::with_capacity(count * width);
    let mut next = Vec::with_capacity(count * columns);
    for index in chosen {
        past.extend_from_slice(windows.past(index));
        next.extend_from_slice(windows.next(index));
    }
    let tensor = |values, width| Tensor::from_data(TensorData::new(values, [count, width]), device);
    (tensor(past, width), tensor(next, columns))
}

#[cfg(test)]
mod tests;
