//! Clean: the metrics of the run, by name, in order of source and time, with short gaps filled.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use serde::{Deserialize, Serialize};

use super::{Row, Table};
use ingest::record::TelemetryRecord;

/// Parameters of [`clean`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clean {
    /// For how many rows the last value of a metric stands in for missing ones.
    pub fill_rows_max: u32,
}

impl Default for Clean {
    fn default() -> Self {
        Self { fill_rows_max: 12 }
    }
}

/// What [`clean`] made of the records.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleaned {
    /// One row a record; NaN where a value is missing and was not filled.
    pub table: Table,
    /// Values that were NaN or infinite and were filled with the last one known.
    pub filled: u64,
    /// Values that were NaN or infinite and stay unknown.
    pub missing: u64,
}

/// A record that cannot be part of the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CleanError {
    /// A metric of the run is not in the record.
    #[error("source `{origin}` has no metric `{metric}`")]
    MissingMetric {
        /// The metric that the run learns.
        metric: String,
        /// The source of the record.
        origin: String,
    },
    /// A record has more or fewer values than names.
    #[error("a record of source `{origin}` has {values} values for {metrics} metrics")]
    Ragged {
        /// The source of the record.
        origin: String,
        /// Values it has.
        values: usize,
        /// Names it has.
        metrics: usize,
    },
}

/// Selects `metrics` from the records, orders the rows by source and time (records of one source at
/// one time keep their order) and fills short gaps with the last value known, never with a later one.
///
/// # Errors
///
/// [`CleanError`] names the source, and the metric it lacks.
pub fn clean(
    records: &[TelemetryRecord],
    metrics: &[MetricName],
    params: &Clean,
) -> Result<Cleaned, CleanError> {
    let mut sources: BTreeMap<(TenantId, &str), Vec<usize>> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        sources.entry((record.origin.tenant, record.source())).or_default().push(index);
    }
    let columns = metrics.len();
    let table = Table {
        columns,
        rows: Vec::with_capacity(records.len()),
        values: Vec::with_capacity(records.len() * columns),
    };
    let mut cleaned = Cleaned { table, filled: 0, missing: 0 };
    for (source, (_, mut indices)) in (0..).zip(sources) {
        indices.sort_by_key(|&index| records[index].at);
        let mut filling = Filling::default();
        for index in indices {
            let record = &records[index];
            let counts = filling.row(record, metrics, params, &mut cleaned.table.values)?;
            cleaned.filled += counts.filled;
            cleaned.missing += counts.missing;
            cleaned.table.rows.push(Row { source, at: record.at, record: index, down: false });
        }
    }
    Ok(cleaned)
}

/// Marks the rows of the records at which the machine was down: those where this metric is known and not zero.
///
/// # Errors
///
/// [`CleanError::MissingMetric`] names the source that lacks it.
///
/// # Panics
///
/// When the table is not one of these records.
pub fn mark_down(
    table: &mut Table,
    records: &[TelemetryRecord],
    metric: &MetricName,
) -> Result<(), CleanError> {
    let mut selection = Selection::default();
    for row in &mut table.rows {
        let record = &records[row.record];
        selection.follow(record, std::slice::from_ref(metric))?;
        let value = record.values[selection.columns[0]];
        row.down = value.is_finite() && value.abs() > 0.0;
    }
    Ok(())
}

/// What cleaning knows of the records of one source so far: each one's row follows from it.
#[derive(Clone, Debug, Default)]
pub struct Filling {
    selection: Selection,
    gaps: Vec<Gap>,
}

/// Values of a row that were not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmeasured {
    /// Filled with the last one known.
    pub filled: u64,
    /// Unknown.
    pub missing: u64,
}

impl Filling {
    /// Adds the row of the source's next record, a value for each of the `metrics`, to those of a table.
    ///
    /// # Errors
    ///
    /// [`CleanError`] names the source, and the metric it lacks; then nothing is added.
    pub fn row(
        &mut self,
        record: &TelemetryRecord,
        metrics: &[MetricName],
        params: &Clean,
        values: &mut Vec<f32>,
    ) -> Result<Unmeasured, CleanError> {
        self.selection.follow(record, metrics)?;
        self.gaps.resize(metrics.len(), Gap { last: f32::NAN, rows: 0 });
        let mut counts = Unmeasured::default();
        for (gap, &column) in self.gaps.iter_mut().zip(&self.selection.columns) {
            values.push(gap.fill(record.values[column], params.fill_rows_max, &mut counts));
        }
        Ok(counts)
    }
}

/// The last value of a metric and the rows since then.
#[derive(Clone, Copy, Debug)]
struct Gap {
    last: f32,
    rows: u32,
}

impl Gap {
    /// The value, or what stands in for it.
    fn fill(&mut self, value: f32, fill_rows_max: u32, counts: &mut Unmeasured) -> f32 {
        if value.is_finite() {
            *self = Self { last: value, rows: 0 };
            return value;
        }
        self.rows = self.rows.saturating_add(1);
        if self.rows <= fill_rows_max && self.last.is_finite() {
            counts.filled += 1;
            self.last
        } else {
            counts.missing += 1;
            f32::NAN
        }
    }
}

