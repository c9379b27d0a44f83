//! From what was accepted to records: the bytes of an entry, read by what they are.

use crate::adapt::{self, Pin, Pins};
use crate::error::{IngestError, Shown};
use crate::forwarded;
use crate::gathered::Outcome;
use crate::limits::ENTRY_BODY_BYTES_MAX;
use crate::mqtt;
use crate::otlp::{self, Signal};
use crate::prometheus::WriteRequest;
use crate::record::TelemetryRecord;
use crate::spool::{Entry, Kind};
use crate::syslog;

/// What an entry gave.
#[derive(Debug, Default)]
pub struct Read {
    /// Its records.
    pub records: Vec<TelemetryRecord>,
    /// What of it could not be read, and why.
    pub rejects: Vec<IngestError>,
}

/// Reads an entry. The same entry and pins give the same records, always. A mail whose mailbox has no pin any
/// more is read by its content.
pub fn read(entry: &Entry, pins: &Pins) -> Read {
    match entry.kind {
        Kind::Mail => read_mail(entry, &entry.body, None, ""),
        Kind::PinnedMail => match adapt::split_addressed(&entry.body) {
            Some((mailbox, mail)) => {
                let to = format!("to {}: ", Shown::of(mailbox));
                read_mail(entry, mail, pins.of(mailbox), &to)
            }
            None => unreadable(entry, &"it does not begin with a mailbox"),
        },
        Kind::Records => match forwarded::decode(&entry.body, entry.tenant) {
            Ok(records) => Read { records, rejects: Vec::new() },
            Err(fault) => Read { records: Vec::new(), rejects: vec![unread(entry, &fault)] },
        },
        Kind::OtlpMetrics => read_otlp(entry, Signal::Metrics),
        Kind::OtlpLogs => read_otlp(entry, Signal::Logs),
        Kind::OtlpTraces => read_otlp(entry, Signal::Traces),
        Kind::Syslog => Read {
            records: syslog::records(&entry.body, entry.tenant, &entry.source, entry.received),
            rejects: Vec::new(),
        },
        Kind::PrometheusWrite => match WriteRequest::decode(&entry.body, ENTRY_BODY_BYTES_MAX) {
            Ok(request) => gathered(entry, request.records(entry.tenant, &entry.source, entry.received)),
            Err(fault) => unreadable(entry, &fault),
        },
        Kind::Mqtt => match mqtt::records(&entry.body, entry.tenant, &entry.source, entry.received) {
            Ok(outcome) => gathered(entry, outcome),
            Err(fault) => unreadable(entry, &fault),
        },
    }
}

fn read_mail(entry: &Entry, mail: &[u8], pin: Option<&Pin>, to: &str) -> Read {
    let outcome = adapt::read_mail(mail, entry.received, pin);
    let rejects = outcome.rejects.iter().map(|reject| unread(entry, &format!("{to}{reject}"))).collect();
    Read { records: adapt::records(entry.tenant, outcome.readings), rejects }
}

fn read_otlp(entry: &Entry, signal: Signal) -> Read {
    match otlp::Request::decode(signal, otlp::Encoding::Protobuf, &entry.body) {
        Ok(request) => gathered(entry, request.records(entry.tenant, &entry.source, entry.received)),
        Err(fault) => unreadable(entry, &fault),
    }
}

fn gathered(entry: &Entry, outcome: Outcome) -> Read {
    let mut rejects: Vec<IngestError> = outcome.rejects.iter().map(|reject| unread(entry, reject)).collect();
    let untold = outcome.rejected_count - rejects.len() as u64;
    if untold > 0 {
        rejects.push(unread(entry, &format!("{untold} more values are left out")));
    }
    Read { records: outcome.records, rejects }
}

fn unreadable(entry: &Entry, fault: &impl ToString) -> Read {
    Read { records: Vec::new(), rejects: vec![unread(entry, fault)] }
}

fn unread(entry: &Entry, reason: &impl ToString) -> IngestError {
    IngestError::Unread {
        kind: entry.kind.name(),
        source_name: entry.source.to_string(),
        received_ms: entry.received.0 / 1000,
        reason: reason.to_string(),
    }
}
