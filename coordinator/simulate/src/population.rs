//! Virtual nodes: what each of them learns from, and what a model is worth to them.

use std::ops::ControlFlow;

use common::id::RoundId;
use common::message::model::Plan;
use common::model::{Classifier, Forecaster, ParameterVector};
use node::learn::{self, Examples, LearnError, Progress, Share, Trained, Training};
use node::telemetry_trainer::settings;
use pipeline::Windows;

/// What a node that learns nothing adds to each parameter.
const FLAT_STEP: f32 = 0.25;

/// Nodes, by their names, and what they have.
#[derive(Debug)]
pub struct Population {
    names: Vec<String>,
    have: Have,
}

#[derive(Debug)]
enum Have {
    Windows { task: Forecaster, training: Vec<Windows>, validation: Vec<Windows> },
    Shares { task: Classifier, shares: Vec<Share>, test: Share },
    Nothing,
}

/// How good a model is on what no node trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Mean loss.
    pub loss: f64,
    /// The share of examples whose class it tells, where there are classes.
    pub accuracy: Option<f64>,
}

impl Population {
    /// Nodes with telemetry: their windows to train on, and those kept for validation.
    ///
    /// # Panics
    ///
    /// When there are not as many of them as names.
    pub fn with_telemetry(
        names: Vec<String>,
        task: Forecaster,
        training: Vec<Windows>,
        validation: Vec<Windows>,
    ) -> Self {
        assert_eq!(names.len(), training.len(), "a node has a name");
        Self { names, have: Have::Windows { task, training, validation } }
    }

    /// Nodes with windows each that are made up, and nothing kept from training.
    pub fn with_windows_of(task: &Forecaster, nodes: usize, windows: impl Fn(usize) -> Windows) -> Self {
        let training = (0..nodes).map(windows).collect();
        Self::with_telemetry(names(nodes), task.clone(), training, Vec::new())
    }

    /// Nodes with a share each of a labelled set, and examples that none of them has.
    pub fn with_shares(task: Classifier, shares: Vec<Share>, test: Share) -> Self {
        Self { names: names(shares.len()), have: Have::Shares { task, shares, test } }
    }

    /// Nodes that have nothing and learn nothing: they add a constant to every parameter.
    pub fn with_nothing(nodes: usize) -> Self {
        Self { names: names(nodes), have: Have::Nothing }
    }

    /// Their names, by their place.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Trains one of them in a round from its model, as a real node of its name would, with this added to each gradient.
    ///
    /// # Errors
    ///
    /// Why it cannot take part.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn train(
        &self,
        node: usize,
        plan: &Plan,
        (round, model): (RoundId, &ParameterVector),
        correction: Option<&[f32]>,
    ) -> Result<Trained, LearnError> {
        let settings = Training { correction, ..settings(plan, &self.names[node], round) };
        match &self.have {
            Have::Windows { task, training, .. } => train(task, model, &training[node], &settings),
            Have::Shares { task, shares, .. } => train(task, model, &shares[node], &settings),
            Have::Nothing => {
                let mut parameters = model.clone();
                parameters.values_mut().iter_mut().for_each(|value| *value += FLAT_STEP);
                Ok(Trained { parameters, samples: 1, steps: 1, loss: 0.0 })
            }
        }
    }

    /// How good a model is; `None` where nothing was kept to tell.
    ///
    /// # Errors
    ///
    /// When the model is of another task.
    pub fn measure(&self, model: &ParameterVector) -> Result<Option<Measured>, LearnError> {
        match &self.have {
            Have::Windows { task, validation, .. } => {
                let (mut sum, mut count) = (0.0, 0);
                for windows in validation.iter().filter(|windows| windows.count() > 0) {
                    sum += learn::mean_loss(task, model, windows)? * windows.count() as f64;
                    count += windows.count();
                }
                Ok((count > 0).then(|| Measured { loss: sum / count as f64, accuracy: None }))
            }
            Have::Shares { task, test, .. } => {
                let quality = learn::quality(task, model, test)?;
                Ok(Some(Measured { loss: quality.loss, accuracy: Some(quality.accuracy) }))
            }
            Have::Nothing => Ok(None),
        }
    }
}

fn train<E: Examples>(
    task: &E::Task,
    model: &ParameterVector,
    examples: &E,
    settings: &Training<'_>,
) -> Result<Trained, LearnError> {
    learn::train(task, model, examples, settings, &mut |_: Progress| ControlFlow::Continue(()))
}

fn names(nodes: usize) -> Vec<String> {
    (1..=nodes).map(|number| format!("node-{number}")).collect()
}
