//! Small tables and records for the tests of the stages.

use std::sync::Arc;

use common::model::MetricName;
use common::units::Timestamp;

use crate::stage::Stage;
use crate::{Pipeline, Row, Table};
use common::id::TenantId;
use ingest::record::{Origin, TelemetryRecord};

/// One source, a row a second, these values.
pub(crate) fn table(columns: usize, values: &[f32]) -> Table {
    let rows = (0..values.len() / columns).map(|record| row(0, record)).collect();
    Table { columns, rows, values: values.to_vec() }
}

pub(crate) fn row(source: u32, record: usize) -> Row {
    Row { source, at: Timestamp::from_millis(record as u64 * 1000), record, down: false }
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

/// The list of stages that this text configures.
pub(crate) fn pipeline(text: &str) -> Pipeline {
    #[derive(serde::Deserialize)]
    struct Config {
        stage: Pipeline,
    }
    toml::from_str::<Config>(text).unwrap().stage
}

/// A list of stages, as it is written in a configuration.
pub(crate) fn listed(stages: &[&str]) -> String {
    format!("[[stage]]\n{}", stages.join("\n[[stage]]\n"))
}

/// The stage of these parameters.
pub(crate) fn stage(text: &str) -> Stage {
    toml::from_str(text).unwrap()
}

/// What is wrong with these parameters.
pub(crate) fn stage_error(text: &str) -> String {
    toml::from_str::<Stage>(text).unwrap_err().to_string()
}

/// The values of a record, `None` for what is missing.
pub(crate) fn known(record: &TelemetryRecord) -> Vec<Option<f32>> {
    record.values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect()
}

/// The same record, of another tenant.
pub(crate) fn of_tenant(record: &TelemetryRecord, tenant: u8) -> TelemetryRecord {
    TelemetryRecord { origin: Origin::new(TenantId([tenant; 16]), record.source()), ..record.clone() }
}

/// The same record, of a source with a label.
pub(crate) fn labelled(source: &str, name: &str, value: &str, record: TelemetryRecord) -> TelemetryRecord {
    let labels = [(name.into(), value.into())].into();
    let origin = Origin { tenant: record.origin.tenant, source: source.into(), labels };
    TelemetryRecord { origin: Arc::new(origin), ..record }
}

/// A stage of each kind, with all of its parameters.
pub(crate) const ONE_OF_EACH_KIND: [&str; 8] = [
    "kind = 'validate'\non_fault = 'missing'\nrequired = ['x*']\n\
     rule = [{ metrics = ['*'], unit = 'ms', min = -5, max = 5, allowed = [1, 2.5] }]",
    "kind = 'deduplicate'\nkeep = 'first'",
    "kind = 'filter'\naction = 'keep'\nsources = ['a*']\nlabels = { rack = 'r1' }\nmetrics = ['x']\n\
     from = '2026-05-01T00:00:00Z'\nuntil = '2026-05-02T00:00:00+02:00'",
    "kind = 'prioritise'\nbudget = 5\n\
     critical = [{ sources = ['a'], labels = { rack = 'r1' }, metrics = ['x'], above = 1, below = 9 }]",
    "kind = 'enrich'\nrule = [{ sources = ['?'], labels = { rack = 'r1' } }]",
    "kind = 'resample'\nevery_s = 60\nhow = 'max'\nrule = [{ metrics = ['*_total'], how = 'last' }]",
    "kind = 'fill'\nevery_s = 0.5\nhow = 'linear'\nrows_max = 3",
    "kind = 'convert'\nrule = [{ metrics = ['*'], factor = 0.001, offset = 1, unit = { from = 'ms', to = 's' } }, \
     { metrics = ['x'], name = 'y' }]",
];
