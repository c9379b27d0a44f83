//! [`TelemetryRecord`]: what every source produces and every stage consumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::limits::NAME_BYTES_MAX;
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

/// The name of what is nested: `prefix.name`. Of one over the limit the end is kept, with one byte too many: it is
/// refused all the same, and thousands of values under one name of a megabyte do not take gigabytes before that.
pub(crate) fn dotted(prefix: &str, name: &str) -> String {
    match (prefix, ending(name)) {
        ("", name) => name.to_owned(),
        (prefix, name) => ending(&format!("{}.{name}", ending(prefix))).to_owned(),
    }
}

fn ending(name: &str) -> &str {
    &name[name.floor_char_boundary(name.len().saturating_sub(NAME_BYTES_MAX + 1))..]
}

/// The tenant of the records that tests read.
#[cfg(test)]
pub(crate) const TENANT: TenantId = TenantId([7; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_name_has_dots_and_of_one_too_long_the_end() {
        assert_eq!([dotted("", "a"), dotted("a", "b.c"), dotted("", "")], ["a", "a.b.c", ""]);
        let longest = "a".repeat(NAME_BYTES_MAX - 2);
        assert_eq!(dotted(&longest, "é"), format!("{longest}.é"));
        let long = "é".repeat(9999);
        for (prefix, name) in [(&*long, "a"), ("", &*long), ("a", &*long), (&*longest, "long")] {
            let kept = dotted(prefix, name);
            assert!((NAME_BYTES_MAX + 1..NAME_BYTES_MAX + 4).contains(&kept.len()), "{}", kept.len());
            assert!(format!("{prefix}.{name}").ends_with(&kept));
        }
    }
}
