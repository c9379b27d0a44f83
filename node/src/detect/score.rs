//! From forecasts to one score a row: squared errors, calibrated by metric, averaged, smoothed.

use serde::{Deserialize, Serialize};

use pipeline::{Moments, Windows};

/// Parameters of calibration and smoothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrate {
    /// A metric's spread of errors counts as at least this share of the mean spread of all, so that
    /// one that is nearly always foreseen does not outvote the others on its first surprise.
    pub spread_min: f64,
    /// Exponential smoothing: a row counts so much less in the next row's score, for each row between (`1 - factor`); 1
    /// for none.
    pub smoothing_factor: f64,
}

impl Default for Calibrate {
    fn default() -> Self {
        Self { spread_min: 0.3, smoothing_factor: 0.25 }
    }
}

/// The least that a factor may be: a score depends on no more than some thousand rows.
const SMOOTHING_FACTOR_MIN: f64 = 0.01;

/// What counts less than so much of the newest row, and so many rows before it at most, is not asked what its values have of a score.
const TOLD_MIN: f64 = 0.001;
const TOLD_MAX: usize = 32;

/// A model without any error in training leaves nothing to measure by but this.
const SPREAD_FLOOR: f64 = 1e-9;

/// How large the squared errors of each metric usually are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    means: Vec<f64>,
    divisors: Vec<f64>,
    smoothing_factor: f64,
    /// No metric counts more, in spreads; without it, none is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    excess_max: Option<f64>,
}

/// What the rows of a run without a gap come to so far: all that its next score depends on.
#[derive(Clone, Debug, Default)]
pub struct Smoothed {
    /// Of each metric's excesses, each of them counting as much less as it is older.
    sums: Vec<f64>,
    /// What the rows count together.
    weights: f64,
    /// How many they are.
    rows: usize,
}

impl Smoothed {
    /// The score of the last row.
    pub fn score(&self) -> f64 {
        self.contributions().sum()
    }

    /// How much of it each metric has.
    pub fn contributions(&self) -> impl Iterator<Item = f64> {
        let all = self.weights * self.sums.len() as f64;
        self.sums.iter().map(move |sum| sum / all)
    }

    /// A new run begins.
    pub fn clear(&mut self) {
        self.sums.clear();
        (self.weights, self.rows) = (0.0, 0);
    }
}

/// Moments of each metric's squared errors.
///
/// # Panics
///
/// When the forecasts are not those of the windows.
pub fn error_moments(windows: &Windows, forecasts: &[f32]) -> Vec<Moments> {
    let mut moments = vec![Moments::default(); windows.columns()];
    each_window(windows, forecasts, |errors, _| {
        moments.iter_mut().zip(errors).for_each(|(moments, error)| moments.add(error));
    });
    moments
}

/// Calls back with the squared errors of each window and the row it foresees.
fn each_window(
    windows: &Windows,
    forecasts: &[f32],
    mut take: impl FnMut(&mut dyn Iterator<Item = f64>, usize),
) {
    assert_eq!(forecasts.len(), windows.count() * windows.columns(), "one forecast a window and metric");
    for (index, forecast) in forecasts.chunks_exact(windows.columns().max(1)).enumerate() {
        take(&mut squared_errors(forecast, windows.next(index)), windows.target(index));
    }
}

fn squared_errors<'v>(forecast: &'v [f32], actual: &'v [f32]) -> impl Iterator<Item = f64> + 'v {
    forecast.iter().zip(actual).map(|(forecast, actual)| f64::from(forecast - actual).powi(2))
}

impl Calibration {
    /// The calibration of these moments of squared errors, which may be those of several nodes together.
    pub fn from_moments(moments: &[Moments], params: &Calibrate) -> Self {
        let mean_spread = moments.iter().map(Moments::sd).sum::<f64>() / moments.len().max(1) as f64;
        let least = (params.spread_min * mean_spread).max(SPREAD_FLOOR);
        Self {
            means: moments.iter().map(|moments| moments.mean).collect(),
            divisors: moments.iter().map(|moments| moments.sd().max(least)).collect(),
            smoothing_factor: params.smoothing_factor,
            excess_max: None,
        }
    }

