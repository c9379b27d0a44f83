//! Small tables and records for the tests of the stages.

use std::sync::Arc;

use common::model::MetricName;
use common::units::Timestamp;

use crate::{Row, Table};
use common::id::TenantId;
use ingest::record::{Origin, TelemetryRecord};

/// One source, a row a second, these values.
pub(crate) fn table(columns: usize, values: &[f32]) -> Table {
    let rows = (0..values.len() / columns).map(|record| row(0, record)).collect();
    Table { columns, rows, values: values.to_vec() }
}

pub(crate) fn row(source: u32, record: usize) -> Row {
    Row { source, at: Timestamp::from_millis(record as u64 * 1000), record }
}

/// A record of `source` at this second.
pub(crate) fn record(source: &str, second: u64, metrics: &[&str], values: &[f32]) -> TelemetryRecord {
    TelemetryRecord {
        origin: Origin::new(TenantId::default(), source),
        at: Timestamp::from_millis(second * 1000),
        metrics: names(metrics),
        values: values.to_vec(),
    }
}

pub(crate) fn names(names: &[&str]) -> Arc<[MetricName]> {
    names.iter().map(|name| MetricName::try_from(*name).unwrap()).collect()
}
