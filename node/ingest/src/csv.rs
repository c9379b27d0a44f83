//! CSV to records (RFC 4180, except that a quoted cell may not hold a line break).
//!
//! Bytes go in, records come out; where they come from is not known here. A line is decoded once its
//! end is there, so the same bytes give the same records however they are cut. What is wrong with the
//! header refuses the file; a bad row is left out and reported. A row that is left out still takes its
//! number, so that times counted in rows stay right.

mod columns;

use std::io::{ErrorKind, Read};
use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use serde::{Deserialize, Serialize};

use self::columns::Columns;
use super::content::read_error;
use super::error::{HeaderFault, IngestError, RowError, RowFault};
use super::limits::{LINE_BYTES_MAX, RECORDS_MAX, VALUES_MAX};
use super::{Format, Ingested};
use crate::record::{Origin, TelemetryRecord};

/// How far a file is decoded. Kept on disk by whoever follows a growing file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes up to the end of the last complete line.
    pub bytes: u64,
    /// Lines up to there.
    pub lines: u64,
    /// Rows up to there, with those that were left out.
    pub rows: u64,
    /// The header line, once it is there.
    pub(super) header: Option<String>,
    /// The line that begins here is over its limit; the rest of it is to be skipped.
    pub(super) in_long_line: bool,
    /// The last bytes before this position: a file that has others there is another file.
    pub(super) tail: Vec<u8>,
}

/// Decodes one file.
pub struct Decoder<'a> {
    file: &'a str,
    origin: Arc<Origin>,
    format: &'a Format,
    required: Option<&'a [MetricName]>,
    columns: Option<Columns>,
    position: Position,
}

/// Bytes asked for at a time.
pub(super) const READ_BYTES: usize = 256 * 1024;

/// Bytes before a position that are remembered: more than one usual row.
pub(super) const TAIL_BYTES: usize = 64;

impl<'a> Decoder<'a> {
    /// Starts at the beginning of `file`, a name for errors and for the records' source. With `required`,
    /// the records have just these metrics in this order, and other columns are not looked at.
    pub fn new(
        file: &'a str,
        tenant: TenantId,
        format: &'a Format,
        required: Option<&'a [MetricName]>,
    ) -> Self {
        let position = Position::default();
        Self { file, origin: Origin::new(tenant, file), format, required, columns: None, position }
    }

    /// Goes on at a position reached before.
    ///
    /// # Errors
    ///
    /// [`IngestError::Header`] when the header does not hold what is required now.
    pub fn resume(mut self, position: Position) -> Result<Self, IngestError> {
        self.columns = match &position.header {
            Some(header) => Some(self.header(header.as_bytes(), 1)?),
            None => None,
        };
        self.position = position;
        Ok(self)
    }

    /// How far it has come.
    pub fn into_position(self) -> Position {
        self.position
    }

