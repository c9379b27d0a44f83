//! What a model says of a row becomes a score: the higher, the sooner an alarm.

use common::model::{Forecaster, Foresees};
use pipeline::Windows;
use serde::{Deserialize, Serialize};

use super::Calibration;

/// How that is done, by what the model foresees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// By how far the record is from what was foreseen.
    Surprise(Calibration),
    /// The most load that is foreseen at any step, at the highest quantile; in spreads of the node's own history.
    Load,
    /// The probability of a failure.
    Failure,
}

impl Measure {
    /// Rows that a score depends on, beside those that the model sees.
    pub fn memory(&self) -> usize {
        match self {
            Self::Surprise(calibration) => calibration.memory(),
            Self::Load | Self::Failure => 1,
        }
    }

    /// Rows, beside those that the model sees before each, that the reasons of a score depend on.
    pub(super) fn told_max(&self) -> usize {
        if let Self::Surprise(calibration) = self { calibration.told_max() } else { 1 }
    }

    /// Whether it can score what a model of this task says; one read from a file may not.
    pub fn is_for(&self, task: &Forecaster) -> bool {
        match (self, &task.foresees) {
            (Self::Surprise(calibration), Foresees::Record) => calibration.is_for(task.metrics.len()),
            (Self::Load, Foresees::Load(_)) | (Self::Failure, Foresees::Failure(_)) => true,
            _ => false,
        }
    }

    /// One score for each row of the windows' table, where there is one; windows of stride 1. `said` has what the model
    /// says of each of them, one after the other.
    ///
    /// # Panics
    ///
    /// When a surprise is not of forecasts of all metrics.
    pub fn scores(&self, windows: &Windows, said: &[f32]) -> Vec<Option<f64>> {
        if let Self::Surprise(calibration) = self {
            return calibration.scores(windows, said);
        }
        let mut scores = vec![None; windows.table().rows.len()];
        let outputs = said.len() / windows.count().max(1);
        for (index, said) in said.chunks_exact(outputs.max(1)).enumerate() {
            scores[windows.target(index)] = Some(self.of(said));
        }
        scores
    }

    /// The score of what is said, when it is none of a surprise: of a rising row of quantiles for each step the last is the
    /// highest, and a failure is one logit.
    pub(super) fn of(&self, said: &[f32]) -> f64 {
        let most = f64::from(said.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        match self {
            Self::Failure => 1.0 / (1.0 + (-most).exp()),
            Self::Surprise(_) | Self::Load => most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Calibrate;
    use crate::learn::samples::{forecaster, table};
    use pipeline::{Moments, Window, window};

    #[test]
    fn a_load_is_scored_by_the_most_that_is_foreseen_and_a_failure_by_its_probability() {
        let windows = window(table(1, &[0.0; 4]), &Window { past_steps: 2, stride: 1, gap_steps: 3 });
        let loads = Measure::Load.scores(&windows, &[0.5, 1.5, 0.25, 1.25, -1.0, -0.5, -1.0, -0.75]);
        assert_eq!(loads, [None, None, Some(1.5), Some(-0.5)]);
        let risks = Measure::Failure.scores(&windows, &[0.0, 2.0]);
        assert_eq!(risks[..3], [None, None, Some(0.5)]);
        assert!((risks[3].unwrap() - 0.880_797).abs() < 1e-6);
        assert_eq!(
            Measure::Load
                .scores(&window(table(1, &[0.0]), &Window { past_steps: 2, stride: 1, gap_steps: 3 }), &[]),
            [None]
        );
    }

    #[test]
    fn a_measure_is_for_what_its_model_foresees() {
        let task = forecaster(&["x"], 2, &[3]);
        assert!(
            Measure::Surprise(Calibration::from_moments(&[Moments::default()], &Calibrate::default()))
                .is_for(&task)
        );
        assert!(!Measure::Load.is_for(&task) && !Measure::Failure.is_for(&task));
    }
}
