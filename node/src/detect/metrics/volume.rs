//! Volumes under the surface (Paparrizos et al. 2022, "Volume Under the Surface"): areas under the ROC
//! and precision-recall curves with labels that fade out around each anomaly, averaged over how far.
//!
//! A detector that is a few rows early or late loses a little, not all. The figures are those of the
//! reference of the TSB-AD benchmark (its version `opt`): 250 thresholds, at evenly spaced ranks.

use std::ops::RangeInclusive;

use super::{MetricError, check};

/// Points on each curve, beside its ends.
const THRESHOLDS: usize = 250;

/// Volumes under the surface; 1 is perfect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Volume {
    /// Under the ROC curves.
    pub roc: f64,
    /// Under the precision-recall curves.
    pub pr: f64,
}

/// The volumes over all widths from 0 to `width` rows.
///
/// # Errors
///
/// [`MetricError`] when there is nothing to rank.
pub fn vus(labels: &[bool], scores: &[f64], width: usize) -> Result<Volume, MetricError> {
    let positives = check(labels, scores)? as f64;
    let ranking = Ranking::new(labels, scores);
    let anomalies = anomalies(labels);
    let mut faded = vec![0.0; labels.len()];
    let mut volume = Volume { roc: 0.0, pr: 0.0 };
    for width in 0..=width {
        let fading = fading_hits(labels, &anomalies, width, &ranking, &mut faded);
        let caught = ranking.caught(&reaches(&anomalies, width / 2, labels.len()), scores);
        let (roc, pr) = ranking.areas(positives, &fading, &caught);
        volume.roc += roc;
        volume.pr += pr;
    }
    let widths = (width + 1) as f64;
    Ok(Volume { roc: volume.roc / widths, pr: volume.pr / widths })
}

/// The rows by score, seen from the thresholds.
struct Ranking {
    /// Scores at evenly spaced ranks, from the highest down.
    thresholds: Vec<f64>,
    /// For each row the first threshold that its score reaches.
    reached: Vec<usize>,
    /// Rows that reach each threshold.
    alarms: Vec<f64>,
    /// Anomalous rows that reach each threshold.
    hits: Vec<f64>,
}

impl Ranking {
    fn new(labels: &[bool], scores: &[f64]) -> Self {
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(|left, right| right.total_cmp(left));
        let last = scores.len() - 1;
        let step = last as f64 / (THRESHOLDS - 1) as f64;
        let mut thresholds: Vec<f64> =
            (0..THRESHOLDS).map(|index| sorted[((index as f64 * step) as usize).min(last)]).collect();
        thresholds[THRESHOLDS - 1] = sorted[last];
        let reached: Vec<usize> = scores.iter().map(|&score| first_reached(&thresholds, score)).collect();
        let mut ranking = Self { thresholds, reached, alarms: Vec::new(), hits: Vec::new() };
        ranking.alarms = ranking.accumulate((0..labels.len()).map(|row| (row, 1.0)));
        ranking.hits = ranking.accumulate((0..labels.len()).filter(|&row| labels[row]).map(|row| (row, 1.0)));
        ranking
    }

    /// For each threshold the sum of the values of the rows that reach it.
    fn accumulate(&self, values: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let mut sums = vec![0.0; THRESHOLDS];
        values.for_each(|(row, value)| sums[self.reached[row]] += value);
        running_sums(sums)
    }

    /// For each threshold the share of anomalies whose reach has a row at or above it.
    fn caught(&self, reaches: &[RangeInclusive<usize>], scores: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; THRESHOLDS];
        for reach in reaches {
            let highest = scores[reach.clone()].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            counts[first_reached(&self.thresholds, highest)] += 1.0;
        }
        running_sums(counts).into_iter().map(|count| count / reaches.len() as f64).collect()
    }

    /// Areas under both curves, where `fading` hits count beside the full ones.
    fn areas(&self, positives: f64, fading: &[f64], caught: &[f64]) -> (f64, f64) {
        let rows = self.alarms[THRESHOLDS - 1];
        let (mut roc, mut pr) = (0.0, 0.0);
        let (mut recall_before, mut fallout_before) = (0.0, 0.0);
        for index in 0..THRESHOLDS {
            let (alarms, hits) = (self.alarms[index], self.hits[index] + fading[index]);
            // The paper's count of positives: the mean of what is labelled with and without fading.
            let counted = positives + fading[index] / 2.0;
            let recall = (hits / counted).min(1.0) * caught[index];
            let fallout = (alarms - hits) / (rows - counted);
            roc += (fallout - fallout_before) * (recall + recall_before) / 2.0;
            pr += (recall - recall_before) * hits / alarms;
            (recall_before, fallout_before) = (recall, fallout);
        }
        (roc + (1.0 - fallout_before) * f64::midpoint(1.0, recall_before), pr)
    }
}

fn first_reached(thresholds: &[f64], score: f64) -> usize {
    thresholds.partition_point(|&threshold| threshold > score)
}

fn running_sums(mut values: Vec<f64>) -> Vec<f64> {
    let mut sum = 0.0;
    for value in &mut values {
        sum += *value;
        *value = sum;
    }
    values
}

/// The ranges of labelled rows.
fn anomalies(labels: &[bool]) -> Vec<RangeInclusive<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for run in labels.chunk_by(|left, right| left == right) {
        if run[0] {
            ranges.push(start..=start + run.len() - 1);
        }
        start += run.len();
    }
    ranges
}

/// For each threshold the sum of the fading labels of the rows that reach it. A row `distance` rows
/// outside of an anomaly, at most half the width, is labelled with the root of 1 - distance / width.
fn fading_hits(
    labels: &[bool],
    anomalies: &[RangeInclusive<usize>],
    width: usize,
    ranking: &Ranking,
    faded: &mut [f64],
) -> Vec<f64> {
    let around = |anomaly: &RangeInclusive<usize>| {
        let (start, end) = (*anomaly.start(), *anomaly.end());
        let after = (end + 1..labels.len()).map(move |row| (row, row - end)).take(width / 2);
        let before = (start.saturating_sub(width / 2)..start).map(move |row| (row, start - row));
        after.chain(before)
    };
    for (row, distance) in anomalies.iter().flat_map(around) {
        faded[row] += (1.0 - distance as f64 / width as f64).sqrt();
    }
    // Between two anomalies a row is reached twice; taking the value leaves 0 for the second time.
    ranking.accumulate(anomalies.iter().flat_map(around).filter_map(|(row, _)| {
        let value = std::mem::take(&mut faded[row]).min(1.0);
        (!labels[row]).then_some((row, value))
    }))
}

/// Each anomaly with `half` rows on both sides; those that come to touch count as one.
fn reaches(anomalies: &[RangeInclusive<usize>], half: usize, rows: usize) -> Vec<RangeInclusive<usize>> {
    let mut reaches: Vec<RangeInclusive<usize>> = Vec::with_capacity(anomalies.len());
    for anomaly in anomalies {
        let end = (anomaly.end() + half).min(rows - 1);
        match reaches.last_mut() {
            Some(last) if last.end() + half >= *anomaly.start() => *last = *last.start()..=end,
            _ => reaches.push(anomaly.start().saturating_sub(half)..=end),
        }
    }
    reaches
}
