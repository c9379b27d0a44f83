//! What records share: found once for all records of the same origin or the same names.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use ingest::record::TelemetryRecord;

/// What follows from a shared value, worked out once for all that share it. The value is held, so that its
/// address stays its own; the address is only looked up, and no order comes of it.
pub(crate) struct Once<T: ?Sized, V>(BTreeMap<usize, (Arc<T>, V)>);

impl<T: ?Sized, V> Once<T, V> {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// What follows from this value.
    pub(crate) fn of(&mut self, shared: &Arc<T>, work_out: impl FnOnce(&Arc<T>) -> V) -> &V {
        let address = Arc::as_ptr(shared).cast::<()>().addr();
        &self.0.entry(address).or_insert_with(|| (Arc::clone(shared), work_out(shared))).1
    }
}

/// The records of one tenant, source and set of metrics, as indices in the order of the input. The groups are in
/// the order of tenant, source and names, wherever in the input they begin.
pub(crate) fn groups(records: &[TelemetryRecord]) -> Vec<Vec<usize>> {
    let mut by_key: BTreeMap<(TenantId, &str, Vec<&MetricName>), usize> = BTreeMap::new();
    let mut by_address: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let origin = Arc::as_ptr(&record.origin).addr();
        let metrics = Arc::as_ptr(&record.metrics).cast::<()>().addr();
        let group = *by_address.entry((origin, metrics)).or_insert_with(|| {
            let mut names: Vec<&MetricName> = record.metrics.iter().collect();
            names.sort_unstable();
            *by_key.entry((record.origin.tenant, record.source(), names)).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            })
        });
        members[group].push(index);
    }
    by_key.into_values().map(|group| take(&mut members[group])).collect()
}

/// Gives a record the order of columns of another one of its group.
pub(crate) fn align(record: &mut TelemetryRecord, metrics: &Arc<[MetricName]>) {
    if record.metrics != *metrics {
        let (from, to) = (places(&record.metrics), places(metrics));
        let before = record.values.clone();
        for (from, to) in from.into_iter().zip(to) {
            record.values[to] = before[from];
        }
    }
    record.metrics = Arc::clone(metrics);
}

/// Where each name is, in the order of names.
fn places(metrics: &[MetricName]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..metrics.len()).collect();
    places.sort_by_key(|&place| &metrics[place]);
    places
}

/// The groups as rows: the records of each in the order of time, with the columns of its first one.
pub(crate) fn rows(mut records: Vec<TelemetryRecord>) -> Vec<Vec<TelemetryRecord>> {
    let groups = groups(&records);
    let row = |index: usize, metrics: &Arc<[MetricName]>, records: &mut [TelemetryRecord]| {
        let record = &mut records[index];
        let (origin, at, values) = (Arc::clone(&record.origin), record.at, take(&mut record.values));
        let mut row = TelemetryRecord { origin, at, metrics: Arc::clone(&record.metrics), values };
        align(&mut row, metrics);
        row
    };
    let in_time = |group: Vec<usize>| {
        let metrics = group.first().map(|&first| Arc::clone(&records[first].metrics)).unwrap_or_default();
        let mut rows: Vec<_> = group.into_iter().map(|index| row(index, &metrics, &mut records)).collect();
        rows.sort_by_key(|row| row.at);
        rows
    };
    groups.into_iter().map(in_time).collect()
}

/// Rows of groups as records: source after source, each in the order of time.
pub(crate) fn in_order(groups: Vec<Vec<TelemetryRecord>>) -> Vec<TelemetryRecord> {
    let mut records: Vec<TelemetryRecord> = groups.into_iter().flatten().collect();
    records.sort_by(|one, other| {
        (one.origin.tenant, one.source(), one.at).cmp(&(other.origin.tenant, other.source(), other.at))
    });
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{names, record};

    #[test]
    fn groups_are_of_one_source_and_set_of_names_in_whatever_order_of_columns() {
        let records = [
            record("b", 0, &["x"], &[1.0]),
            record("a", 1, &["x", "y"], &[1.0, 2.0]),
            record("b", 2, &["y"], &[1.0]),
            record("a", 0, &["y", "x"], &[3.0, 4.0]),
        ];
        assert_eq!(groups(&records), [vec![1, 3], vec![0], vec![2]]);
        let rows = rows(records.to_vec());
        assert_eq!(rows[0][0].values, [4.0, 3.0]);
        assert_eq!(*rows[0][0].metrics, *names(&["x", "y"]));
        assert!(Arc::ptr_eq(&rows[0][0].metrics, &rows[0][1].metrics));
    }

    #[test]
    fn rows_become_records_source_by_source_in_time() {
        let records = vec![
            record("b", 3, &["x"], &[1.0]),
            record("a", 9, &["x"], &[1.0]),
            record("a", 5, &["y"], &[1.0]),
        ];
        let order: Vec<_> =
            in_order(rows(records)).iter().map(|r| (r.source().to_owned(), r.at.millis() / 1000)).collect();
        assert_eq!(order, [("a".to_owned(), 5), ("a".to_owned(), 9), ("b".to_owned(), 3)]);
    }

    #[test]
    fn what_follows_from_a_shared_value_is_worked_out_once() {
        let shared = names(&["x"]);
        let mut calls = 0;
        let mut once = Once::new();
        for _ in 0..3 {
            assert_eq!(
                *once.of(&shared, |names| {
                    calls += 1;
                    names.len()
                }),
                1
            );
        }
        assert_eq!(calls, 1);
    }
}
