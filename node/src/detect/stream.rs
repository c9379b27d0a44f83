//! Scores of records as they come: of each source what its next score depends on, and no more.
//!
//! A record goes through what [`Detector::score`](super::Detector::score) does with all of them at once, and gets the same
//! score, with two differences. The first rows after a gap, which no window foresees, have none; and the usual step
//! of a source, by which a gap is told, is the median of its latest steps and not of all.

use std::collections::{BTreeMap, VecDeque};

use common::units::Timestamp;
use ingest::record::TelemetryRecord;
use pipeline::Filling;

use super::score::Smoothed;
use super::{Detector, DetectorError};
use crate::learn::Predictor;

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
    of: BTreeMap<Box<str>, Stream>,
    sources_max: usize,
    /// The scaled values of the record that is scored.
    row: Vec<f32>,
}

/// Sources whose past has so many values each.
fn room(values: usize) -> usize {
    (VALUES_MAX / values.max(1)).clamp(1, SOURCES_MAX)
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
    /// The latest rows, scaled, the oldest first; as many as a window sees, when there are.
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
        let predictor = Predictor::new(&detector.task, &detector.parameters)?;
        let sources_max = room(detector.task.past_steps as usize * detector.task.metrics.len());
        Ok(Self { detector, predictor, of: BTreeMap::new(), sources_max, row: Vec::new() })
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
        stream.step(record.at, STEPS.max(detector.task.past_steps as usize));
        let is_seen = stream.is_seen(detector.task.past_steps as usize, detector.gap_steps, row.len());
        let mut verdict = Verdict::TooEarly;
        if is_seen {
            let forecast = predictor.say(&stream.past)?;
            detector.calibration.smooth(&mut stream.smoothed, forecast, row);
            verdict = Verdict::Score(stream.smoothed.score());
        } else {
            stream.smoothed.clear();
        }
        stream.push(row, detector.task.past_steps as usize);
        Ok(verdict)
    }

    /// How much of the last score of a source each metric has, in the model's order: they add up to it.
    pub fn contributions(&self, source: &str) -> Vec<f64> {
        self.of.get(source).map_or_else(Vec::new, |stream| stream.smoothed.contributions().collect())
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

    /// Whether a window that ends here has all its rows, and no gap in time.
    fn is_seen(&self, past_steps: usize, gap_steps: u32, columns: usize) -> bool {
        if self.past.len() < past_steps * columns {
            return false;
        }
        let mut latest: Vec<u64> = self.steps.iter().rev().take(STEPS).copied().collect();
        let middle = latest.len() / 2;
        let usual = if latest.is_empty() { 0 } else { *latest.select_nth_unstable(middle).1 };
        let gap = usual.saturating_mul(u64::from(gap_steps));
        self.steps.iter().rev().take(past_steps).all(|step| *step <= gap)
    }

    fn push(&mut self, row: &[f32], past_steps: usize) {
        if self.past.len() < past_steps * row.len() {
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