    /// The same, with errors that count as at most so many spreads.
    #[must_use]
    pub fn up_to(self, excess_max: f64) -> Self {
        Self { excess_max: Some(excess_max), ..self }
    }

    /// Rows that a score depends on: its own and those before, until what one counts is below the precision of a number.
    pub fn memory(&self) -> usize {
        let kept = 1.0 - self.smoothing_factor;
        // A factor of 1 keeps nothing.
        1 + (f64::EPSILON.ln() / kept.max(f64::MIN_POSITIVE).ln()).ceil() as usize
    }

    /// Whether it can score so many metrics; one read from a file may not.
    pub fn is_for(&self, columns: usize) -> bool {
        self.means.len() == columns
            && self.divisors.len() == columns
            && self.means.iter().all(|mean| mean.is_finite())
            && self.divisors.iter().all(|divisor| divisor.is_finite() && *divisor > 0.0)
            && (SMOOTHING_FACTOR_MIN..=1.0).contains(&self.smoothing_factor)
            && self.excess_max.is_none_or(|most| most > 0.0)
    }

    /// One score for each row of the windows' table, 0 where all is as usual; windows of stride 1.
    /// The first `past_steps` rows of a run without a gap, which no window foresees, get the run's
    /// first score. A run too short for a window has no scores.
    ///
    /// # Panics
    ///
    /// When the forecasts are not those of the windows.
    pub fn scores(&self, windows: &Windows, forecasts: &[f32]) -> Vec<Option<f64>> {
        let mut raw = vec![None; windows.table().rows.len()];
        each_window(windows, forecasts, |errors, row| {
            raw[row] = Some(self.surprise(errors));
        });
        for run in windows.runs() {
            let run = &mut raw[run.clone()];
            let scored = run.iter().position(Option::is_some).unwrap_or(run.len());
            let (unseen, seen) = run.split_at_mut(scored);
            smooth(seen.iter_mut().flatten(), self.smoothing_factor);
            unseen.fill(seen.first().copied().flatten());
        }
        raw
    }

    /// What the rows of a run come to at this row, and the window that foresees the last of them. None of a row without a
    /// score; windows of stride 1.
    ///
    /// # Panics
    ///
    /// When the forecasts are not those of the windows.
    pub(super) fn run(&self, windows: &Windows, forecasts: &[f32], row: usize) -> Option<(Smoothed, usize)> {
        let columns = windows.columns();
        assert_eq!(forecasts.len(), windows.count() * columns, "one forecast a window and metric");
        let run = windows.runs().iter().find(|run| run.contains(&row))?;
        // As in `scores`: rows before the first that is foreseen have its score, and smoothing begins there.
        let first = windows.first_target(run)?;
        let last = row.max(first);
        let smoothed = (last + 1).saturating_sub(self.memory()).max(first)..=last;
        let mut run = Smoothed::default();
        for index in smoothed.filter_map(|row| windows.of_target(row)) {
            self.smooth(&mut run, &forecasts[index * columns..][..columns], windows.next(index));
        }
        Some((run, windows.of_target(last)?))
    }

    /// How many of a run's latest rows are asked what their values have of its score.
    pub(super) fn told(&self, run: &Smoothed) -> usize {
        self.told_max().min(run.rows)
    }

    /// The same of the longest run.
    pub(super) fn told_max(&self) -> usize {
        let kept = 1.0 - self.smoothing_factor;
        1 + ((TOLD_MIN.ln() / kept.max(f64::MIN_POSITIVE).ln()) as usize).min(TOLD_MAX)
    }

