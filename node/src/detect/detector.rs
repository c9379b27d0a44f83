//! The detector: a model with all that is needed to score new telemetry with it.

use common::model::{Forecaster, Foresees, MetricName, ParameterVector};
use serde::{Deserialize, Serialize};

use super::reasons::Explaining;
use super::score::error_moments;
use super::{Calibrate, Calibration, Measure, Newcomer, Reasons, Threshold};
use crate::learn::{LearnError, healthy, known, predict};
use ingest::record::TelemetryRecord;
use pipeline::{
    Clean, CleanError, Parts, Scale, ScaleError, Scaler, Split, Table, Window, Windows, clean, mark_down,
    split, window,
};

/// Parameters of all stages between records and scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preparation {
    /// Filling of gaps in values.
    pub clean: Clean,
    /// Scaling of metrics.
    pub scale: Scale,
    /// What is kept from training.
    pub split: Split,
    /// Every how many rows a window for training starts.
    pub stride: u32,
    /// A step in time longer than this many usual steps is a gap.
    pub gap_steps: u32,
    /// Calibration of errors.
    pub calibrate: Calibrate,
    /// Share of the scores of healthy telemetry that are no alarm.
    pub quantile: f64,
    /// How a node with little history measures.
    pub newcomer: Newcomer,
}

impl Default for Preparation {
    fn default() -> Self {
        Self {
            clean: Clean::default(),
            scale: Scale::default(),
            split: Split::default(),
            stride: 4,
            gap_steps: 3,
            calibrate: Calibrate::default(),
            quantile: 0.995,
            newcomer: Newcomer::default(),
        }
    }
}

/// Why records were not prepared, or not scored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DetectorError {
    /// The records do not fit the task.
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// The scaler is another task's.
    #[error(transparent)]
    Scale(#[from] ScaleError),
    /// The model could not be trained or used.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// Labels and scores cannot be compared.
    #[error(transparent)]
    Metric(#[from] super::metrics::MetricError),
    /// There are not as many labels as test records.
    #[error("{labels} labels for {records} records")]
    WrongLabels {
        /// Labels given.
        labels: usize,
        /// Records given.
        records: usize,
    },
    /// Statistics that no whole evaluation has left.
    #[error("the statistics of all nodes are not known: an evaluation of the model has to end first")]
    Unknown,
    /// A profile read from a file that no detector can have.
    #[error("the detector's profile is not usable: {0}")]
    Profile(&'static str),
}

/// A node's own records, cleaned and divided; not scaled.
#[derive(Clone, Debug)]
pub struct Divided {
    parts: Parts,
    filled: u64,
    missing: u64,
}

impl Divided {
    /// Cleans and divides the records.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Clean`] names the source and the metric it lacks.
    pub fn of(
        task: &Forecaster,
        records: &[TelemetryRecord],
        preparation: &Preparation,
    ) -> Result<Self, DetectorError> {
        let mut cleaned = clean(records, &task.metrics, &preparation.clean)?;
        if let Foresees::Failure(failure) = &task.foresees {
            mark_down(&mut cleaned.table, records, &failure.metric)?;
        }
        let parts = split(cleaned.table, &preparation.split);
        Ok(Self { parts, filled: cleaned.filled, missing: cleaned.missing })
    }

    /// What may be learned from.
    pub fn training(&self) -> &Table {
        &self.parts.training
    }
}

/// A node's own records, prepared for training.
#[derive(Clone, Debug)]
pub struct History {
    /// How the metrics are scaled, fitted to the training part.
    pub scaler: Scaler,
    /// What is learned from.
    pub training: Windows,
    /// What the model is checked on: every window of the latest part. Empty for a short history.
    pub validation: Windows,
    /// Values that were missing and filled, of all records.
    pub filled: u64,
    /// Values that were missing and stay unknown, of all records.
    pub missing: u64,
    preparation: Preparation,
}

impl History {
    /// Cleans, divides, scales and windows the records, scaled by themselves.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Clean`] names the source and the metric it lacks.
    pub fn prepare(
        task: &Forecaster,
        records: &[TelemetryRecord],
        preparation: &Preparation,
    ) -> Result<Self, DetectorError> {
        let divided = Divided::of(task, records, preparation)?;
        let scaler = Scaler::fit(divided.training(), &preparation.scale);
        Self::scaled(task, divided, scaler, preparation)
    }

    /// Scales and windows what was cleaned and divided.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Scale`] when the scaler is another task's.
    pub fn scaled(
        task: &Forecaster,
        Divided { parts, filled, missing }: Divided,
        scaler: Scaler,
        preparation: &Preparation,
    ) -> Result<Self, DetectorError> {
        let windows =
            |stride| Window { past_steps: task.past_steps, stride, gap_steps: preparation.gap_steps };
        Ok(Self {
            training: known(task, &window(scaler.scale(parts.training)?, &windows(preparation.stride))),
            validation: known(task, &window(scaler.scale(parts.validation)?, &windows(1))),
            scaler,
            filled,
            missing,
            preparation: *preparation,
        })
    }

    /// How many records it has.
    pub fn records(&self) -> u64 {
        [&self.training, &self.validation].map(|part| part.table().rows.len() as u64).iter().sum()
    }
}

/// A model, the node's own scaling and calibration, and when to raise an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    pub(super) task: Forecaster,
    pub(super) parameters: ParameterVector,
    pub(super) clean: Clean,
    pub(super) gap_steps: u32,
    pub(super) scaler: Scaler,
    pub(super) measure: Measure,
    threshold: Threshold,
}

/// The verdict on one record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// How unusual it is; 0 is as usual.
    pub score: f64,
    /// Whether that is above the threshold.
    pub alarm: bool,
}

