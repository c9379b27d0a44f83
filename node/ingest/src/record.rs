//! [`TelemetryRecord`]: what every source produces and every stage consumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;

/// The values of one source at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryRecord {
    /// Whose it is and where it was measured; shared by all records of a source.
    pub origin: Arc<Origin>,
    /// When it was measured.
    pub at: Timestamp,
    /// The names of the values; shared by all records of a source.
    pub metrics: Arc<[MetricName]>,
    /// One value a metric, in the metric's own unit; NaN where none was measured.
    pub values: Vec<f32>,
}

/// Whose a record is, and where it was measured. Records of two tenants never meet in one window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Whose telemetry it is.
    pub tenant: TenantId,
    /// A host name, a file.
    pub source: Box<str>,
    /// What else is known of the source: its rack, its role. By name.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

impl Origin {
    /// A source without labels.
    pub fn new(tenant: TenantId, source: &str) -> Arc<Self> {
        Arc::new(Self { tenant, source: source.into(), labels: BTreeMap::new() })
    }
}

impl TelemetryRecord {
    /// Where it was measured.
    pub fn source(&self) -> &str {
        &self.origin.source
    }
}

/// The tenant of the records that tests read.
#[cfg(test)]
pub(crate) const TENANT: TenantId = TenantId([7; 16]);
