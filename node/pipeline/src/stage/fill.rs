//! Fill: values and records for short gaps in a grid.

use std::sync::Arc;

use common::units::Timestamp;
use ingest::Interval;
use ingest::record::TelemetryRecord;
use serde::{Deserialize, Serialize};

use crate::applied::Applied;
use crate::limits::{FILL_ROWS_MAX, FILLED_PER_MEASURED_MAX};
use crate::shared::{in_order, rows};

/// Which gaps are filled, and with what. A gap is a time of the grid without a record, or a record without a value;
/// an infinite value is none. Nothing is filled before the first record of a source or after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// The usual time between two records of a source.
    pub every_s: Interval,
    /// What stands in the gap.
    #[serde(default)]
    pub how: How,
    /// Rows of the grid that are filled.
    pub rows_max: RowsMax,
}

/// What stands in a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The last value known; of a gap that is longer than `rows_max`, its beginning is filled.
    #[default]
    Hold,
    /// A straight line to the next value; a gap that is longer than `rows_max` is left as it is.
    Linear,
}

/// How many rows in a row are filled: 1 to [`FILL_ROWS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct RowsMax(u32);

/// A number of rows that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`rows_max` is not within 1 to {FILL_ROWS_MAX}")]
pub struct RowsMaxError;

impl TryFrom<u32> for RowsMax {
    type Error = RowsMaxError;

    fn try_from(rows: u32) -> Result<Self, RowsMaxError> {
        if (1..=FILL_ROWS_MAX).contains(&rows) { Ok(Self(rows)) } else { Err(RowsMaxError) }
    }
}

/// A record of the grid: measured, or to be filled.
struct Row {
    record: TelemetryRecord,
    measured: bool,
}

impl Fill {
    pub(super) fn apply(self, records: Vec<TelemetryRecord>, out: &mut Applied) {
        let groups: Vec<_> = rows(records).into_iter().map(|group| self.filled(group, out)).collect();
        out.records = in_order(groups);
    }

    /// The rows of one group, with its gaps filled.
    fn filled(self, group: Vec<TelemetryRecord>, out: &mut Applied) -> Vec<TelemetryRecord> {
        let columns = group.first().map_or(0, |record| record.metrics.len());
        let mut rows = self.with_gaps(group, out);
        for column in 0..columns {
            match self.how {
                How::Hold => self.hold(&mut rows, column),
                How::Linear => self.draw_lines(&mut rows, column),
            }
        }
        // A row of which nothing is known would only hide the gap from the windows.
        let is_of_use = |row: &Row| row.measured || row.record.values.iter().any(|value| value.is_finite());
        rows.into_iter().filter(is_of_use).map(|row| row.record).collect()
    }

    /// The rows, and empty ones in the gaps that are to be filled.
    fn with_gaps(self, group: Vec<TelemetryRecord>, out: &mut Applied) -> Vec<Row> {
        let every = self.every_s.micros();
        let mut room = group.len() * FILLED_PER_MEASURED_MAX;
        let mut rows: Vec<Row> = Vec::with_capacity(group.len());
        for record in group {
            if let Some(before) = rows.last() {
                let (origin, metrics) =
                    (Arc::clone(&before.record.origin), Arc::clone(&before.record.metrics));
                let begin = before.record.at;
                let count = self.rows_between(record.at.micros_since(begin)) as usize;
                if count > room {
                    out.leave_open(&origin, begin);
                } else {
                    room -= count;
                    rows.extend((1..=count as u64).map(|step| {
                        let at = Timestamp(begin.0 + step * every);
                        let values = vec![f32::NAN; metrics.len()];
                        let (origin, metrics) = (Arc::clone(&origin), Arc::clone(&metrics));
                        Row { record: TelemetryRecord { origin, at, metrics, values }, measured: false }
                    }));
                }
            }
            rows.push(Row { record, measured: true });
        }
        rows
    }

    /// How many rows are filled between two that are so far apart.
    fn rows_between(self, micros: u64) -> u32 {
        let every = self.every_s.micros();
        // Rounded: a record that is late by less than half a step leaves no gap behind it.
        let missing = (micros.saturating_add(every / 2) / every).saturating_sub(1);
        let max = u64::from(self.rows_max.0);
        match self.how {
            How::Hold => missing.min(max) as u32,
            How::Linear if missing > max => 0,
            How::Linear => missing as u32,
        }
    }

    fn hold(self, rows: &mut [Row], column: usize) {
        let (mut last, mut since) = (f32::NAN, 0);
        for row in rows {
            let value = &mut row.record.values[column];
            if value.is_finite() {
                (last, since) = (*value, 0);
            } else {
                since += 1;
                *value = if since <= self.rows_max.0 { last } else { f32::NAN };
            }
        }
    }