/// The verdict on one record, and its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The verdict.
    pub verdict: Scored,
    /// Why.
    pub reasons: Reasons,
}

impl Detector {
    /// Calibrates a model on the node's own history: errors on the training part, the threshold on the
    /// part kept for validation, which the model has not seen (on both parts where that one is too short).
    ///
    /// # Errors
    ///
    /// [`DetectorError::Learn`] when the parts do not belong together or the history is too short.
    pub fn fit(
        task: &Forecaster,
        parameters: ParameterVector,
        history: &History,
    ) -> Result<Self, DetectorError> {
        let seen = healthy(task, &history.training.every());
        if seen.count() == 0 {
            return Err(LearnError::NoExamples.into());
        }
        let said = predict(task, &parameters, &seen)?;
        let measure = match task.foresees {
            Foresees::Record => {
                let moments = error_moments(&seen, &said);
                Measure::Surprise(Calibration::from_moments(&moments, &history.preparation.calibrate))
            }
            Foresees::Load(_) => Measure::Load,
            Foresees::Failure(_) => Measure::Failure,
        };
        let Preparation { quantile, .. } = history.preparation;
        let unseen = healthy(task, &history.validation.every());
        let mut usual = Vec::new();
        if unseen.count() > 0 {
            usual = measure.scores(&unseen, &predict(task, &parameters, &unseen)?);
        }
        // A newcomer's validation part is a short night or noon with no such quantile: all it has is taken.
        if (unseen.count() as f64) * (1.0 - quantile) < 1.0 {
            usual.extend(measure.scores(&seen, &said));
        }
        let threshold = Threshold::at_quantile(usual.into_iter().flatten(), quantile);
        let threshold = threshold.ok_or(LearnError::NoExamples)?;
        Ok(Self::of_parts(task, parameters, (history, measure), threshold))
    }

    /// A model, the scaling of a history, and what was calibrated.
    pub(super) fn of_parts(
        task: &Forecaster,
        parameters: ParameterVector,
        (history, measure): (&History, Measure),
        threshold: Threshold,
    ) -> Self {
        let Preparation { clean, gap_steps, .. } = history.preparation;
        let (task, scaler) = (task.clone(), history.scaler.clone());
        Self { task, parameters, clean, gap_steps, scaler, measure, threshold }
    }

