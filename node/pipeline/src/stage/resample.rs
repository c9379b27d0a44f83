//! Resample: one record for each cell of a grid in time, source by source.

use std::mem::take;

use common::model::MetricName;
use common::units::Timestamp;
use ingest::Interval;
use ingest::record::TelemetryRecord;
use serde::{Deserialize, Serialize};

use crate::applied::Applied;
use crate::limits::RULES_MAX;
use crate::parameter::{Globs, OneTo};
use crate::shared::{in_order, rows};

/// The grid, and what stands for the values of a cell. A cell begins at a multiple of `every_s` since 1970, and its
/// record is of that time; a cell without a record stays empty. Records of a source with other metrics stay apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resample {
    /// Length of a cell.
    pub every_s: Interval,
    /// What stands for the values, where no rule says otherwise.
    #[serde(default)]
    pub how: How,
    /// The first rule that matches the name of a metric holds for it.
    #[serde(default, rename = "rule", skip_serializing_if = "Option::is_none")]
    pub rules: Option<OneTo<Rule, RULES_MAX>>,
}

/// What stands for the values of some metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which metrics.
    pub metrics: Globs,
    /// What stands for their values.
    pub how: How,
}

/// What stands for the known values of a cell. Without a known value, it is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Their mean.
    #[default]
    Mean,
    /// The latest: of counters and states.
    Last,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// Their sum: of counts of events.
    Sum,
}

impl How {
    /// One value for finite ones in the order of time.
    fn of(self, values: impl Iterator<Item = f32>) -> f32 {
        let (mut count, mut sum) = (0.0_f64, 0.0_f64);
        let (mut last, mut max, mut min) = (f32::NAN, f32::NAN, f32::NAN);
        for value in values {
            count += 1.0;
            sum += f64::from(value);
            (last, max, min) = (value, max.max(value), min.min(value));
        }
        match self {
            _ if count < 1.0 => f32::NAN,
            Self::Mean => (sum / count) as f32,
            Self::Last => last,
            Self::Max => max,
            Self::Min => min,
            Self::Sum => sum as f32,
        }
    }
}

impl Resample {
    pub(super) fn apply(&self, records: Vec<TelemetryRecord>, out: &mut Applied) {
        let cells = rows(records).into_iter().map(|rows| self.cells(rows)).collect();
        out.records = in_order(cells);
    }

    /// The cells of one group. Only those with a record are made, so times far apart take no memory.
    fn cells(&self, mut rows: Vec<TelemetryRecord>) -> Vec<TelemetryRecord> {
        let every = self.every_s.micros();
        let start = |row: &TelemetryRecord| row.at.0 - row.at.0 % every;
        let how: Vec<How> = rows.first().map(|row| self.columns(&row.metrics)).unwrap_or_default();
        let cell = |rows: &mut [TelemetryRecord]| {
            let column = |(column, how): (usize, &How)| {
                how.of(rows.iter().map(|row| row.values[column]).filter(|value| value.is_finite()))
            };
            let values = how.iter().enumerate().map(column).collect();
            // What the newest record says of its source holds for the cell.
            let newest = rows.last_mut()?;
            let at = Timestamp(start(newest));
            Some(TelemetryRecord {
                at,
                values,
                metrics: take(&mut newest.metrics),
                origin: newest.origin.clone(),
            })
        };
        rows.chunk_by_mut(|one, next| start(one) == start(next)).filter_map(cell).collect()
    }

    fn columns(&self, names: &[MetricName]) -> Vec<How> {
        let rules = self.rules.as_deref().unwrap_or_default();
        let how = |name: &MetricName| {
            rules.iter().find(|rule| rule.metrics.match_name(name)).map_or(self.how, |rule| rule.how)
        };
        names.iter().map(how).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::units::Timestamp;

    use crate::samples::{known, of_tenant, record, stage, stage_error};

    const MINUTES: &str = "kind = 'resample'\nevery_s = 60";

    #[test]
    fn a_cell_gets_the_mean_of_what_is_known_in_it_at_its_start() {
        let applied = stage(MINUTES).apply(vec![
            record("a", 119, &["x", "y"], &[3.0, f32::NAN]),
            record("a", 60, &["x", "y"], &[1.0, f32::INFINITY]),
            record("a", 120, &["x", "y"], &[7.0, 8.0]),
            record("a", 61, &["y", "x"], &[f32::NAN, 5.0]),
        ]);
        let cells: Vec<_> =
            applied.records.iter().map(|record| (record.at.millis(), known(record))).collect();
        assert_eq!(cells, [(60_000, vec![Some(3.0), None]), (120_000, vec![Some(7.0), Some(8.0)])]);
        assert!(Arc::ptr_eq(&applied.records[0].metrics, &applied.records[1].metrics));
    }

    #[test]
    fn each_metric_has_its_own_way_by_the_first_rule_that_matches() {
        let ways =
            ["last", "max", "min", "sum"].map(|how| format!("{{ metrics = ['{how}*'], how = '{how}' }}"));
        let text = format!("{MINUTES}\nrule = [{}, {{ metrics = ['*_max'], how = 'max' }}]", ways.join(", "));
        let names = ["last_max", "max", "min", "sum", "mean"];
        let applied = stage(&text).apply(vec![
            record("a", 1, &names, &[2.0; 5]),
            record("a", 0, &names, &[4.0; 5]),
            record("a", 2, &names, &[f32::NAN; 5]),
        ]);
        assert_eq!(applied.records[0].values, [2.0, 4.0, 2.0, 6.0, 3.0]);
    }

    #[test]
    fn sources_tenants_and_sets_of_metrics_stay_apart() {
        let one = record("a", 0, &["x"], &[1.0]);
        let applied = stage(MINUTES).apply(vec![
            one.clone(),
            of_tenant(&one, 2),
            record("b", 1, &["x"], &[1.0]),
            record("a", 1, &["y"], &[1.0]),
        ]);
        assert_eq!(applied.records.len(), 4);
    }

    #[test]
    fn the_ends_of_time_take_two_records_and_no_memory_between_them() {
        let mut records = vec![record("a", 0, &["x"], &[1.0]), record("a", 0, &["x"], &[2.0])];
        records[1].at = Timestamp(u64::MAX);
        let applied = stage("kind = 'resample'\nevery_s = 0.000001").apply(records);
        assert_eq!(applied.records.len(), 2);
    }

    #[test]
    fn a_grid_of_nothing_is_refused() {
        assert!(stage_error("kind = 'resample'\nevery_s = 0").contains("0 is not a number of seconds"));
        assert!(stage_error("kind = 'resample'").contains("missing field `every_s`"));
    }
}
