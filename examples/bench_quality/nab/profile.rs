//! The standard profile of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015, section II; version 1.1): in each window that
//! has an anomaly the first alarm counts, the more the earlier it is; alarms outside of windows cost, least soon after one.

use std::ops::Range;

/// What a window whose first row raises an alarm is worth, what one without an alarm costs, and an alarm far from all windows.
const HIT: f64 = 1.0;
const MISS: f64 = 1.0;
const FALSE_ALARM: f64 = 0.11;
/// Share of a series that is not judged, and the most rows of it.
const PROBATION: f64 = 0.15;
const PROBATION_MAX: usize = 750;
/// From so many widths of the last window on, it no longer excuses an alarm.
const FAR: f64 = 3.0;

/// How unusual each row of a series is to a detector, if it says so.
pub(crate) type Scores = Vec<Option<f64>>;

/// A series as a detector saw it.
#[derive(Clone, Debug)]
pub(crate) struct Series<'s> {
    pub(crate) scores: &'s [Option<f64>],
    /// Rows in which something was wrong, in order and apart from each other.
    pub(crate) windows: &'s [Range<usize>],
}

/// What the alarms on some series are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Worth {
    pub(crate) windows: usize,
    /// Windows with an alarm.
    pub(crate) found: usize,
    /// Alarms outside of windows.
    pub(crate) false_alarms: usize,
    /// The sum of what all these are worth.
    pub(crate) raw: f64,
}

impl Worth {
    /// 0 for who never raises an alarm, 100 for who raises one on the first row of each window and no other; none without
    /// windows.
    pub(crate) fn score(&self) -> Option<f64> {
        let windows = self.windows as f64;
        (self.windows > 0).then(|| 100.0 * (self.raw + MISS * windows) / ((HIT + MISS) * windows))
    }

    fn and(self, other: &Self) -> Self {
        Self {
            windows: self.windows + other.windows,
            found: self.found + other.found,
            false_alarms: self.false_alarms + other.false_alarms,
            raw: self.raw + other.raw,
        }
    }
}

/// A detector on the whole of a corpus.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// From this score on it raises an alarm; with none it never does.
    pub(crate) threshold: Option<f64>,
    pub(crate) whole: Worth,
    /// In the order of the series.
    pub(crate) series: Vec<Worth>,
}

/// Rows at the beginning of a series that are not judged.
pub(crate) fn probation(rows: usize) -> usize {
    ((rows as f64 * PROBATION) as usize).min(PROBATION_MAX)
}

/// What an alarm on a row is worth.
#[derive(Clone, Copy, Debug)]
enum Alarm {
    /// In this window; the best one of a window counts.
    Hit(usize, f64),
    False(f64),
}

/// Judges a detector with the one threshold for all series that is best for it, as the benchmark does.
pub(crate) fn judge(series: &[Series<'_>]) -> Outcome {
    let mut rows = Vec::new();
    for (index, one) in series.iter().enumerate() {
        let alarms = alarms(one.scores.len(), one.windows);
        rows.extend(alarms.filter_map(|(row, alarm)| Some((one.scores[row]?, index, alarm))));
    }
    rows.sort_unstable_by(|one, other| other.0.total_cmp(&one.0));
    let misses = |one: &Series<'_>| vec![-MISS; one.windows.len()];
    let mut by_window: Vec<Vec<f64>> = series.iter().map(misses).collect();
    let mut now: f64 = by_window.iter().flatten().sum();
    let (mut best, mut threshold) = (now, None);
    for level in rows.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        for (_, index, alarm) in level {
            match *alarm {
                Alarm::Hit(window, worth) => {
                    let known = &mut by_window[*index][window];
                    now += worth.max(*known) - *known;
                    *known = worth.max(*known);
                }
                Alarm::False(worth) => now += worth,
            }
        }
        if now > best {
            (best, threshold) = (now, Some(level[0].0));
        }
    }
    let series: Vec<Worth> = series.iter().map(|one| worth(one, threshold)).collect();
    Outcome { threshold, whole: series.iter().fold(Worth::default(), Worth::and), series }
}

/// What a series is worth with a threshold.
fn worth(series: &Series<'_>, threshold: Option<f64>) -> Worth {
    let Series { scores, windows } = series;
    let is_alarm = |row: usize| threshold.zip(scores[row]).is_some_and(|(least, score)| score >= least);
    let mut hits: Vec<Option<f64>> = vec![None; windows.len()];
    let mut worth = Worth { windows: hits.len(), ..Worth::default() };
    for (_, alarm) in alarms(scores.len(), windows).filter(|(row, _)| is_alarm(*row)) {
        match alarm {
            Alarm::Hit(window, worth) => {
                hits[window] = Some(hits[window].map_or(worth, |best| best.max(worth)));
            }
            Alarm::False(cost) => {
                worth.false_alarms += 1;
                worth.raw += cost;
            }
        }
    }
    worth.found = hits.iter().flatten().count();
    worth.raw += hits.iter().map(|hit| hit.unwrap_or(-MISS)).sum::<f64>();
    worth
}

/// What an alarm on each judged row would be worth.
fn alarms(rows: usize, windows: &[Range<usize>]) -> impl Iterator<Item = (usize, Alarm)> {
    (probation(rows)..rows).map(move |row| {
        let at = windows.partition_point(|window| window.end <= row);
        let now = windows.get(at).filter(|window| window.contains(&row));
        let alarm = if let Some(window) = now {
            // The first row of a window is a whole width before its end, and worth 1.
            let before = (window.end - row) as f64 / window.len() as f64;
            Alarm::Hit(at, HIT * sigmoid(-before) / sigmoid(-1.0))
        } else {
            let last = at.checked_sub(1).map(|last| &windows[last]);
            let after = last.map_or(FAR, |last| (row + 1 - last.end) as f64 / (last.len() - 1) as f64);
            Alarm::False(FALSE_ALARM * sigmoid(after))
        };
        (row, alarm)
    })
}

/// What an alarm is worth, so many widths of a window after its end: from nearly 1 to -1.
fn sigmoid(after: f64) -> f64 {
    if after >= FAR { -1.0 } else { 2.0 / (1.0 + (5.0 * after).exp()) - 1.0 }
}

#[cfg(test)]
mod tests;
