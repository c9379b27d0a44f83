//! The exceptions log: one line of JSON for each row that was left out, without the row's content.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use serde::Serialize;

use crate::content::io_error;
use crate::error::{ImportFault, IngestError, Reason, RowError};
use crate::file::shown;

/// The row where it is, and why it was left out. Telemetry may be confidential, so of its bytes the hash only.
#[derive(Serialize)]
struct Exception<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'a str>,
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

/// Rows as lines of the log.
pub(super) fn lines(rejected: &[RowError]) -> Vec<u8> {
    let mut lines = Vec::new();
    for row in rejected {
        let RowError { file, line, bytes, .. } = row;
        let column = row.column.as_ref().map(crate::error::Shown::text);
        let (offset, hash) = bytes.map(|bytes| (bytes.offset, bytes.hash.to_string())).unzip();
        let exception = Exception { file, offset, line: *line, column, reason: row.fault.reason(), hash };
        serde_json::to_writer(&mut lines, &exception).expect("numbers and text are JSON");
        lines.push(b'\n');
    }
    lines
}

/// The log of one import, as a file.
#[derive(Debug)]
pub struct Exceptions {
    file: File,
    name: String,
}

impl Exceptions {
    /// Opens the log at `path` to go on after its first `bytes`
    /// ([`State::exceptions_bytes`](super::State::exceptions_bytes), 0 for a new import): what is behind
    /// them was written by a run that was killed before it kept its state, and is cut off.
    ///
    /// # Errors
    ///
    /// [`IngestError::Io`], or [`ImportFault::LogLost`] when the log is shorter.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, IngestError> {
        let name = shown(path);
        let failed = |error| io_error(&name, &error);
        let mut file = File::options().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < bytes {
            let fault = ImportFault::LogLost { found, expected: bytes };
            return Err(IngestError::Import { file: name, fault });
        }
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        if found == 0 {
            // Its name must be as durable as its lines.
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = File::open(folder.unwrap_or(Path::new(".")));
            folder.and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(Self { file, name })
    }

    /// Writes lines and waits until they are on the disk: before the batch's state is kept.
    ///
    /// # Errors
    ///
    /// [`IngestError::Io`].
    pub fn append(&mut self, lines: &[u8]) -> Result<(), IngestError> {
        if lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        written.map_err(|error| io_error(&self.name, &error))
    }
}
