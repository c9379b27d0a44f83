//! Log records to counts: how many of each severity a source wrote in a minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::units::Timestamp;

use super::messages::{LogRecord, LogsRequest};
use super::names;
use crate::gathered::Gathered;
use crate::time::minute;

/// The severities (OpenTelemetry log data model, "Displaying Severity"), and what has none. Every record has
/// all of them, so that a model meets the same metrics each time.
const SEVERITIES: [&str; 7] =
    ["log.unspecified", "log.trace", "log.debug", "log.info", "log.warn", "log.error", "log.fatal"];

/// Names that are written instead of a number.
const TEXTS: [(&str, usize); 9] = [
    ("TRACE", 1),
    ("DEBUG", 2),
    ("INFO", 3),
    ("INFORMATION", 3),
    ("WARN", 4),
    ("WARNING", 4),
    ("ERROR", 5),
    ("FATAL", 6),
    ("CRITICAL", 6),
];

pub(super) fn gather(request: &LogsRequest, out: &mut Gathered) {
    let mut counts: BTreeMap<(Arc<str>, Timestamp), [u32; SEVERITIES.len()]> = BTreeMap::new();
    for part in &request.resource_logs {
        let source = out.source(names::source(part.resource.as_ref()));
        for record in part.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            let nanos = match record.time_unix_nano {
                0 => record.observed_time_unix_nano,
                nanos => nanos,
            };
            let at = minute(out.time(nanos));
            counts.entry((Arc::clone(&source), at)).or_default()[severity(record)] += 1;
        }
    }
    for ((source, at), counts) in counts {
        for (name, count) in SEVERITIES.iter().zip(counts) {
            out.put(&source, at, &[*name], Some(f64::from(count)));
        }
    }
}

/// Four numbers make a severity, from 1 on; 0 is unspecified.
fn severity(record: &LogRecord) -> usize {
    if let number @ 1..=24 = record.severity_number {
        return (number as usize - 1) / 4 + 1;
    }
    let named = TEXTS.iter().find(|(text, _)| record.severity_text.eq_ignore_ascii_case(text));
    named.map_or(0, |(_, severity)| *severity)
}