    /// One verdict a record, in the order given; none for a record in a stretch without gaps that is
    /// too short for a window.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Clean`] names the source and the metric it lacks.
    pub fn score(&self, records: &[TelemetryRecord]) -> Result<Vec<Option<Scored>>, DetectorError> {
        let explained = self.explain(records, |_, _| false)?.into_iter();
        Ok(explained.map(|explained| explained.map(|explained| explained.verdict)).collect())
    }

    /// The same, with reasons for each record, by its place, whose verdict is `wanted` to have some.
    ///
    /// # Errors
    ///
    /// As [`Self::score`].
    pub fn explain(
        &self,
        records: &[TelemetryRecord],
        wanted: impl Fn(usize, Scored) -> bool,
    ) -> Result<Vec<Option<Explained>>, DetectorError> {
        let table = clean(records, &self.task.metrics, &self.clean)?.table;
        let params = Window { past_steps: self.task.past_steps, stride: 1, gap_steps: self.gap_steps };
        let windows = window(self.scaler.scale(table)?, &params);
        let said = predict(&self.task, &self.parameters, &windows)?;
        let mut explaining = None;
        let mut all = vec![None; records.len()];
        let scores = self.measure.scores(&windows, &said);
        for (at, (row, score)) in windows.table().rows.iter().zip(scores).enumerate() {
            let Some(score) = score else { continue };
            let verdict = Scored { score, alarm: self.threshold.alarms(score) };
            let mut reasons = Reasons::default();
            if wanted(row.record, verdict) {
                let made = explaining.take().map_or_else(|| Explaining::new(self, &windows, &said), Ok);
                reasons = explaining.insert(made?).of(at)?;
            }
            all[row.record] = Some(Explained { verdict, reasons });
        }
        Ok(all)
    }

    /// The metrics, in the order of the model.
    pub fn metrics(&self) -> impl Iterator<Item = &MetricName> + Clone {
        self.task.metrics.iter()
    }

    /// Records before a stretch that its scores depend on: the past steps and the smoothing.
    pub fn run_up(&self) -> usize {
        self.task.past_steps as usize + self.measure.memory()
    }

    /// When a score is an alarm.
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The model.
    pub fn parameters(&self) -> &ParameterVector {
        &self.parameters
    }

    /// All but the parameters, to be written beside the model.
    pub fn profile(&self) -> Profile {
        Profile {
            version: Profile::VERSION,
            task: self.task.clone(),
            clean: self.clean,
            gap_steps: self.gap_steps,
            scaler: self.scaler.clone(),
            measure: self.measure.clone(),
            threshold: self.threshold,
        }
    }

    /// The detector of a profile and the parameters beside it.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Profile`] when the profile contradicts itself, and
    /// [`LearnError::OtherSchema`] when the parameters are another model's.
    pub fn from_profile(profile: Profile, parameters: ParameterVector) -> Result<Self, DetectorError> {
        let Profile { version, task, clean, gap_steps, scaler, measure, threshold } = profile;
        if version != Profile::VERSION {
            return Err(DetectorError::Profile("it is of another version"));
        }
        crate::learn::layers(&task, &parameters)?;
        if !scaler.is_for(task.metrics.len()) || !measure.is_for(&task) || !threshold.0.is_finite() {
            return Err(DetectorError::Profile("statistics are missing, or not positive and finite"));
        }
        Ok(Self { task, parameters, clean, gap_steps, scaler, measure, threshold })
    }
}

/// A [`Detector`] without its parameters, as written to disk in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Version of this layout.
    pub version: u32,
    /// The task of the model.
    pub task: Forecaster,
    clean: Clean,
    gap_steps: u32,
    scaler: Scaler,
    measure: Measure,
    threshold: Threshold,
}

impl Profile {
    /// The layout that this code writes and reads.
    pub const VERSION: u32 = 3;
}

#[cfg(test)]
mod tests;
