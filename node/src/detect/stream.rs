//! Scores of records as they come: of each source what its next score depends on, and no more.
//!
//! A record goes through what [`Detector::score`](super::Detector::score) does with all of them at once, and gets the same
//! score, with two differences. The first rows after a gap, which no window foresees, have none; and the usual step
//! of a source, by which a gap is told, is the median of its latest steps and not of all.

use std::collections::{BTreeMap, VecDeque};

use common::units::Timestamp;
use ingest::record::TelemetryRecord;
use pipeline::Filling;

use super::reasons::{reasons, surprise};
use super::score::Smoothed;
use super::{Detector, DetectorError, Measure, Reasons};
use crate::learn::{Attributor, Predictor};

/// Sources at once, as many as a large collector reads; the one that is silent for longest makes room for another.
pub const SOURCES_MAX: usize = 4096;

/// Values that the past of all sources has together, 64 MB: with wide records there are fewer sources.
const VALUES_MAX: usize = 1 << 24;

/// Steps of which the usual one is the median: a source that comes at another pace is followed after half of them.
const STEPS: usize = 31;

/// All sources of a node, each scored by itself.
pub struct Streams {
    detector: Detector,
    predictor: Predictor,
    attributor: Attributor,
    of: BTreeMap<Box<str>, Stream>,
    sources_max: usize,
    /// The scaled values of the record that is scored.
    row: Vec<f32>,
}

/// Sources whose past has so many values each.
fn room(values: usize) -> usize {
    (VALUES_MAX / values.max(1)).clamp(1, SOURCES_MAX)
}

/// Rows that the model of a detector sees.
fn rows_seen(detector: &Detector) -> usize {
    detector.task.past_steps as usize + usize::from(detector.task.sees_record())
}

/// Rows that are kept of a source.
fn rows_kept(detector: &Detector) -> usize {
    detector.task.past_steps as usize + detector.measure.told_max()
}

/// What is said of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// How unusual it is; 0 is as usual.
    Score(f64),
    /// Too few records without a gap in time come before it.
    TooEarly,
    /// It is older than one of its source that was scored.
    Late,
}

impl Verdict {
    /// The score, of a record that has one.
    pub fn score(self) -> Option<f64> {
        if let Self::Score(score) = self { Some(score) } else { None }
    }
}

/// What the next score of a source depends on.
#[derive(Default)]
struct Stream {
    filling: Filling,
    at: Option<Timestamp>,
    /// The latest rows, scaled, the oldest first: those that a window sees, and those that the reasons of a score depend on.
    past: Vec<f32>,
    /// The latest steps in time, in microseconds, the last one last.
    steps: VecDeque<u64>,
    smoothed: Smoothed,
}

impl Streams {
    /// Streams of a detector, without a record so far.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Learn`] when its model cannot be built.
    pub fn new(detector: Detector) -> Result<Self, DetectorError> {
        let attributor = Attributor::new(&detector.task, &detector.parameters)?;
        let predictor = attributor.predictor()?;
        let sources_max = room(rows_kept(&detector) * detector.task.metrics.len());
        Ok(Self { detector, predictor, attributor, of: BTreeMap::new(), sources_max, row: Vec::new() })
    }

    /// What it scores by.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The verdict on the next record of its source.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Clean`] names the source and the metric it lacks.
    pub fn score(&mut self, record: &TelemetryRecord) -> Result<Verdict, DetectorError> {
        if !self.of.contains_key(record.source()) {
            self.make_room();
            self.of.insert(record.source().into(), Stream::default());
        }
        let Self { detector, predictor, of, row, .. } = self;
        let stream = of.get_mut(record.source()).expect("it was there, or was put there");
        if stream.at.is_some_and(|last| record.at < last) {
            return Ok(Verdict::Late);
        }
        row.clear();
        stream.filling.row(record, &detector.task.metrics, &detector.clean, row)?;
        detector.scaler.scale_row(row);
        let past_steps = detector.task.past_steps as usize;
        let (rows, sees_record) = (rows_kept(detector), detector.task.sees_record());
        stream.step(record.at, STEPS.max(past_steps));
        if sees_record {
            stream.push(row, rows);
        }
        let mut verdict = Verdict::TooEarly;
        let unseen = stream.past.len().checked_sub(rows_seen(detector) * row.len());
        if let Some(unseen) = unseen.filter(|_| stream.runs_on(past_steps, detector.gap_steps)) {
            let said = predictor.say(&stream.past[unseen..]);
            verdict = Verdict::Score(match &detector.measure {
                Measure::Surprise(calibration) => {
                    calibration.smooth(&mut stream.smoothed, said, row);
                    stream.smoothed.score()
                }
                measure => measure.of(said),
            });
        } else {
            stream.smoothed.clear();
        }
        if !sees_record {
            stream.push(row, rows);
        }
        Ok(verdict)
    }

    /// The metrics of the record that was scored last, scaled; not of one that came late.
    pub fn row(&self) -> &[f32] {
        &self.row
    }

    /// Why the last score of a source is what it is, as [`Explained`](super::Explained) has it; nothing of a source without one.
    ///
    /// # Errors
    ///
    /// [`DetectorError::Learn`].
    pub fn reasons(&self, source: &str) -> Result<Reasons, DetectorError> {
        let Self { detector, attributor, .. } = self;
        let columns = detector.task.metrics.len();
        // The record is behind the past by now.
        let seen = (detector.task.past_steps as usize + 1) * columns;
        let stream = self.of.get(source).filter(|stream| stream.past.len() >= seen);
        let Some(Stream { past, smoothed, .. }) = stream else { return Ok(Reasons::default()) };
        let Measure::Surprise(calibration) = &detector.measure else {
            let attributions = attributor.said(&past[past.len() - seen..])?;
            return Ok(Reasons { attributions, ..Reasons::default() });
        };
        let ends = (0..calibration.told(smoothed)).map(|ago| past.len() - ago * columns);
        let parts = ends.map(|end| surprise(attributor, calibration, &past[end - seen..end]));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(reasons(calibration, smoothed, parts.iter().map(Vec::as_slice)))
    }

    /// The source that is silent for longest goes when there is no room for one more.
    fn make_room(&mut self) {
        if self.of.len() < self.sources_max {
            return;
        }
        let longest = self.of.iter().min_by_key(|(_, stream)| stream.at).map(|(source, _)| source.clone());
        longest.and_then(|source| self.of.remove(&source));
    }
}

impl Stream {
    fn step(&mut self, at: Timestamp, most: usize) {
        if let Some(last) = self.at.replace(at) {
            if self.steps.len() == most {
                self.steps.pop_front();
            }
            self.steps.push_back(at.micros_since(last));
        }
    }

    /// Whether there is no gap in time in a window that ends here.
    fn runs_on(&self, past_steps: usize, gap_steps: u32) -> bool {
        let mut latest: Vec<u64> = self.steps.iter().rev().take(STEPS).copied().collect();
        let middle = latest.len() / 2;
        let usual = if latest.is_empty() { 0 } else { *latest.select_nth_unstable(middle).1 };
        let gap = usual.saturating_mul(u64::from(gap_steps));
        self.steps.iter().rev().take(past_steps).all(|step| *step <= gap)
    }

    fn push(&mut self, row: &[f32], rows: usize) {
        if self.past.len() < rows * row.len() {
            self.past.extend_from_slice(row);
        } else {
            self.past.copy_within(row.len().., 0);
            let from = self.past.len() - row.len();
            self.past[from..].copy_from_slice(row);
        }
    }
}

#[cfg(test)]
mod tests;
