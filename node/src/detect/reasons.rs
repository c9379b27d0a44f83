//! Why a record has its score: by what each metric's error has of it, and by what each metric's values make of it.

use std::collections::BTreeMap;

use pipeline::Windows;

use super::score::Smoothed;
use super::{Calibration, Detector, DetectorError, Measure};
use crate::learn::Attributor;

/// Parts of a score, one a metric, in the model's order. Empty when nobody wanted to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons {
    /// How much of the score each metric's error has: they add up to it. Empty where load or a failure is foreseen, since
    /// nothing is compared with a record there.
    pub contributions: Vec<f64>,
    /// How much of the score each metric's values have, of the record and of those before it, by integrated gradients: they
    /// add up to what is more than of usual values, but for what records too old to count a thousandth have.
    pub attributions: Vec<f64>,
}

impl Reasons {
    /// What an alarm is explained by first.
    pub fn first(&self) -> &[f64] {
        if self.contributions.is_empty() { &self.attributions } else { &self.contributions }
    }
}

/// Tells reasons of one row of a table after the other, and looks at each window once.
pub(super) struct Explaining<'w> {
    detector: &'w Detector,
    windows: &'w Windows,
    said: &'w [f32],
    attributor: Attributor,
    /// What each metric's values have of how unusual the row of a window is.
    by_window: BTreeMap<usize, Vec<f64>>,
}

impl<'w> Explaining<'w> {
    /// Of windows of stride 1, of which the detector's model says this.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Learn`].
    pub(super) fn new(
        detector: &'w Detector,
        windows: &'w Windows,
        said: &'w [f32],
    ) -> Result<Self, DetectorError> {
        let attributor = Attributor::new(&detector.task, &detector.parameters)?;
        Ok(Self { detector, windows, said, attributor, by_window: BTreeMap::new() })
    }

    /// The reasons of a row's score; rows in any order, but fastest in theirs.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Learn`].
    pub(super) fn of(&mut self, row: usize) -> Result<Reasons, DetectorError> {
        let Self { windows, .. } = *self;
        let Measure::Surprise(calibration) = &self.detector.measure else {
            let seen = windows.of_target(row).map(|window| windows.past_and_next(window));
            let attributions = seen.map(|seen| self.attributor.said(seen)).transpose()?;
            return Ok(Reasons { attributions: attributions.unwrap_or_default(), ..Reasons::default() });
        };
        let Some((run, last)) = calibration.run(windows, self.said, row) else {
            return Ok(Reasons::default());
        };
        let told = calibration.told(&run);
        self.by_window = self.by_window.split_off(&(last + 1 - told));
        for window in last + 1 - told..=last {
            if !self.by_window.contains_key(&window) {
                let parts = surprise(&self.attributor, calibration, windows.past_and_next(window))?;
                self.by_window.insert(window, parts);
            }
        }
        let newest_first = self.by_window.range(..=last).rev().map(|(_, parts)| &parts[..]);
        Ok(reasons(calibration, &run, newest_first))
    }
}

/// What each metric's values have of how unusual a record is, before smoothing: of the window before it and the record.
pub(super) fn surprise(
    attributor: &Attributor,
    calibration: &Calibration,
    seen: &[f32],
) -> Result<Vec<f64>, DetectorError> {
    Ok(attributor.surprise(seen, |said, came, slopes| calibration.slopes(said, came, slopes))?)
}

/// The reasons of a run's last score, of what each metric's values have of how unusual its rows are.
pub(super) fn reasons<'p>(
    calibration: &Calibration,
    run: &Smoothed,
    newest_first: impl Iterator<Item = &'p [f64]>,
) -> Reasons {
    let contributions: Vec<f64> = run.contributions().collect();
    let mut attributions = vec![0.0; contributions.len()];
    for (parts, counts) in newest_first.zip(calibration.counts(run)) {
        attributions.iter_mut().zip(parts).for_each(|(sum, part)| *sum += counts * part);
    }
    Reasons { contributions, attributions }
}
