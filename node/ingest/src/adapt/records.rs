//! Readings to records: all of one source and one set of metrics together, sharing their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;

use super::Reading;
use crate::record::{Origin, TelemetryRecord};

/// The records of these readings, by source, by set of metrics, by time. A source that reports different
/// metrics at different times has records of each set: nothing is filled in.
pub fn records(tenant: TenantId, readings: Vec<Reading>) -> Vec<TelemetryRecord> {
    let mut groups: BTreeMap<(String, Vec<MetricName>), Vec<_>> = BTreeMap::new();
    for Reading { source, at, values } in readings {
        // An ordered map again, because a reading that was made elsewhere may not be in order.
        let values: BTreeMap<MetricName, f32> = values.into_iter().collect();
        let (metrics, values) = values.into_iter().unzip();
        let values: Vec<f32> = values;
        groups.entry((source, metrics)).or_default().push((at, values));
    }
    let mut out = Vec::new();
    for ((source, metrics), mut rows) in groups {
        let (origin, metrics): (_, Arc<[MetricName]>) = (Origin::new(tenant, &source), metrics.into());
        rows.sort_by_key(|(at, _)| *at);
        let record = |(at, values)| TelemetryRecord {
            origin: Arc::clone(&origin),
            at,
            metrics: Arc::clone(&metrics),
            values,
        };
        out.extend(rows.into_iter().map(record));
    }
    out
}

#[cfg(test)]
mod tests {
    use common::units::Timestamp;

    use super::*;
    use crate::record::TENANT;

    fn reading(source: &str, at: u64, values: &[(&str, f32)]) -> Reading {
        let values = values.iter().map(|(name, value)| (MetricName::try_from(*name).unwrap(), *value));
        Reading { source: source.to_owned(), at: Timestamp(at), values: values.collect() }
    }

    #[test]
    fn records_of_one_source_and_metric_set_share_their_names() {
        let records = records(
            TENANT,
            vec![
                reading("b", 2, &[("fan", 1.0), ("cpu", 2.0)]),
                reading("a", 3, &[("cpu", 3.0)]),
                reading("b", 1, &[("cpu", 4.0), ("fan", 5.0)]),
            ],
        );
        let rows: Vec<(&str, u64, &[f32])> =
            records.iter().map(|record| (record.source(), record.at.0, &record.values[..])).collect();
        assert_eq!(rows, [("a", 3, &[3.0][..]), ("b", 1, &[4.0, 5.0]), ("b", 2, &[2.0, 1.0])]);
        assert!(Arc::ptr_eq(&records[1].metrics, &records[2].metrics));
        assert!(Arc::ptr_eq(&records[1].origin, &records[2].origin));
    }
}