    /// What each row of a run counts in its score, the newest first.
    pub(super) fn counts(&self, run: &Smoothed) -> impl Iterator<Item = f64> {
        let kept = 1.0 - self.smoothing_factor;
        std::iter::successors(Some(1.0 / run.weights), move |counts| Some(kept * counts))
    }

    /// Appends the slope of how unusual a record is, before smoothing, by what is said of each metric.
    pub(super) fn slopes(&self, said: &[f32], came: &[f32], out: &mut Vec<f32>) {
        let (most, columns) = (self.excess_max.unwrap_or(f64::INFINITY), self.means.len() as f64);
        let mut errors = squared_errors(said, came);
        let excesses = self.excesses(&mut errors).zip(&self.divisors);
        out.extend(said.iter().zip(came).zip(excesses).map(|((said, came), (excess, divisor))| {
            let error = f64::from(said - came);
            if 0.0 < excess && excess < most { (2.0 * error / divisor / columns) as f32 } else { 0.0 }
        }));
    }

    /// Goes on with a run by one row: what was foreseen of it, and what came.
    pub fn smooth(&self, run: &mut Smoothed, forecast: &[f32], actual: &[f32]) {
        let kept = 1.0 - self.smoothing_factor;
        run.sums.resize(self.means.len(), 0.0);
        run.weights = kept * run.weights + 1.0;
        run.rows += 1;
        let mut errors = squared_errors(forecast, actual);
        let excesses = self.excesses(&mut errors);
        run.sums.iter_mut().zip(excesses).for_each(|(sum, excess)| *sum = kept * *sum + excess);
    }

    /// Mean over the metrics of how far each error is above its usual size.
    fn surprise(&self, errors: &mut dyn Iterator<Item = f64>) -> f64 {
        self.excesses(errors).sum::<f64>() / self.means.len().max(1) as f64
    }

    /// How far each metric's error is above its usual size, in spreads.
    fn excesses(&self, errors: &mut dyn Iterator<Item = f64>) -> impl Iterator<Item = f64> {
        let usual = self.means.iter().zip(&self.divisors);
        let most = self.excess_max.unwrap_or(f64::INFINITY);
        errors.zip(usual).map(move |(error, (mean, divisor))| ((error - mean) / divisor).max(0.0).min(most))
    }
}

