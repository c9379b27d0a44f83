//! Syslog (RFC 5424, RFC 3164): bytes to messages, messages to counts, without I/O.
//!
//! ```text
//! stream > Frames (RFC 6587) ┐
//! datagrams (RFC 5426)       ┴> Batch > entry of the spool > records: counts by host and minute
//! ```
//!
//! A message becomes one of a count: how many of each severity a host wrote in a minute. What is not syslog
//! is counted too, for the peer that sent it.

mod batch;
mod framing;
mod message;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;

pub use self::batch::Batch;
pub use self::framing::{FrameFault, Frames};
pub use self::message::Message;

use crate::record::{Origin, TelemetryRecord};
use crate::time::minute;

/// The metrics of every record: the severities (RFC 5424, section 6.2.1) from 0 on, and what is no syslog.
pub const METRICS: [&str; 9] = [
    "syslog.emerg",
    "syslog.alert",
    "syslog.crit",
    "syslog.err",
    "syslog.warning",
    "syslog.notice",
    "syslog.info",
    "syslog.debug",
    "syslog.unparsed",
];

/// The place of [`METRICS`] for what is no syslog.
const UNPARSED: usize = 8;

/// The counts of an entry's messages by host and minute, in that order. What names no host is of `peer`, what
/// tells no time is of `received`.
pub fn records(body: &[u8], tenant: TenantId, peer: &str, received: Timestamp) -> Vec<TelemetryRecord> {
    let mut counts: BTreeMap<(&str, Timestamp), [u32; METRICS.len()]> = BTreeMap::new();
    for line in body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let message = Message::parse(line, received);
        let (host, at, metric) = match &message {
            Some(message) => {
                let severity = usize::from(message.severity);
                (message.host.unwrap_or(peer), message.at.unwrap_or(received), severity)
            }
            None => (peer, received, UNPARSED),
        };
        counts.entry((host, minute(at))).or_default()[metric] += 1;
    }
    let metrics: Arc<[MetricName]> = METRICS.iter().filter_map(|name| (*name).try_into().ok()).collect();
    let record = |((host, at), counts): ((&str, Timestamp), [u32; METRICS.len()])| TelemetryRecord {
        origin: Origin::new(tenant, host),
        at,
        metrics: Arc::clone(&metrics),
        values: counts.iter().map(|&count| count as f32).collect(),
    };
    counts.into_iter().map(record).collect()
}

#[cfg(test)]
mod tests;
