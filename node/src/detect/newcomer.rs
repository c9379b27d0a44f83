//! A node with little history of its own measures by what all nodes know together. What it has seen itself counts by its
//! records, so that the one becomes the other.

use common::model::{Forecaster, Foresees, Statistics, Usual};
use pipeline::{Moments, Scaler, column_moments};
use serde::{Deserialize, Serialize};

use super::detector::{Detector, DetectorError, Divided, History, Preparation};
use super::score::error_moments;
use super::{Calibration, Measure, Threshold};
use crate::learn::{healthy, predict};
use common::model::ParameterVector;

/// Who is a newcomer, and how it measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Newcomer {
    /// With fewer records of its own a node is one: two windows of 19 past steps and the record.
    pub records_min: u64,
    /// What all nodes know counts as so many records of its own.
    pub known_records: u64,
    /// A metric's spread counts as at least this share of the largest deviation of any node: where others hardly vary, a
    /// newcomer may stand somewhere else.
    pub deviation_share: f64,
    /// No metric's error counts as more than so many spreads.
    pub excess_max: f64,
}

impl Default for Newcomer {
    fn default() -> Self {
        Self { records_min: 40, known_records: 288, deviation_share: 0.25, excess_max: 10.0 }
    }
}

/// What so many records would be, of which this is usual.
fn moments(Usual { mean, sd }: Usual, count: u64) -> Moments {
    Moments { count, mean, squares: count as f64 * sd.powi(2) }
}

/// What is seen of each metric where there are no records.
pub fn nothing(task: &Forecaster) -> Vec<Moments> {
    vec![Moments::default(); task.metrics.len()]
}

/// How a newcomer scales its metrics, of which it has seen this itself.
pub fn scaler(known: &Statistics, own: &[Moments], preparation: &Preparation) -> Scaler {
    let Newcomer { known_records, deviation_share, .. } = preparation.newcomer;
    let all = |metric: usize| {
        let usual = known.usual(metric).map(|usual| {
            let sd = usual.sd.max(deviation_share * known.deviation(metric)).max(preparation.scale.sd_min);
            moments(Usual { sd, ..usual }, known_records)
        });
        usual.unwrap_or_default()
    };
    let merged: Vec<Moments> = own.iter().enumerate().map(|(metric, own)| all(metric).merge(*own)).collect();
    Scaler::from_moments(&merged, &preparation.scale)
}

/// How a newcomer measures what its model says, whose squared errors it has seen these of itself.
pub fn measure(task: &Forecaster, known: &Statistics, own: &[Moments], preparation: &Preparation) -> Measure {
    let Newcomer { known_records, excess_max, .. } = preparation.newcomer;
    match task.foresees {
        Foresees::Record => {
            let merged = own.iter().enumerate();
            let merged = merged.map(|(metric, own)| moments(known.errors(metric), known_records).merge(*own));
            let merged: Vec<Moments> = merged.collect();
            let calibration = Calibration::from_moments(&merged, &preparation.calibrate);
            Measure::Surprise(calibration.up_to(excess_max))
        }
        Foresees::Load(_) => Measure::Load,
        Foresees::Failure(_) => Measure::Failure,
    }
}

/// A newcomer's detector: of a model, what is known of all nodes, and the newcomer's own records, of which there may be
/// none.
///
/// # Errors
///
/// [`DetectorError::Unknown`] when the statistics are not those of a whole evaluation, and [`DetectorError::Learn`] when
/// task and parameters do not belong together.
pub fn detector(
    task: &Forecaster,
    parameters: ParameterVector,
    known: &Statistics,
    own: Divided,
    preparation: &Preparation,
) -> Result<Detector, DetectorError> {
    crate::learn::layers(task, &parameters)?;
    let threshold = known.score_at(preparation.quantile).filter(|_| known.is_sound(task));
    let threshold = Threshold(threshold.ok_or(DetectorError::Unknown)?);
    let scaler = scaler(known, &column_moments(own.training()), preparation);
    let history = History::scaled(task, own, scaler, preparation)?;
    let seen = healthy(task, &history.training.every());
    let errors = if seen.count() == 0 {
        nothing(task)
    } else {
        error_moments(&seen, &predict(task, &parameters, &seen)?)
    };
    let measure = measure(task, known, &errors, preparation);
    Ok(Detector::of_parts(task, parameters, (&history, measure), threshold))
}

#[cfg(test)]
mod tests;