/// Where the metrics of the run are in the records of one source.
#[derive(Clone, Debug, Default)]
struct Selection {
    names: Option<Arc<[MetricName]>>,
    columns: Vec<usize>,
}

impl Selection {
    /// Records of a source share their names, so the search is done once; a source that changes its
    /// metrics on the way is looked up again.
    fn follow(&mut self, record: &TelemetryRecord, metrics: &[MetricName]) -> Result<(), CleanError> {
        let origin = || record.source().to_owned();
        if record.values.len() != record.metrics.len() {
            let (values, metrics) = (record.values.len(), record.metrics.len());
            return Err(CleanError::Ragged { origin: origin(), values, metrics });
        }
        if self.names.as_ref().is_some_and(|names| Arc::ptr_eq(names, &record.metrics)) {
            return Ok(());
        }
        self.columns = metrics
            .iter()
            .map(|metric| {
                let place = record.metrics.iter().position(|name| name == metric);
                place
                    .ok_or_else(|| CleanError::MissingMetric { metric: metric.to_string(), origin: origin() })
            })
            .collect::<Result<_, _>>()?;
        self.names = Some(Arc::clone(&record.metrics));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{names, record};
    use super::*;

    const NAN: f32 = f32::NAN;

    fn column(values: &[f32], fill_rows_max: u32) -> Cleaned {
        let records: Vec<_> =
            (0..).zip(values).map(|(at, &value)| record("a", at, &["x"], &[value])).collect();
        clean(&records, &names(&["x"]), &Clean { fill_rows_max }).unwrap()
    }

    #[test]
    fn a_row_is_down_where_its_metric_is_known_and_not_zero() {
        let at = |second, down| record("a", second, &["x", "down"], &[1.0, down]);
        let records = [at(2, 1.0), at(0, 0.0), at(1, f32::NAN), at(3, -2.0)];
        let mut table = clean(&records, &names(&["x"]), &Clean::default()).unwrap().table;
        mark_down(&mut table, &records, &names(&["down"])[0]).unwrap();
        assert_eq!(table.rows.iter().map(|row| row.down).collect::<Vec<_>>(), [false, false, true, true]);
        let error = mark_down(&mut table, &records, &names(&["fails"])[0]).unwrap_err();
        assert_eq!(error.to_string(), "source `a` has no metric `fails`");
    }

    #[test]
    fn metrics_are_selected_by_name_in_the_order_of_the_run() {
        let records =
            [record("a", 0, &["x", "y", "z"], &[1.0, 2.0, 3.0]), record("a", 1, &["z", "x"], &[6.0, 4.0])];
        let cleaned = clean(&records, &names(&["z", "x"]), &Clean::default()).unwrap();
        assert_eq!(cleaned.table.values, [3.0, 1.0, 6.0, 4.0]);
        assert_eq!(cleaned.table.columns, 2);
    }

    #[test]
    fn a_missing_metric_is_named_with_its_source() {
        let error =
            clean(&[record("web-1", 0, &["x"], &[1.0])], &names(&["y"]), &Clean::default()).unwrap_err();
        assert_eq!(error.to_string(), "source `web-1` has no metric `y`");
    }

    #[test]
    fn a_record_with_fewer_values_than_names_is_refused() {
        let error =
            clean(&[record("a", 0, &["x", "y"], &[1.0])], &names(&["x"]), &Clean::default()).unwrap_err();
        assert_eq!(error.to_string(), "a record of source `a` has 1 values for 2 metrics");
    }

    #[test]
    fn sources_follow_each_other_and_each_is_in_time_order() {
        let records =
            [record("b", 5, &["x"], &[1.0]), record("a", 7, &["x"], &[2.0]), record("b", 3, &["x"], &[3.0])];
        let table = clean(&records, &names(&["x"]), &Clean::default()).unwrap().table;
        assert_eq!(table.values, [2.0, 3.0, 1.0]);
        let places: Vec<_> = table.rows.iter().map(|row| (row.source, row.record)).collect();
        assert_eq!(places, [(0, 1), (1, 2), (1, 0)]);
    }

    #[test]
    fn a_short_gap_is_filled_forward_and_a_long_one_only_up_to_the_limit() {
        let cleaned = column(&[NAN, 1.0, NAN, f32::INFINITY, NAN, 5.0, NAN], 2);
        let values: Vec<_> =
            cleaned.table.values.iter().map(|value| value.is_finite().then_some(*value)).collect();
        assert_eq!(values, [None, Some(1.0), Some(1.0), Some(1.0), None, Some(5.0), Some(5.0)]);
        assert_eq!((cleaned.filled, cleaned.missing), (3, 2));
    }

    #[test]
    fn a_gap_at_the_start_of_a_source_is_not_filled_from_another_source() {
        let records = [record("a", 0, &["x"], &[1.0]), record("b", 1, &["x"], &[NAN])];
        let cleaned = clean(&records, &names(&["x"]), &Clean::default()).unwrap();
        assert!(cleaned.table.values[1].is_nan());
    }

    #[test]
    fn no_records_make_an_empty_table() {
        let cleaned = clean(&[], &names(&["x"]), &Clean::default()).unwrap();
        assert_eq!((cleaned.table.rows.len(), cleaned.missing), (0, 0));
    }
}
