//! Spans to counts: how many of each name ended in a minute, how long they took, how many failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::units::Timestamp;

use super::messages::{Span, TracesRequest};
use super::names;
use crate::error::Shown;
use crate::gathered::{Gathered, Reject};
use crate::time::minute;

/// `STATUS_CODE_ERROR`.
const FAILED: i32 = 2;

/// The spans of one name.
#[derive(Default)]
struct Spans {
    count: u32,
    /// Those that tell when they started and ended.
    timed: u32,
    duration_ms: f64,
    errors: u32,
}

impl Spans {
    fn add(&mut self, span: &Span) {
        self.count += 1;
        let failed = span.status.as_ref().is_some_and(|status| status.code == FAILED);
        self.errors += u32::from(failed);
        let nanos = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
        if let Some(nanos) = nanos.filter(|_| span.start_time_unix_nano > 0) {
            self.timed += 1;
            self.duration_ms += nanos as f64 / 1e6;
        }
    }
}

pub(super) fn gather(request: &TracesRequest, out: &mut Gathered) {
    let mut found: BTreeMap<(Arc<str>, Timestamp, &str), Spans> = BTreeMap::new();
    for part in &request.resource_spans {
        let source = out.source(names::source(part.resource.as_ref()));
        for span in part.scope_spans.iter().flat_map(|scope| &scope.spans) {
            if span.name.is_empty() {
                out.reject(Reject::Unnamed(Shown::of(&source)));
                continue;
            }
            let at = minute(out.time(span.end_time_unix_nano));
            found.entry((Arc::clone(&source), at, &span.name)).or_default().add(span);
        }
    }
    for ((source, at, name), spans) in found {
        let mean = (spans.timed > 0).then(|| spans.duration_ms / f64::from(spans.timed));
        let values = [
            ("count", Some(f64::from(spans.count))),
            ("duration_ms", mean),
            ("errors", Some(f64::from(spans.errors))),
        ];
        for (ending, value) in values {
            out.put(&source, at, &["span.", name, ".", ending], value);
        }
    }
}
