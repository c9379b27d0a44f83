//! How far an import has come, as it is kept on disk.

use std::collections::BTreeMap;
use std::io::Error;

use common::units::Timestamp;
use serde::{Deserialize, Serialize};

use super::Import;
use super::range::Gathered;
use super::source::{Source, read_full};
use crate::csv::Position;
use crate::error::Reason;
use crate::limits::IMPORT_IDENTITY_BYTES;

/// How far a file is imported. Kept (serde) together with the records up to here, it lets an import go on
/// after a kill without losing or repeating a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Of the file and of how it is read.
    identity: String,
    position: Position,
    accepted: u64,
    rejected: BTreeMap<Reason, u64>,
    exceptions_bytes: u64,
    is_finished: bool,
}

impl State {
    pub(super) fn new(identity: String) -> Self {
        Self {
            identity,
            position: Position::default(),
            accepted: 0,
            rejected: BTreeMap::new(),
            exceptions_bytes: 0,
            is_finished: false,
        }
    }

    /// Bytes of the file that are imported.
    pub fn bytes(&self) -> u64 {
        self.position.bytes
    }

    /// Lines of the file that are imported, with the header and blank ones.
    pub fn lines(&self) -> u64 {
        self.position.lines
    }

    /// Rows that are imported: those that were accepted and those that were left out.
    pub fn rows(&self) -> u64 {
        self.position.rows
    }

    /// Rows that became records.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Rows that were left out, by reason.
    pub fn rejected(&self) -> &BTreeMap<Reason, u64> {
        &self.rejected
    }

    /// Bytes of the exceptions log that belong to this state.
    pub fn exceptions_bytes(&self) -> u64 {
        self.exceptions_bytes
    }

    /// Whether the whole file is imported.
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// By what the import is known.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn is_of(&self, identity: &str) -> bool {
        self.identity == identity
    }

    pub(super) fn has_header(&self) -> bool {
        self.position.has_header()
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Counts rows, and goes on to `position`.
    pub(super) fn advance(
        &mut self,
        rows: &Gathered,
        exceptions: &[u8],
        position: Position,
        file_bytes: u64,
    ) {
        self.accepted += rows.records.len() as u64;
        for row in &rows.rejected {
            *self.rejected.entry(row.fault.reason()).or_default() += 1;
        }
        self.exceptions_bytes += exceptions.len() as u64;
        self.is_finished = position.bytes == file_bytes;
        self.position = position;
    }
}

/// Moves rows whose lines and row numbers were counted from `base` to where they are in the file.
pub(super) fn shift(rows: &mut Gathered, base: &Position, import: &Import<'_>) {
    for row in &mut rows.rejected {
        row.line += base.lines;
    }
    if import.format.timestamp_column.is_none() {
        // Saturating like the decoder: sums of cut-off products are cut off at the same place.
        let shift = base.rows.saturating_mul(import.format.interval_s.micros());
        for record in &mut rows.records {
            record.at = Timestamp(record.at.0.saturating_add(shift));
        }
    }
}

/// What an import is known by: the file's size, both its ends, and how its rows are read.
pub(super) fn identity(import: &Import<'_>, source: &impl Source, bytes: u64) -> Result<String, Error> {
    let mut hasher = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let length = bytes.min(IMPORT_IDENTITY_BYTES);
    let mut end = vec![0; length as usize];
    for offset in [0, bytes - length] {
        let read = read_full(source, offset, &mut end)?;
        field(&end[..read]);
    }
    field(&bytes.to_le_bytes());
    field(&import.tenant.0);
    field(import.format.timestamp_column.as_deref().unwrap_or_default().as_bytes());
    field(&[u8::from(import.format.timestamp_column.is_some()), u8::from(import.required.is_some())]);
    field(&import.format.interval_s.micros().to_le_bytes());
    for metric in import.required.unwrap_or_default() {
        field(metric.as_str().as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}
