//! Whose model is best on this node, by telemetry that none of them was trained on.

use std::fmt;

use common::model::{Forecaster, ParameterVector};
use serde::Serialize;

use super::History;
use crate::learn::{LearnError, mean_loss};

/// Fewer windows for validation say nothing: then a node has too little history for a model of its own.
const CHOICE_WINDOWS_MIN: usize = 20;

/// Where a model comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// Trained by all nodes together.
    Federated,
    /// That, trained on by this node.
    Tuned,
    /// Trained by this node alone.
    Local,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Federated => "federated",
            Self::Tuned => "tuned",
            Self::Local => "local",
        })
    }
}

/// The model with the least mean loss on the part of the history that is kept for validation; of equal ones the first. With
/// too few windows there it is the first too.
///
/// # Errors
///
/// [`LearnError`] when task, parameters and history do not belong together.
pub fn choose(
    task: &Forecaster,
    history: &History,
    candidates: [(Chosen, &ParameterVector); 3],
) -> Result<Chosen, LearnError> {
    let [(mut best, first), others @ ..] = candidates;
    if history.validation.count() < CHOICE_WINDOWS_MIN {
        return Ok(best);
    }
    let mut least = mean_loss(task, first, &history.validation)?;
    for (other, parameters) in others {
        let loss = mean_loss(task, parameters, &history.validation)?;
        if loss < least {
            (best, least) = (other, loss);
        }
    }
    Ok(best)
}
