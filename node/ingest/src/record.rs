//! [`TelemetryRecord`]: what every source produces and every stage consumes.

use std::sync::Arc;

use common::model::MetricName;
use common::units::Timestamp;

/// The values of one source at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryRecord {
    /// Where it was measured: a host name, a file.
    pub source: Arc<str>,
    /// When it was measured.
    pub at: Timestamp,
    /// The names of the values; shared by all records of a source.
    pub metrics: Arc<[MetricName]>,
    /// One value a metric, in the metric's own unit; NaN where none was measured.
    pub values: Vec<f32>,
}
