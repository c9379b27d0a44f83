//! Filter: only what matches goes on, or all but that.

use std::sync::Arc;

use common::model::MetricName;
use ingest::record::{Origin, TelemetryRecord};
use serde::{Deserialize, Serialize};

use crate::applied::{Applied, Reason};
use crate::parameter::{Globs, Labels, Moment};
use crate::shared::Once;

/// What goes on. A record matches when all conditions that are given hold. With `metrics`, only these metrics of
/// the record match; a record without a metric that goes on is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// What becomes of what matches.
    pub action: Action,
    /// Sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Globs>,
    /// Labels that the source has, all of them.
    #[serde(default)]
    pub labels: Labels,
    /// Metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Globs>,
    /// The first time that matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first time that no longer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

/// What becomes of what matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It goes on, and nothing else.
    Keep,
    /// It is left out, and nothing else.
    Drop,
}

/// Which columns of a record go on.
enum Columns {
    All,
    /// Their new names, and where they were.
    Some(Arc<[MetricName]>, Vec<usize>),
    None,
}

impl Filter {
    pub(super) fn apply(&self, mut records: Vec<TelemetryRecord>, out: &mut Applied) {
        let mut origins = Once::new();
        let mut names = Once::new();
        records.retain_mut(|record| {
            let origin = *origins.of(&record.origin, |origin| self.matches_origin(origin));
            let matches = origin && self.matches_time(record);
            let whole = Columns::All;
            let columns = match (self.action, matches) {
                (Action::Keep, false) => &Columns::None,
                (Action::Drop, false) => &whole,
                (_, true) => names.of(&record.metrics, |names| self.columns(names)),
            };
            match columns {
                Columns::All => return true,
                Columns::Some(names, places) => {
                    record.values = places.iter().map(|&place| record.values[place]).collect();
                    record.metrics = Arc::clone(names);
                    return true;
                }
                Columns::None => out.leave_out(record, Reason::Filtered),
            }
            false
        });
        out.records = records;
    }

    fn matches_origin(&self, origin: &Origin) -> bool {
        let source = self.sources.as_ref().is_none_or(|globs| globs.match_name(&origin.source));
        source && self.labels.are_of(origin)
    }

    fn matches_time(&self, record: &TelemetryRecord) -> bool {
        self.from.as_ref().is_none_or(|from| record.at >= from.at())
            && self.until.as_ref().is_none_or(|until| record.at < until.at())
    }

    /// The columns of a record that matches.
    fn columns(&self, names: &Arc<[MetricName]>) -> Columns {
        let Some(globs) = &self.metrics else {
            return if self.action == Action::Keep { Columns::All } else { Columns::None };
        };
        let goes_on = |place: &usize| globs.match_name(&names[*place]) == (self.action == Action::Keep);
        let places: Vec<usize> = (0..names.len()).filter(goes_on).collect();
        match places.len() {
            0 => Columns::None,
            count if count == names.len() => Columns::All,
            _ => Columns::Some(places.iter().map(|&place| names[place].clone()).collect(), places),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::samples::{labelled, record, stage, stage_error};
    use ingest::record::TelemetryRecord;

    fn four() -> Vec<TelemetryRecord> {
        let mut records: Vec<_> =
            (0..3).map(|at| record("web-1", at, &["cpu", "disk", "cpu_max"], &[1.0, 2.0, 3.0])).collect();
        records.push(labelled("db-1", "role", "db", record("db-1", 1, &["disk"], &[4.0])));
        records
    }

    fn left(parameters: &str) -> Vec<(String, u64, Vec<f32>)> {
        let applied = stage(&format!("kind = 'filter'\n{parameters}")).apply(four());
        assert_eq!(applied.records.len() as u64 + applied.records_left_out, 4);
        let shown =
            |record: TelemetryRecord| (record.source().to_owned(), record.at.millis() / 1000, record.values);
        applied.records.into_iter().map(shown).collect()
    }

    #[test]
    fn sources_are_kept_or_dropped_by_pattern() {
        assert_eq!(left("action = 'keep'\nsources = ['db-*']"), [("db-1".to_owned(), 1, vec![4.0])]);
        assert_eq!(left("action = 'drop'\nsources = ['web-?']"), [("db-1".to_owned(), 1, vec![4.0])]);
    }

    #[test]
    fn labels_and_times_must_all_match() {
        assert_eq!(left("action = 'keep'\nlabels = { role = 'db' }").len(), 1);
        assert_eq!(left("action = 'keep'\nlabels = { role = 'db', rack = 'r1' }").len(), 0);
        let times = "from = '1970-01-01T00:00:01Z'\nuntil = '1970-01-01T00:00:02Z'";
        let at: Vec<u64> =
            left(&format!("action = 'keep'\n{times}")).into_iter().map(|(_, at, _)| at).collect();
        assert_eq!(at, [1, 1]);
        assert_eq!(left(&format!("action = 'drop'\nsources = ['web-*']\n{times}")).len(), 3);
    }

    #[test]
    fn metrics_are_columns_and_a_record_without_any_is_left_out() {
        assert_eq!(left("action = 'keep'\nmetrics = ['cpu*']")[0].2, [1.0, 3.0]);
        assert_eq!(left("action = 'keep'\nmetrics = ['cpu*']").len(), 3);
        assert_eq!(left("action = 'drop'\nmetrics = ['disk']").len(), 3);
        // Only of the records that match.
        assert_eq!(left("action = 'drop'\nmetrics = ['disk']\nsources = ['web-1']")[3].2, [4.0]);
    }

    #[test]
    fn records_that_shared_their_names_still_share_them() {
        let mut records = four();
        records[1].metrics = Arc::clone(&records[0].metrics);
        let applied = stage("kind = 'filter'\naction = 'keep'\nmetrics = ['cpu*']").apply(records);
        assert!(Arc::ptr_eq(&applied.records[0].metrics, &applied.records[1].metrics));
    }

    #[test]
    fn a_filter_says_what_it_does() {
        assert!(stage_error("kind = 'filter'").contains("missing field `action`"));
        assert!(
            stage_error("kind = 'filter'\naction = 'keep'\nuntil = 'noon'").contains("`noon` is no time")
        );
        assert!(
            stage_error("kind = 'filter'\naction = 'keep'\nsources = ['']").contains("a pattern is empty")
        );
    }
}
