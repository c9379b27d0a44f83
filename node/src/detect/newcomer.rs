//! A node with little history of its own measures by what all nodes know together, and anew as its records grow. What it has seen
//! itself counts by its records, until they are enough to measure by those alone.

use std::borrow::Cow;
use std::collections::BTreeSet;

use common::model::{Forecaster, Foresees, ParameterVector, Statistics, Usual};
use ingest::record::TelemetryRecord;
use pipeline::{Moments, Scaler, Split, column_moments};
use serde::{Deserialize, Serialize};

use super::detector::{Detector, DetectorError, Divided, History, Preparation, Scored};
use super::score::error_moments;
use super::{Calibration, Measure, Threshold};
use crate::learn::{LearnError, healthy, predict};

/// Who is a newcomer, and how it measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Newcomer {
    /// What all nodes know counts as so many records of its own; with as many of them it measures by these alone.
    pub known_records: u64,
    /// Until it has measured by so many it measures anew whenever its records have grown by a quarter.
    pub settled_records: u64,
    /// What was an alarm by the measure before is not measured by, but no more than this share of the records is left out.
    pub left_out_max: f64,
    /// A metric's spread counts as at least this share of the largest deviation of any node: where others hardly vary, a
    /// newcomer may stand somewhere else.
    pub deviation_share: f64,
    /// No metric's error counts as more than so many spreads.
    pub excess_max: f64,
}

impl Default for Newcomer {
    fn default() -> Self {
        // A day and a week of records, one every five minutes.
        Self {
            known_records: 288,
            settled_records: 2016,
            left_out_max: 0.1,
            deviation_share: 0.25,
            excess_max: 10.0,
        }
    }
}

/// Records by which they have grown at least when a node measures anew.
const GROWTH_MIN: u64 = 12;

impl Newcomer {
    /// Whether who has measured by so many records does not do so again.
    pub fn has_settled(&self, measured: u64) -> bool {
        measured >= self.settled_records
    }

    /// Whether who has measured by so many records does so again with so many.
    pub fn is_due(&self, measured: u64, records: u64) -> bool {
        !self.has_settled(measured) && records >= measured.saturating_add(GROWTH_MIN.max(measured / 4))
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

/// The detector of a node with these records of its own: a newcomer's, if they are few and it is known what those of all nodes are like.
///
/// # Errors
///
/// [`DetectorError`] when there are records that do not fit the task, or too few where nothing is known.
pub fn fit(
    task: &Forecaster,
    parameters: ParameterVector,
    known: Option<&Statistics>,
    records: &[TelemetryRecord],
    preparation: &Preparation,
) -> Result<Detector, DetectorError> {
    let own = || Detector::fit(task, parameters.clone(), &History::prepare(task, records, preparation)?);
    let Some(known) = known else { return own() };
    if records.len() as u64 >= preparation.newcomer.known_records {
        match own() {
            // Of many sources there may be many records, and of none enough for a window.
            Err(DetectorError::Learn(LearnError::NoExamples)) => (),
            fitted => return fitted,
        }
    }
    // Nothing is trained, and a newcomer has nothing to spare for validation.
    let preparation = Preparation { split: Split { validation: 0.0 }, ..*preparation };
    let own = Divided::of(task, records, &preparation)?;
    detector(task, parameters, known, own, &preparation)
}

/// The detector of a node whose records have grown since it made this one.
///
/// # Errors
///
/// As [`fit`].
pub fn anew(
    before: &Detector,
    known: Option<&Statistics>,
    records: &[TelemetryRecord],
    preparation: &Preparation,
) -> Result<Detector, DetectorError> {
    let usual = without_alarms(before, records, preparation.newcomer.left_out_max)?;
    fit(&before.task, before.parameters.clone(), known, &usual, preparation)
}

/// The records that are no alarms; or all but the most unusual of them, where there would be left out too many. A load that
/// is foreseen, or a failure, is nothing wrong with the records before it.
fn without_alarms<'r>(
    detector: &Detector,
    records: &'r [TelemetryRecord],
    left_out_max: f64,
) -> Result<Cow<'r, [TelemetryRecord]>, DetectorError> {
    if detector.task.foresees != Foresees::Record {
        return Ok(records.into());
    }
    let scored = detector.score(records)?.into_iter().enumerate();
    let alarm =
        |(place, scored): (usize, Option<Scored>)| Some((place, scored.filter(|scored| scored.alarm)?.score));
    let mut alarms: Vec<(usize, f64)> = scored.filter_map(alarm).collect();
    alarms.sort_by(|one, other| other.1.total_cmp(&one.1));
    alarms.truncate((left_out_max * records.len() as f64) as usize);
    let left_out: BTreeSet<usize> = alarms.into_iter().map(|(place, _)| place).collect();
    let kept = records.iter().enumerate().filter(|(place, _)| !left_out.contains(place));
    Ok(kept.map(|(_, record)| record.clone()).collect())
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
