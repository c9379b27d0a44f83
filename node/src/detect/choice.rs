//! Whose model is best on this node, by telemetry that none of them was trained on.

use std::fmt;
use std::ops::ControlFlow;

use common::model::{Forecaster, ParameterVector, Task};
use pipeline::Windows;
use serde::{Deserialize, Serialize};

use super::History;
use crate::learn::{LearnError, Progress, Training, mean_loss, train, train_head};

/// Fewer windows for validation say nothing: then a node has too little history for a model of its own.
const CHOICE_WINDOWS_MIN: usize = 20;

/// With more windows than this a head is no candidate: there is enough to tune all layers with, and a head that foresees a little
/// better then may find much less (`detection.md`).
const HEAD_WINDOWS_MAX: usize = 1_000;

/// Where a model comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// Trained by all nodes together.
    #[default]
    Federated,
    /// That, with its last layer trained on by this node.
    Head,
    /// That, all of it trained on by this node.
    Tuned,
    /// Trained by this node alone.
    Local,
}

impl Chosen {
    /// Its name in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Federated => "federated",
            Self::Head => "head",
            Self::Tuned => "tuned",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a node has enough that was kept from training to tell which model is best.
pub fn is_possible(history: &History) -> bool {
    history.validation.count() >= CHOICE_WINDOWS_MIN
}

/// Trains alone: as many rounds and epochs as a run had, from the same first model, that of the seed, and in the same order.
///
/// # Errors
///
/// As [`train`].
pub fn train_alone(
    task: &Forecaster,
    training: &Training<'static>,
    (rounds, seed): (u32, u64),
    windows: &Windows,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ParameterVector, LearnError> {
    let mut parameters = Task::Forecaster(task.clone()).initial(seed)?;
    for round in 1..=rounds {
        let settings = Training { round, ..*training };
        parameters = train(task, &parameters, windows, &settings, progress)?.parameters;
    }
    Ok(parameters)
}

/// What a node makes itself beside the model of a run of so many rounds, from the first model of this seed on: the federated
/// model's head tuned, if it has one of its own, and all of it, for some epochs, and one trained alone.
///
/// # Errors
///
/// As [`train`].
pub fn own(
    task: &Forecaster,
    training: &Training<'static>,
    (rounds, seed, epochs): (u32, u64, u32),
    (windows, federated): (&Windows, &ParameterVector),
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<(Chosen, ParameterVector)>, LearnError> {
    let settings = Training { epochs, round: rounds + 1, ..*training };
    let head = train_head(task, federated, windows, &settings, progress)?;
    let tuned = train(task, federated, windows, &settings, progress)?.parameters;
    let local = train_alone(task, training, (rounds, seed), windows, progress)?;
    let head = head.map(|head| (Chosen::Head, head.parameters));
    Ok(head.into_iter().chain([(Chosen::Tuned, tuned), (Chosen::Local, local)]).collect())
}

/// The model with the least mean loss on the part of the history that is kept for validation: the federated one, or one that
/// the node has made itself, but for a head where the history is long; of equal ones the first. With too few windows there it is the
/// federated one.
///
/// # Errors
///
/// [`LearnError`] when task, parameters and history do not belong together.
pub fn choose(
    task: &Forecaster,
    history: &History,
    federated: &ParameterVector,
    own: &[(Chosen, ParameterVector)],
) -> Result<Chosen, LearnError> {
    let mut best = Chosen::Federated;
    if !is_possible(history) {
        return Ok(best);
    }
    let mut least = mean_loss(task, federated, &history.validation)?;
    let is_long = history.training.count() > HEAD_WINDOWS_MAX;
    for (other, parameters) in own.iter().filter(|(made, _)| !(is_long && *made == Chosen::Head)) {
        let loss = mean_loss(task, parameters, &history.validation)?;
        if loss < least {
            (best, least) = (*other, loss);
        }
    }
    Ok(best)
}
