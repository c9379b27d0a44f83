//! What a node tells of its telemetry when a model is evaluated: numbers of the node as a whole, never a record.

use common::model::{ERROR_MAX, Forecaster, Foresees, ParameterVector, Statistics, Usual};
use pipeline::Moments;

use super::detector::{DetectorError, Divided, History, Preparation};
use super::newcomer;
use super::score::error_moments;
use crate::learn::{LearnError, healthy, predict};

/// What this node's records are like, by what is known of all before this round.
///
/// # Errors
///
/// [`DetectorError::Learn`] when task and parameters do not belong together, or the records are too few for one window.
pub fn measured(
    task: &Forecaster,
    parameters: &ParameterVector,
    (known, round): (&Statistics, u32),
    own: Divided,
    preparation: &Preparation,
) -> Result<Statistics, DetectorError> {
    let mut told = known.clone();
    match round {
        1..5 => {
            let table = own.training();
            let rows = table.rows.iter().enumerate().filter(|(_, row)| !row.down);
            told.measure(round, rows.map(|(index, _)| table.row(index)));
        }
        5 if task.foresees == Foresees::Record => {
            let history = as_newcomer(task, known, own, preparation)?;
            let seen = healthy(task, &history.training.every());
            if seen.count() == 0 {
                return Err(LearnError::NoExamples.into());
            }
            let moments = error_moments(&seen, &predict(task, parameters, &seen)?);
            let usual = |moments: &Moments| Usual {
                mean: moments.mean.min(ERROR_MAX),
                sd: moments.sd().min(ERROR_MAX),
            };
            told.set_errors(&moments.iter().map(usual).collect::<Vec<_>>());
        }
        6 => {
            let measure = newcomer::measure(task, known, &newcomer::nothing(task), preparation);
            let history = as_newcomer(task, known, own, preparation)?;
            // What the model was not trained on, where there is enough of that.
            let unseen = healthy(task, &history.validation.every());
            let judged = if unseen.count() > 0 { unseen } else { healthy(task, &history.training.every()) };
            let scores = measure.scores(&judged, &predict(task, parameters, &judged)?);
            told.set_scores(scores.into_iter().flatten());
        }
        _ => (),
    }
    Ok(told)
}

/// This node's records as a newcomer would see them that has none.
fn as_newcomer(
    task: &Forecaster,
    known: &Statistics,
    own: Divided,
    preparation: &Preparation,
) -> Result<History, DetectorError> {
    let scaler = newcomer::scaler(known, &newcomer::nothing(task), preparation);
    History::scaled(task, own, scaler, preparation)
}
