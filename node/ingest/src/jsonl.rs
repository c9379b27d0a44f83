//! JSON lines to records (one object of RFC 8259 a line): each line says by itself what it holds.
//!
//! Members that are numbers are metrics, those of an object in an object have dots in their names (`cpu.user`),
//! true is 1, null is a missing value. `source` names the source, and the member that is configured as the
//! column of the time holds the time. Other texts and all lists are no metrics: they are stepped over.
//! A bad line is left out and reported, as a bad row of CSV is, and takes its number.

pub(crate) mod object;

use std::sync::Arc;

use common::id::TenantId;
use common::limits::METRICS_MAX;
use common::model::MetricName;
use common::units::Timestamp;

use self::object::{Line, Member};
use crate::config::Format;
use crate::csv::{Full, Position, Rows, TAIL_BYTES};
use crate::error::{IngestError, RowBytes, RowError, RowFault, Shown};
use crate::limits::{LINE_BYTES_MAX, SOURCE_BYTES_MAX};
use crate::record::{Origin, TelemetryRecord};
use crate::time;

/// The member that names the source of a line.
const SOURCE: &str = "source";

/// Decodes one file.
pub struct Decoder<'a> {
    file: &'a str,
    tenant: TenantId,
    format: &'a Format,
    required: Option<&'a [MetricName]>,
    position: Position,
    /// Of the line before: most lines of a file have the same source and members.
    origin: Arc<Origin>,
    metrics: Arc<[MetricName]>,
}

/// A bad line: the member, if one is to blame, and what is wrong.
type LineFault = (Option<Shown>, RowFault);

impl<'a> Decoder<'a> {
    /// Starts at the beginning of `file`, a name for errors, and for the source of records that name none. With
    /// `required`, the records have just these metrics in this order, missing (NaN) where a line has them not.
    pub fn new(
        file: &'a str,
        tenant: TenantId,
        format: &'a Format,
        required: Option<&'a [MetricName]>,
    ) -> Self {
        let (origin, metrics) = (Origin::new(tenant, file), required.unwrap_or_default().into());
        Self { file, tenant, format, required, position: Position::default(), origin, metrics }
    }