    /// Decodes all complete lines, and says how many bytes that was. The rest is to be given again, with
    /// more behind it; it is never longer than [`LINE_BYTES_MAX`].
    ///
    /// # Errors
    ///
    /// [`IngestError::Header`], or [`IngestError::TooLarge`] when `out` is full.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Ingested) -> Result<usize, IngestError> {
        let mut used = 0;
        while let Some(length) = bytes[used..].iter().position(|&byte| byte == b'\n') {
            self.line(&bytes[used..used + length], out)?;
            used += length + 1;
        }
        if bytes.len() - used > LINE_BYTES_MAX {
            self.long_line(out)?;
            used = bytes.len();
        }
        self.advance(&bytes[..used]);
        Ok(used)
    }

    /// Decodes the last line, which needs no line break.
    ///
    /// # Errors
    ///
    /// As [`Decoder::decode`], and [`IngestError::Empty`] or [`IngestError::NoRows`] when there was nothing.
    pub fn finish(&mut self, rest: &[u8], out: &mut Ingested) -> Result<(), IngestError> {
        if !rest.is_empty() {
            self.line(rest, out)?;
            self.advance(rest);
        }
        let file = || self.file.to_owned();
        match (&self.columns, self.position.rows) {
            (None, _) => Err(IngestError::Empty { file: file() }),
            (Some(_), 0) => Err(IngestError::NoRows { file: file() }),
            _ => Ok(()),
        }
    }

    fn advance(&mut self, consumed: &[u8]) {
        self.position.bytes += consumed.len() as u64;
        let tail = &mut self.position.tail;
        tail.extend_from_slice(&consumed[consumed.len().saturating_sub(TAIL_BYTES)..]);
        tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
    }

    fn line(&mut self, line: &[u8], out: &mut Ingested) -> Result<(), IngestError> {
        self.position.lines += 1;
        if std::mem::take(&mut self.position.in_long_line) {
            return Ok(());
        }
        if line.len() > LINE_BYTES_MAX {
            self.position.lines -= 1;
            self.long_line(out)?;
            self.position.in_long_line = false;
            self.position.lines += 1;
            return Ok(());
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line =
            if self.position.lines == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let Some(columns) = &self.columns else {
            self.columns = Some(self.header(line, self.position.lines)?);
            self.position.header = Some(String::from_utf8_lossy(line).into_owned());
            return Ok(());
        };
        let row = self.position.rows;
        self.position.rows += 1;
        let mut values = vec![f32::NAN; columns.metrics.len()];
        match columns.row(line, &mut values) {
            Ok(at) => {
                let at = at.unwrap_or_else(|| self.time_of_row(row));
                let (origin, metrics) = (Arc::clone(&self.origin), Arc::clone(&columns.metrics));
                self.admit(TelemetryRecord { origin, at, metrics, values }, out)?;
            }
            Err((column, fault)) => {
                let column = column.map(|index| columns.shown(index));
                out.reject(RowError { file: self.file.to_owned(), line: self.position.lines, column, fault });
            }
        }
        Ok(())
    }

    fn time_of_row(&self, row: u64) -> Timestamp {
        Timestamp(row.saturating_mul(self.format.interval_s.micros()))
    }

    fn admit(&self, record: TelemetryRecord, out: &mut Ingested) -> Result<(), IngestError> {
        let file = || self.file.to_owned();
        if out.records.len() >= RECORDS_MAX {
            return Err(IngestError::TooLarge { file: file(), max: RECORDS_MAX as u64, unit: "rows" });
        }
        if (out.records.len() + 1).saturating_mul(record.values.len()) > VALUES_MAX {
            return Err(IngestError::TooLarge { file: file(), max: VALUES_MAX as u64, unit: "values" });
        }
        out.records.push(record);
        Ok(())
    }

    /// A line over its limit begins: in the header's place it refuses the file, else it is a bad row.
    fn long_line(&mut self, out: &mut Ingested) -> Result<(), IngestError> {
        if std::mem::replace(&mut self.position.in_long_line, true) {
            return Ok(());
        }
        let line = self.position.lines + 1;
        if self.columns.is_none() {
            let fault = HeaderFault::TooLong;
            return Err(IngestError::Header { file: self.file.to_owned(), line, fault });
        }
        self.position.rows += 1;
        out.reject(RowError { file: self.file.to_owned(), line, column: None, fault: RowFault::TooLong });
        Ok(())
    }

    fn header(&self, line: &[u8], number: u64) -> Result<Columns, IngestError> {
        Columns::parse(line, self.format, self.required).map_err(|fault| IngestError::Header {
            file: self.file.to_owned(),
            line: number,
            fault,
        })
    }
}

/// Decodes a whole stream, which errors call `name`.
///
/// # Errors
///
/// As [`Decoder::finish`], and whatever kept the stream from being read.
pub(super) fn decode_all(
    name: &str,
    mut stream: impl Read,
    mut decoder: Decoder<'_>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    let mut buffer = vec![0; READ_BYTES + LINE_BYTES_MAX];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return decoder.finish(&buffer[..filled], out),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(read_error(name, error)),
        }
        let used = decoder.decode(&buffer[..filled], out)?;
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
}

#[cfg(test)]
mod tests;
