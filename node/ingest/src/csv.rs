//! CSV to records (RFC 4180).
//!
//! Bytes go in, records come out; where they come from is not known here. A record is decoded once its
//! end is there, so the same bytes give the same records however they are cut. What is wrong with the
//! header refuses the file; a bad row is left out and reported. A row that is left out still takes its
//! number, so that times counted in rows stay right. A quoted cell may hold line breaks; a quote that is not
//! closed costs the line on which it stands, and reading goes on at the next line (`csv/split.rs`).

mod cells;
mod columns;
mod decimal;
mod rows;
pub(crate) mod split;

use std::sync::Arc;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use memchr::memchr;
use serde::{Deserialize, Serialize};

use self::columns::Columns;
pub use self::rows::{Full, Rows};
use self::split::Start;
use super::Format;
use super::error::{HeaderFault, IngestError, RowBytes, RowError, RowFault, Shown};
use super::limits::LINE_BYTES_MAX;
use crate::record::{Origin, TelemetryRecord};

/// How far a file is decoded. Kept on disk by whoever follows a growing file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Bytes up to the end of the last complete record.
    pub bytes: u64,
    /// Lines up to there.
    pub lines: u64,
    /// Rows up to there, with those that were left out.
    pub rows: u64,
    /// The header, once it is there.
    pub(super) header: Option<String>,
    /// The line that begins here is over its limit; the rest of it is to be skipped.
    pub(super) in_long_line: bool,
    /// The last bytes before this position: a file that has others there is another file.
    pub(super) tail: Vec<u8>,
}

impl Position {
    pub(super) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    pub(super) fn is_in_long_line(&self) -> bool {
        self.in_long_line
    }

    /// Byte `bytes` of the same file, where a record begins; lines and rows are counted from there.
    pub(super) fn headed(&self, bytes: u64) -> Self {
        Self { bytes, header: self.header.clone(), ..Self::default() }
    }

    /// `later`, whose lines and rows were counted from here.
    pub(super) fn plus(&self, later: Self) -> Self {
        let mut tail = self.tail.clone();
        extend_tail(&mut tail, &later.tail);
        Self { lines: self.lines + later.lines, rows: self.rows + later.rows, tail, ..later }
    }
}

/// The last bytes of `tail` and of what follows.
fn extend_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
    tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
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

    /// Whether a record has a cell for each column, as far as the columns are known.
    pub(super) fn fits(&self, record: &[u8]) -> bool {
        self.columns.as_ref().is_some_and(|columns| columns.fit(record))
    }

    /// How far it has come.
    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Decodes all complete records, and says how many bytes that was. The rest is to be given again, with
    /// more behind it; unless `out` is full it is never longer than [`LINE_BYTES_MAX`].
    ///
    /// # Errors
    ///
    /// [`IngestError::Header`], or [`IngestError::TooLarge`] when `out` takes no more.
    pub fn decode(&mut self, bytes: &[u8], out: &mut impl Rows) -> Result<usize, IngestError> {
        self.decode_until(bytes, false, u64::MAX, out)
    }

    /// Decodes the last records, which need no line break.
    ///
    /// # Errors
    ///
    /// As [`Decoder::decode`], and [`IngestError::Empty`] or [`IngestError::NoRows`] when there was nothing.
    pub fn finish(&mut self, rest: &[u8], out: &mut impl Rows) -> Result<(), IngestError> {
        self.decode_until(rest, true, u64::MAX, out)?;
        let file = || self.file.to_owned();
        match (&self.columns, self.position.rows) {
            (None, _) => Err(IngestError::Empty { file: file() }),
            (Some(_), 0) => Err(IngestError::NoRows { file: file() }),
            _ => Ok(()),
        }
    }

    /// Decodes the records that are complete (`at_end`: the file ends with these bytes) and begin before
    /// byte `until` of the file.
    pub(super) fn decode_until(
        &mut self,
        bytes: &[u8],
        at_end: bool,
        until: u64,
        out: &mut impl Rows,
    ) -> Result<usize, IngestError> {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            if self.position.in_long_line {
                used += self.skip(rest, at_end);
                continue;
            }
            let offset = self.position.bytes + used as u64;
            if offset >= until || out.is_full() {
                break;
            }
            match split::start(rest, at_end) {
                Start::Record { bytes: length, lines } => {
                    self.record(&rest[..length], offset, out)?;
                    self.position.lines += lines;
                    used = bytes.len().min(used + length + 1);
                }
                Start::LongLine => self.long_line(&rest[..LINE_BYTES_MAX], offset, out)?,
                Start::Unfinished => break,
            }
        }
        self.advance(&bytes[..used]);
        Ok(used)
    }

    /// Skips the rest of a line over its limit, as far as it is there.
    fn skip(&mut self, rest: &[u8], at_end: bool) -> usize {
        let end = memchr(b'\n', rest);
        if end.is_some() || at_end {
            self.position.in_long_line = false;
            self.position.lines += 1;
        }
        end.map_or(rest.len(), |end| end + 1)
    }

    fn advance(&mut self, consumed: &[u8]) {
        self.position.bytes += consumed.len() as u64;
        extend_tail(&mut self.position.tail, consumed);
    }

    fn record(&mut self, raw: &[u8], offset: u64, out: &mut impl Rows) -> Result<(), IngestError> {
        let record = raw.strip_suffix(b"\r").unwrap_or(raw);
        let record =
            if offset == 0 { record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record) } else { record };
        if record.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let line = self.position.lines + 1;
        let Some(columns) = &self.columns else {
            self.columns = Some(self.header(record, line)?);
            self.position.header = Some(String::from_utf8_lossy(record).into_owned());
            return Ok(());
        };
        let row = self.position.rows;
        self.position.rows += 1;
        let mut values = vec![f32::NAN; columns.metrics.len()];
        match columns.row(record, &mut values) {
            Ok(at) => {
                let at = at.unwrap_or_else(|| self.time_of_row(row));
                let (origin, metrics) = (Arc::clone(&self.origin), Arc::clone(&columns.metrics));
                let record = TelemetryRecord { origin, at, metrics, values };
                out.accept(record).map_err(|Full { max, unit }| IngestError::TooLarge {
                    file: self.file.to_owned(),
                    max,
                    unit,
                })?;
            }
            Err((column, fault)) => {
                let column = column.map(|index| columns.shown(index));
                out.reject(self.row_error(line, offset, column, fault, raw));
            }
        }
        Ok(())
    }

    fn row_error(
        &self,
        line: u64,
        offset: u64,
        column: Option<Shown>,
        fault: RowFault,
        raw: &[u8],
    ) -> RowError {
        RowError { file: self.file.to_owned(), line, column, fault, bytes: RowBytes::of(offset, raw) }
    }

    fn time_of_row(&self, row: u64) -> Timestamp {
        Timestamp(row.saturating_mul(self.format.interval_s.micros()))
    }

    /// A line over its limit begins: in the header's place it refuses the file, else it is a bad row.
    fn long_line(&mut self, head: &[u8], offset: u64, out: &mut impl Rows) -> Result<(), IngestError> {
        let line = self.position.lines + 1;
        if self.columns.is_none() {
            let fault = HeaderFault::TooLong;
            return Err(IngestError::Header { file: self.file.to_owned(), line, fault });
        }
        self.position.in_long_line = true;
        self.position.rows += 1;
        out.reject(self.row_error(line, offset, None, RowFault::TooLong, head));
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

#[cfg(test)]
mod tests;