    /// Goes on at a position reached before.
    #[must_use]
    pub fn resume(mut self, position: Position) -> Self {
        self.position = position;
        self
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
    /// [`IngestError::TooLarge`] when `out` is full.
    pub fn decode(&mut self, bytes: &[u8], out: &mut impl Rows) -> Result<usize, IngestError> {
        let mut used = 0;
        while let Some(length) = bytes[used..].iter().position(|&byte| byte == b'\n') {
            self.line(&bytes[used..used + length], used, out)?;
            used += length + 1;
        }
        if bytes.len() - used > LINE_BYTES_MAX {
            self.long_line(&bytes[used..], used, out);
            used = bytes.len();
        }
        self.advance(&bytes[..used]);
        Ok(used)
    }

    /// Decodes the last lines; the last one needs no line break.
    ///
    /// # Errors
    ///
    /// As [`Decoder::decode`], and [`IngestError::Empty`] when there was nothing.
    pub fn finish(&mut self, rest: &[u8], out: &mut impl Rows) -> Result<(), IngestError> {
        let used = self.decode(rest, out)?;
        let rest = &rest[used..];
        if !rest.is_empty() {
            self.line(rest, 0, out)?;
            self.advance(rest);
        }
        match self.position.rows {
            0 => Err(IngestError::Empty { file: self.file.to_owned() }),
            _ => Ok(()),
        }
    }

    fn advance(&mut self, consumed: &[u8]) {
        self.position.bytes += consumed.len() as u64;
        let tail = &mut self.position.tail;
        tail.extend_from_slice(&consumed[consumed.len().saturating_sub(TAIL_BYTES)..]);
        tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
    }

    /// A line that begins so many bytes behind the position.
    fn line(&mut self, raw: &[u8], ahead: usize, out: &mut impl Rows) -> Result<(), IngestError> {
        if raw.len() > LINE_BYTES_MAX {
            self.long_line(raw, ahead, out);
        }
        self.position.lines += 1;
        if std::mem::take(&mut self.position.in_long_line) {
            return Ok(());
        }
        let is_first = self.position.lines == 1;
        let line = raw.strip_prefix(b"\xef\xbb\xbf").filter(|_| is_first).unwrap_or(raw);
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let row = self.position.rows;
        self.position.rows += 1;
        match self.record(line, row) {
            Ok(record) => {
                let file = || self.file.to_owned();
                let refuse = |Full { max, unit }| IngestError::TooLarge { file: file(), max, unit };
                out.accept(record).map_err(refuse)
            }
            Err((column, fault)) => {
                out.reject(self.row_error(column, fault, raw, ahead));
                Ok(())
            }
        }
    }

    /// A line over its limit begins; the rest of it is stepped over.
    fn long_line(&mut self, raw: &[u8], ahead: usize, out: &mut impl Rows) {
        if !std::mem::replace(&mut self.position.in_long_line, true) {
            self.position.rows += 1;
            self.position.lines += 1;
            out.reject(self.row_error(None, RowFault::TooLong, &raw[..LINE_BYTES_MAX], ahead));
            self.position.lines -= 1;
        }
    }

    fn row_error(&self, column: Option<Shown>, fault: RowFault, raw: &[u8], ahead: usize) -> RowError {
        let bytes = RowBytes::of(self.position.bytes + ahead as u64, raw);
        RowError { file: self.file.to_owned(), line: self.position.lines, column, fault, bytes }
    }

    fn record(&mut self, line: &[u8], row: u64) -> Result<TelemetryRecord, LineFault> {
        let line = std::str::from_utf8(line).map_err(|_| (None, RowFault::NotText))?;
        let Line { members } = serde_json::from_str(line).map_err(|error| {
            let what = error.to_string();
            // The line is named already, and is no line of its own JSON.
            let what = what.split_once(" at line ").map_or(what.as_str(), |(what, _)| what);
            (None, RowFault::NotJson(Shown::of(what)))
        })?;
        let time_name = self.format.timestamp_column.as_deref();
        let (mut at, mut source, mut values) = (None, None, Vec::new());
        for (name, member) in members {
            match member {
                written if time_name == Some(&*name) => {
                    let text = written.text();
                    let time = time::parse(&text).ok_or_else(|| RowFault::NotATime(Shown::of(&text)));
                    at = Some(time.map_err(|fault| (Some(Shown::of(&name)), fault))?);
                }
                Member::Text(text) if name == SOURCE => source = Some(text),
                Member::Text(_) => (),
                Member::Number { value, .. } => values.push((name, value)),
            }
        }
        let at = match (at, time_name) {
            (Some(at), _) => at,
            (None, Some(name)) => return Err((None, RowFault::NoMember(Shown::of(name)))),
            (None, None) => Timestamp(row.saturating_mul(self.format.interval_s.micros())),
        };
        let source = source.as_deref().filter(|source| !source.is_empty()).unwrap_or(self.file);
        let source = &source[..source.floor_char_boundary(SOURCE_BYTES_MAX.max(self.file.len()))];
        if *self.origin.source != *source {
            self.origin = Origin::new(self.tenant, source);
        }
        let values = self.arrange(values)?;
        Ok(TelemetryRecord {
            origin: Arc::clone(&self.origin),
            at,
            metrics: Arc::clone(&self.metrics),
            values,
        })
    }

    /// Puts values in the order of their metrics: as required, or by name.
    fn arrange(&mut self, mut values: Vec<(String, f32)>) -> Result<Vec<f32>, LineFault> {
        values.sort_by(|(one, _), (other, _)| one.cmp(other));
        if let Some(twice) = values.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err((None, RowFault::Twice(Shown::of(&twice[0].0))));
        }
        if let Some(required) = self.required {
            let of = |metric: &MetricName| {
                let found = values.binary_search_by(|(name, _)| name.as_str().cmp(metric.as_str()));
                found.map_or(f32::NAN, |index| values[index].1)
            };
            return Ok(required.iter().map(of).collect());
        }
        match values.len() {
            0 => return Err((None, RowFault::NoMetrics)),
            count if count > METRICS_MAX => return Err((None, RowFault::TooManyMetrics(count))),
            _ => (),
        }
        let is_as_before = self.metrics.len() == values.len()
            && self.metrics.iter().zip(&values).all(|(metric, (name, _))| metric.as_str() == name);
        if !is_as_before {
            let metric = |(name, _): &(String, f32)| {
                MetricName::try_from(name.as_str())
                    .map_err(|_| (None, RowFault::NameTooLong(Shown::of(name))))
            };
            let metrics: Result<Vec<MetricName>, LineFault> = values.iter().map(metric).collect();
            self.metrics = metrics?.into();
        }
        Ok(values.into_iter().map(|(_, value)| value).collect())
    }
}

/// Whether a file of this name holds JSON lines: `.jsonl` or `.ndjson`, gzip or not.
pub fn is_json_lines(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".jsonl", ".ndjson"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests;
