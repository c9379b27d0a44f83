//! One range of a file: read piece by piece, decoded into batches of bounded size.

use crate::content::io_error;
use crate::csv::{Decoder, Full, Position, READ_BYTES, Rows};
use crate::error::{ImportFault, IngestError, RowError};
use crate::limits::{IMPORT_BATCH_ROWS, LINE_BYTES_MAX};
use crate::record::TelemetryRecord;

use super::source::{Source, read_full};
use super::{Import, guess};

/// Rows of a range, as many as are handed over at once.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) records: Vec<TelemetryRecord>,
    pub(super) rejected: Vec<RowError>,
}

impl Rows for Gathered {
    fn accept(&mut self, record: TelemetryRecord) -> Result<(), Full> {
        self.records.push(record);
        Ok(())
    }

    fn reject(&mut self, row: RowError) {
        self.rejected.push(row);
    }

    fn is_full(&self) -> bool {
        self.records.len() + self.rejected.len() >= IMPORT_BATCH_ROWS
    }
}

/// Decodes the records that begin in a range.
pub(super) struct Range<'a, S> {
    name: &'a str,
    source: &'a S,
    decoder: Decoder<'a>,
    buffer: Vec<u8>,
    filled: usize,
    until: u64,
    file_bytes: u64,
}

impl<'a, S: Source> Range<'a, S> {
    /// From `position`, the records that begin before byte `until` of the `file_bytes`.
    pub(super) fn new(
        import: &Import<'a>,
        (name, source, file_bytes): (&'a str, &'a S, u64),
        position: Position,
        until: u64,
    ) -> Result<Self, IngestError> {
        let decoder = Decoder::new(name, import.tenant, import.format, import.required).resume(position)?;
        let buffer = vec![0; READ_BYTES + LINE_BYTES_MAX];
        Ok(Self { name, source, decoder, buffer, filled: 0, until, file_bytes })
    }

    /// How far it has come.
    pub(super) fn position(&self) -> &Position {
        self.decoder.position()
    }

    /// Decodes until `out` is full, or (`true`) to the end of the range.
    pub(super) fn next(&mut self, out: &mut Gathered) -> Result<bool, IngestError> {
        loop {
            let at_end = self.read_bytes() == self.file_bytes;
            let used = self.decoder.decode_until(&self.buffer[..self.filled], at_end, self.until, out)?;
            self.buffer.copy_within(used..self.filled, 0);
            self.filled -= used;
            let position = self.decoder.position();
            if at_end && self.filled == 0 || position.bytes >= self.until && !position.is_in_long_line() {
                return Ok(true);
            }
            if out.is_full() {
                return Ok(false);
            }
            self.fill()?;
        }
    }

    /// Bytes up to the end of what was read.
    fn read_bytes(&self) -> u64 {
        self.decoder.position().bytes + self.filled as u64
    }

    /// Reads on; hardly beyond the range, whose last record may need a little more.
    fn fill(&mut self) -> Result<(), IngestError> {
        const BEYOND_BYTES: u64 = 4096;
        let offset = self.read_bytes();
        let wanted = self.until.saturating_sub(offset).max(BEYOND_BYTES).min(self.file_bytes - offset);
        let room = &mut self.buffer[self.filled..];
        let length = room.len().min(READ_BYTES).min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let read = read_full(self.source, offset, &mut room[..length])
            .map_err(|error| io_error(self.name, &error))?;
        if read < length {
            let fault = ImportFault::Shrunk(offset + read as u64);
            return Err(IngestError::Import { file: self.name.to_owned(), fault });
        }
        self.filled += read;
        Ok(())
    }
}

/// Where the first record of the range from `cut` to `until` seems to begin; `None` when none does.
pub(super) fn guessed_start(
    decoder: &Decoder<'_>,
    source: &impl Source,
    cut: u64,
    until: u64,
) -> Result<Option<u64>, std::io::Error> {
    let mut window = vec![0; READ_BYTES];
    let mut at = cut - 1;
    while at < until {
        let length = read_full(source, at, &mut window)?;
        if let Some(index) = guess::record_start(&window[..length], |record| decoder.fits(record)) {
            let start = at + index as u64;
            return Ok((start < until).then_some(start));
        }
        if length < window.len() {
            break;
        }
        at += length as u64;
    }
    Ok(None)
}
