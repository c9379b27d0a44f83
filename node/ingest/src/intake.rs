//! From what was accepted to records: the bytes of an entry, read by what they are.

use crate::adapt;
use crate::error::IngestError;
use crate::record::TelemetryRecord;
use crate::spool::{Entry, Kind};

/// What an entry gave.
#[derive(Debug, Default)]
pub struct Read {
    /// Its records.
    pub records: Vec<TelemetryRecord>,
    /// What of it could not be read, and why.
    pub rejects: Vec<IngestError>,
}

/// Reads an entry. The same entry gives the same records, always.
pub fn read(entry: &Entry) -> Read {
    let unread = |reason: String| IngestError::Unread {
        kind: entry.kind.name(),
        source_name: entry.source.to_string(),
        received_ms: entry.received.0 / 1000,
        reason,
    };
    match entry.kind {
        Kind::Mail => {
            let outcome = adapt::read_mail(&entry.body, entry.received, None);
            let rejects = outcome.rejects.iter().map(|reject| unread(reject.to_string())).collect();
            Read { records: adapt::records(outcome.readings), rejects }
        }
    }
}
