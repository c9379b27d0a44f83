//! Values gathered by source and time, until they are records; what was pushed comes in no order.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::limits::{METRICS_MAX, NAME_BYTES_MAX};
use common::model::MetricName;
use common::units::Timestamp;

use crate::error::Shown;
use crate::limits::ROW_ERRORS_KEPT;
use crate::record::{Origin, TelemetryRecord};

/// What a request gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// One record a source and time, in that order; the metrics of each sorted by name.
    pub records: Vec<TelemetryRecord>,
    /// The first of the values that were left out.
    pub rejects: Vec<Reject>,
    /// All of the values that were left out.
    pub rejected_count: u64,
}

/// A value that was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// A metric or a span without a name.
    #[error("source {0}: a metric or a span has no name")]
    Unnamed(Shown),
    /// A name over its limit.
    #[error(
        "source {0}: the metric {1} with its attributes is longer than {max} bytes",
        max = NAME_BYTES_MAX
    )]
    NameTooLong(Shown, Shown),
    /// A second value of one metric at one time.
    #[error("source {0}: the metric {1} is there twice at one time; the first is kept")]
    Duplicate(Shown, Shown),
    /// More metrics than a record may have.
    #[error("source {0}: more than {METRICS_MAX} metrics at one time: {1} is left out")]
    TooManyMetrics(Shown, Shown),
    /// A time that is none.
    #[error("source {0}: the metric {1} is from before 1970")]
    BeforeEpoch(Shown, Shown),
    /// A metric of a kind that is not known.
    #[error("source {0}: the metric {1} is of no known kind")]
    UnknownKind(Shown, Shown),
}

/// Values by source and time, and what was left out.
pub(super) struct Gathered {
    source: Arc<str>,
    received: Timestamp,
    /// The names in a row are short enough.
    rows: BTreeMap<(Arc<str>, Timestamp), BTreeMap<String, f32>>,
    rejects: Vec<Reject>,
    rejected_count: u64,
}

impl Gathered {
    pub(super) fn new(source: &str, received: Timestamp) -> Self {
        let rows = BTreeMap::new();
        Self { source: Arc::from(source), received, rows, rejects: Vec::new(), rejected_count: 0 }
    }

    /// The source of a resource, or of the whole request.
    pub(super) fn source(&self, named: Option<&str>) -> Arc<str> {
        named.map_or_else(|| Arc::clone(&self.source), Arc::from)
    }

    /// A time in Unix nanoseconds; zero is unknown, and then it was when the request came.
    pub(super) fn time(&self, nanos: u64) -> Timestamp {
        match nanos {
            0 => self.received,
            nanos => Timestamp(nanos / 1000),
        }
    }

    /// Adds a value; the pieces of its name are joined when they are short enough. A long one may be that of
    /// millions of points, and joining takes time each time.
    pub(super) fn put(&mut self, source: &Arc<str>, at: Timestamp, name: &[&str], value: Option<f64>) {
        if name.iter().map(|piece| piece.len()).sum::<usize>() > NAME_BYTES_MAX {
            return self.reject(Reject::NameTooLong(Shown::of(source), Shown::of_pieces(name)));
        }
        let name = name.concat();
        let row = self.rows.entry((Arc::clone(source), at)).or_default();
        let reject = match row.contains_key(&name) {
            _ if name.is_empty() => Reject::Unnamed(Shown::of(source)),
            true => Reject::Duplicate(Shown::of(source), Shown::of(&name)),
            false if row.len() >= METRICS_MAX => Reject::TooManyMetrics(Shown::of(source), Shown::of(&name)),
            false => {
                row.insert(name, value.map_or(f32::NAN, measured));
                return;
            }
        };
        self.reject(reject);
    }

    pub(super) fn reject(&mut self, reject: Reject) {
        self.rejected_count += 1;
        if self.rejects.len() < ROW_ERRORS_KEPT {
            self.rejects.push(reject);
        }
    }

    pub(super) fn into_outcome(self, tenant: TenantId) -> Outcome {
        let Self { rows, rejects, rejected_count, .. } = self;
        let mut records: Vec<TelemetryRecord> = Vec::with_capacity(rows.len());
        for ((source, at), row) in rows {
            let before =
                records.last().map(|record| &record.origin).filter(|origin| *origin.source == *source);
            let origin = before.cloned().unwrap_or_else(|| Origin::new(tenant, &source));
            let same = records.last().map(|record| &record.metrics).filter(|metrics| {
                metrics.len() == row.len()
                    && metrics.iter().zip(row.keys()).all(|(one, other)| one.as_str() == other)
            });
            let metrics =
                same.cloned().unwrap_or_else(|| row.keys().filter_map(|name| metric_name(name)).collect());
            if !row.is_empty() {
                records.push(TelemetryRecord { origin, at, metrics, values: row.into_values().collect() });
            }
        }
        Outcome { records, rejects, rejected_count }
    }
}

/// `name{key=value,...}`, the pairs sorted. Keys and values come [`escaped`].
pub(super) fn labelled(name: &str, mut pairs: Vec<String>) -> String {
    if pairs.is_empty() {
        return name.to_owned();
    }
    pairs.sort_unstable();
    format!("{name}{{{}}}", pairs.join(","))
}

/// A key or a value, with a backslash before what would blur where it ends.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' | ',' | '=' | '{' | '}' | '[' | ']' => escaped.extend(['\\', char]),
            char if char.is_control() => escaped.extend(char.escape_default()),
            char => escaped.push(char),
        }
    }
    escaped
}

fn metric_name(name: &str) -> Option<MetricName> {
    name.try_into().ok()
}

/// What no 32-bit float can tell was not measured.
fn measured(value: f64) -> f32 {
    let value = value as f32;
    if value.is_finite() { value } else { f32::NAN }
}
