//! Reports of fixed width, as mainframes print and transfer them: columns told by a configuration that
//! follows the COBOL copybook of the report. Never guessed.

mod cell;
mod code_page;

use common::limits::METRICS_MAX;
use serde::Deserialize;

pub use self::cell::Kind;
pub use self::code_page::CodePage;

use super::fields::{self, Field, Role, role};
use super::number::Comma;
use super::readings::Readings;
use super::{Fault, Part, Place, Reading, Reject};
use crate::error::Shown;
use crate::limits::{ADAPT_PART_BYTES_MAX, LINE_BYTES_MAX};

/// A layout, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutConfig {
    /// What the bytes of its texts mean.
    pub code_page: CodePage,
    /// Bytes of a record. Without it a record is a line.
    #[serde(default)]
    pub record_bytes: Option<usize>,
    /// Records left out at the beginning: a title, a ruler.
    #[serde(default)]
    pub skip_first: usize,
    /// Records with one of these texts are left out: page headers, totals.
    #[serde(default)]
    pub skip_containing: Vec<String>,
    /// The columns; what is between them is not looked at.
    pub columns: Vec<Column>,
}

/// A column of a layout. Its name says what it is, as in all formats: `host`, `time` and `metric` are not
/// values, a number in any other column is one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its first byte, counted from 1 as copybooks and editors do.
    pub start: usize,
    /// Its bytes.
    pub length: usize,
    /// How it is written.
    pub kind: Kind,
    /// Digits behind the point of a packed, zoned or binary number, where the point is not written.
    #[serde(default)]
    pub scale: u8,
}

/// A layout that holds: every column is inside the record and has a length that its kind can have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "LayoutConfig")]
pub struct Layout {
    config: LayoutConfig,
    /// Bytes up to the end of the last column.
    used_bytes: usize,
}

/// Why a configuration is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No column, or too many.
    #[error("{0} columns; there can be 1 to {METRICS_MAX}")]
    Columns(usize),
    /// A column that is not inside the record.
    #[error("column {0} is not inside the record")]
    Outside(Shown),
    /// A length that the kind cannot have.
    #[error("column {0} has a length that its kind cannot have")]
    Length(Shown),
    /// A scale that the kind cannot have.
    #[error("column {0} has a scale that its kind cannot have")]
    Scale(Shown),
    /// A record without bytes, or with too many.
    #[error("a record can have 1 to {LINE_BYTES_MAX} bytes")]
    RecordBytes,
    /// A binary number may hold the byte that ends a line.
    #[error("column {0} is binary: lines cannot hold it, give record_bytes")]
    BinaryInLines(Shown),
}

impl TryFrom<LayoutConfig> for Layout {
    type Error = LayoutError;

    fn try_from(config: LayoutConfig) -> Result<Self, LayoutError> {
        if !(1..=METRICS_MAX).contains(&config.columns.len()) {
            return Err(LayoutError::Columns(config.columns.len()));
        }
        let record_bytes = config.record_bytes.unwrap_or(LINE_BYTES_MAX);
        if !(1..=LINE_BYTES_MAX).contains(&record_bytes) {
            return Err(LayoutError::RecordBytes);
        }
        let mut used_bytes = 0;
        for column in &config.columns {
            let name = || Shown::of(&column.name);
            let end = column.start.checked_sub(1).and_then(|start| start.checked_add(column.length));
            let end = end.filter(|end| *end <= record_bytes).ok_or_else(|| LayoutError::Outside(name()))?;
            if !column.kind.can_have(column.length) {
                return Err(LayoutError::Length(name()));
            }
            if usize::from(column.scale) > column.kind.digits_max(column.length) {
                return Err(LayoutError::Scale(name()));
            }
            if config.record_bytes.is_none() && !column.kind.is_text() {
                return Err(LayoutError::BinaryInLines(name()));
            }
            used_bytes = used_bytes.max(end);
        }
        Ok(Self { config, used_bytes })
    }
}

/// Reads a part by a layout.
///
/// # Errors
///
/// A [`Reject`] that names the record that does not fit the layout, counted from 1.
pub fn read(layout: &Layout, part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    if part.bytes.len() > ADAPT_PART_BYTES_MAX {
        return Err(part.reject(Fault::PartTooLarge));
    }
    let config = &layout.config;
    let mut out = Readings::new(part);
    for (index, record) in records(config, part.bytes).enumerate().skip(config.skip_first) {
        let refuse = |fault| part.reject_at(Place::Record(index as u64 + 1), fault);
        if record.len() > LINE_BYTES_MAX {
            return Err(refuse(Fault::LineTooLong));
        }
        if layout.is_skipped(record) {
            continue;
        }
        // Lines come without the blanks at their end; records do not.
        if record.len() < layout.used_bytes && config.record_bytes.is_some() {
            let (found, expected) = (record.len(), layout.used_bytes);
            return Err(refuse(Fault::RecordLength { found, expected }));
        }
        let mut row: Vec<Field<'_>> = Vec::new();
        for column in &config.columns {
            let text = layout.cell(column, record, part).map_err(refuse)?;
            // A text that only looks like a number is no value.
            let role = match (role(&column.name), column.kind) {
                (Role::Plain | Role::Value, Kind::Text) => continue,
                (_, Kind::Date) => Role::Time,
                (role, _) => role,
            };
            row.push(Field::of_role(role, column.name.as_str(), text));
        }
        fields::put(&row, Comma::Never, part, &mut out).map_err(refuse)?;
    }
    out.finish()
}

fn records<'b>(config: &LayoutConfig, bytes: &'b [u8]) -> Box<dyn Iterator<Item = &'b [u8]> + 'b> {
    if let Some(length) = config.record_bytes {
        return Box::new(bytes.chunks(length));
    }
    let ends = config.code_page.line_ends();
    Box::new(bytes.split(|byte| ends.contains(byte)))
}

impl Layout {
    fn is_skipped(&self, record: &[u8]) -> bool {
        let text = self.config.code_page.text(record);
        text.is_empty() || self.config.skip_containing.iter().any(|mark| text.contains(mark.as_str()))
    }

    /// The cell as a number or time that every format writes.
    fn cell(&self, column: &Column, record: &[u8], part: &Part<'_>) -> Result<String, Fault> {
        let start = (column.start - 1).min(record.len());
        let end = (start + column.length).min(record.len());
        let bytes = &record[start..end];
        let decoded = column.kind.decode(bytes, column.scale, self.config.code_page, part.received);
        decoded.ok_or_else(|| Fault::NotANumber {
            column: Shown::of(&column.name),
            cell: Shown::of(&self.config.code_page.text(bytes)),
        })
    }
}