/// Replaces each value by the mean of itself and those before, each of which counts `1 - factor` as much as the next one.
pub fn smooth<'v>(values: impl Iterator<Item = &'v mut f64>, factor: f64) {
    let (mut sum, mut weights) = (0.0, 0.0);
    for value in values {
        sum = (1.0 - factor) * sum + *value;
        weights = (1.0 - factor) * weights + 1.0;
        *value = sum / weights;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::samples::{row, table};
    use pipeline::{Table, Window, window};

    const WINDOW: Window = Window { past_steps: 2, stride: 1, gap_steps: 3 };

    /// Mean 1 and spread 1, mean 0 and spread 0: the mean spread is 0.5, its least share 0.15.
    fn calibration(smoothing_factor: f64) -> Calibration {
        let moments = [[0.0, 2.0].into_iter().collect(), [0.0, 0.0].into_iter().collect()];
        Calibration::from_moments(&moments, &Calibrate { smoothing_factor, ..Calibrate::default() })
    }

    #[test]
    fn a_score_is_the_mean_excess_over_the_usual_error_in_spreads() {
        let windows = window(table(2, &[0.0, 0.0, 0.0, 0.0, 2.0, 0.3, 0.5, 0.0]), &WINDOW);
        let scores = calibration(1.0).scores(&windows, &[0.0; 4]);
        // Row 2: errors 4 and 0.09, (4 - 1) / 1 and 0.09 / 0.15. Row 3: 0.25 is less than usual.
        let expected = [1.8, 1.8, 1.8, 0.0];
        for (score, expected) in scores.into_iter().zip(expected) {
            assert!((score.unwrap() - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn contributions_add_up_to_the_score_and_are_of_the_metrics_that_were_not_foreseen() {
        let windows = window(table(2, &[0.0, 0.0, 0.0, 0.0, 2.0, 0.3, 0.5, 0.0]), &WINDOW);
        let calibration = calibration(0.5);
        let scores = calibration.scores(&windows, &[0.0; 4]);
        let run = |row| calibration.run(&windows, &[0.0; 4], row).unwrap().0;
        let of = |row| run(row).contributions().collect::<Vec<_>>();
        for (row, score) in scores.iter().enumerate() {
            assert!((of(row).iter().sum::<f64>() - score.unwrap()).abs() < 1e-12, "row {row}");
        }
        // Row 2 alone: 3 / 2 of the first and 0.6 / 2 of the second; row 3 has a third of that, and the rows before all.
        for (row, share) in [(0, 1.0), (2, 1.0), (3, 1.0 / 3.0)] {
            let [first, second] = of(row)[..] else { panic!("two metrics") };
            assert!((first - 1.5 * share).abs() < 1e-6 && (second - 0.3 * share).abs() < 1e-6, "row {row}");
        }
        let short = window(table(2, &[0.0; 4]), &WINDOW);
        assert!(calibration.run(&short, &[], 1).is_none());
        assert!(calibration.run(&short, &[], 9).is_none());
    }

    #[test]
    fn moments_are_those_of_squared_errors_by_metric() {
        let windows = window(table(2, &[0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 3.0]), &WINDOW);
        let moments = error_moments(&windows, &[0.0, 0.0, 0.0, 0.0]);
        assert_eq!((moments[0].count, moments[0].mean, moments[0].sd()), (2, 2.0, 2.0));
        assert_eq!((moments[1].mean, moments[1].sd()), (5.0, 4.0));
    }

    #[test]
    fn smoothing_looks_back_only() {
        let mut values = [0.0, 6.0, 0.0, 15.0];
        smooth(values.iter_mut(), 0.5);
        let expected = [0.0, 6.0 / 1.5, 3.0 / 1.75, 16.5 / 1.875];
        assert!(values.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-12));
        smooth(values.iter_mut(), 1.0);
        assert!((values[3] - expected[3]).abs() < 1e-12, "a factor of 1 changes nothing");
    }

    #[test]
    fn what_is_older_than_the_memory_does_not_count() {
        assert_eq!(calibration(1.0).memory(), 2);
        for factor in [0.9, 0.25, 0.05] {
            let memory = calibration(factor).memory();
            let counts = |rows: usize| {
                let mut values = vec![0.0; rows];
                values[0] = 1.0;
                smooth(values.iter_mut(), factor);
                values[rows - 1]
            };
            assert!(
                counts(memory + 1) <= f64::EPSILON && counts(memory - 3) > f64::EPSILON * factor,
                "{factor}"
            );
        }
    }

    #[test]
    fn every_run_is_scored_by_itself_and_one_too_short_has_no_score() {
        let rows = [row(0, 0), row(0, 1), row(0, 2), row(0, 9), row(1, 10), row(1, 11), row(1, 12)];
        let values = [0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0];
        let windows = window(Table { columns: 2, rows: rows.to_vec(), values: values.to_vec() }, &WINDOW);
        let scores = calibration(0.25).scores(&windows, &[0.0; 4]);
        assert_eq!(scores[..3], [Some(4.0); 3]);
        assert_eq!(scores[3], None);
        assert_eq!(scores[4..], [Some(1.5); 3]);
    }

    #[test]
    fn a_model_without_errors_in_training_scores_later_errors_as_finite() {
        let calibration = Calibration::from_moments(&[Moments::default(); 2], &Calibrate::default());
        let windows = window(table(2, &[0.0, 0.0, 0.0, 0.0, 5.0, 5.0]), &WINDOW);
        assert!(calibration.scores(&windows, &[0.0; 2]).iter().all(|score| score.unwrap().is_finite()));
    }
}