    fn draw_lines(self, rows: &mut [Row], column: usize) {
        let mut known: Option<usize> = None;
        for index in 0..rows.len() {
            let end = rows[index].record.values[column];
            if !end.is_finite() {
                rows[index].record.values[column] = f32::NAN;
                continue;
            }
            if let Some(begin) = known.filter(|begin| index - begin - 1 <= self.rows_max.0 as usize) {
                let (from, to) = (rows[begin].record.at, rows[index].record.at);
                let (start, length) = (f64::from(rows[begin].record.values[column]), to.micros_since(from));
                for row in &mut rows[begin + 1..index] {
                    let share = row.record.at.micros_since(from) as f64 / length.max(1) as f64;
                    row.record.values[column] = (start + (f64::from(end) - start) * share) as f32;
                }
            }
            known = Some(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use ingest::record::TelemetryRecord;

    use crate::samples::{known, of_tenant, record, stage, stage_error};

    fn filled(how: &str, rows: &[(u64, f32)]) -> Vec<(u64, Option<f32>)> {
        let text = format!("kind = 'fill'\nevery_s = 10\nrows_max = 2\nhow = '{how}'");
        let records = rows.iter().map(|(at, value)| record("a", *at, &["x"], &[*value])).collect();
        let shown = |record: &TelemetryRecord| (record.at.millis() / 1000, known(record)[0]);
        stage(&text).apply(records).records.iter().map(shown).collect()
    }

    #[test]
    fn the_last_value_is_held_for_so_many_rows_whether_a_value_or_a_record_is_missing() {
        let rows = filled("hold", &[(0, 1.0), (10, f32::NAN), (50, f32::NAN), (60, 2.0)]);
        // At 20 and 30 there are rows to fill, but only the first of them still has a value to hold.
        assert_eq!(rows, [(0, Some(1.0)), (10, Some(1.0)), (20, Some(1.0)), (50, None), (60, Some(2.0))]);
        assert_eq!(
            filled("hold", &[(0, 1.0), (20, 3.0)]),
            [(0, Some(1.0)), (10, Some(1.0)), (20, Some(3.0))]
        );
    }

    #[test]
    fn a_line_is_drawn_over_a_gap_and_only_over_a_short_one() {
        let rows = filled("linear", &[(0, 1.0), (10, f32::INFINITY), (30, 4.0)]);
        assert_eq!(rows, [(0, Some(1.0)), (10, Some(2.0)), (20, Some(3.0)), (30, Some(4.0))]);
        assert_eq!(filled("linear", &[(0, 1.0), (40, 4.0)]), [(0, Some(1.0)), (40, Some(4.0))]);
        assert_eq!(
            filled("linear", &[(0, f32::NAN), (10, 4.0), (20, f32::NAN)]),
            [(0, None), (10, Some(4.0)), (20, None)]
        );
    }

    #[test]
    fn a_record_that_is_a_little_late_leaves_no_gap() {
        assert_eq!(filled("hold", &[(0, 1.0), (14, 2.0), (23, 3.0)]).len(), 3);
        assert_eq!(filled("hold", &[(0, 1.0), (15, 2.0)])[1], (10, Some(1.0)));
        assert_eq!(filled("linear", &[(0, 1.0), (0, f32::NAN), (0, 3.0)]).len(), 3);
    }

    #[test]
    fn nothing_is_filled_from_another_source_or_tenant() {
        let one = record("a", 0, &["x"], &[1.0]);
        let hole = record("a", 10, &["x"], &[f32::NAN]);
        let text = "kind = 'fill'\nevery_s = 10\nrows_max = 2";
        let applied = stage(text).apply(vec![one, of_tenant(&hole, 2), record("b", 20, &["x"], &[f32::NAN])]);
        let known: Vec<_> = applied.records.iter().flat_map(known).flatten().collect();
        assert_eq!((known, applied.records.len()), (vec![1.0], 3));
    }

    #[test]
    fn a_source_of_mostly_gaps_is_filled_as_far_as_the_limit_and_that_is_told() {
        let records = (0..3).map(|at| record("a", at * 1000, &["x"], &[1.0])).collect();
        let applied = stage("kind = 'fill'\nevery_s = 10\nrows_max = 40").apply(records);
        assert_eq!((applied.records.len(), applied.gaps_left_open), (43, 1));
        let told = applied.left_out[0].to_string();
        assert!(told.starts_with("source `a` at 1000000 ms: the gap stays open: "), "{told}");
    }

    #[test]
    fn a_number_of_rows_has_its_limits() {
        for rows in ["0", "1441", "-1"] {
            let error = stage_error(&format!("kind = 'fill'\nevery_s = 10\nrows_max = {rows}"));
            assert!(
                error.contains("`rows_max` is not within 1 to 1440") || error.contains("invalid value"),
                "{error}"
            );
        }
    }
}
