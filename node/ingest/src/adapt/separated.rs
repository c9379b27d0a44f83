//! Cells with a separator (RFC 4180 and its relatives): comma, semicolon, tab; wide and long form.
//!
//! The first line names the columns. Long form is told by its names: `time,host,metric,value`. A first
//! column of texts is a label, where there is neither a host nor a time (`/var;85 %`). Quoted cells may not
//! hold a line break. A comma stands before decimals only where it does not separate the cells.

use std::borrow::Cow;
use std::collections::BTreeSet;

use common::limits::NAME_BYTES_MAX;

use super::fields::{self, Field, Role, role};
use super::number::{Comma, quantity};
use super::readings::Readings;
use super::{Fault, Part, Place, Reading, Reject, lines};
use crate::error::Shown;
use crate::limits::COLUMNS_MAX;

const SEPARATORS: [char; 3] = ['\t', ';', ','];

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    let mut lines = head.lines().filter(|line| is_row(line));
    let (Some(header), Some(row)) = (lines.next(), lines.next()) else { return false };
    let Some(separator) = separator(header) else {
        return is_declared(part) && is_name(header.trim()) && quantity(row.trim(), Comma::Never).is_some();
    };
    let (Some(names), Some(cells)) = (cells(header, separator), cells(row, separator)) else { return false };
    let comma = comma(separator);
    names.len() == cells.len()
        && are_names(&names)
        && cells.iter().any(|cell| quantity(cell, comma).is_some())
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let lines = lines::numbered(&text, part)?;
    let mut rows = lines.into_iter().filter(|(_, line)| is_row(line));
    let (number, header) = rows.next().ok_or_else(|| part.reject(Fault::Empty))?;
    let refuse = |number, fault| part.reject_at(Place::Line(number), fault);
    let only_column = separator(header).is_none() && is_declared(part);
    let separator = separator(header).or(only_column.then_some(','));
    let separator = separator.ok_or_else(|| refuse(number, Fault::NoHeader))?;
    let names = cells(header, separator).ok_or_else(|| refuse(number, Fault::OpenQuote))?;
    let table = if only_column { Table::of_one(&names) } else { Table::new(&names, comma(separator)) };
    let table = table.map_err(|fault| refuse(number, fault))?;
    let mut out = Readings::new(part);
    for (number, line) in rows {
        let cells = cells(line, separator).ok_or_else(|| refuse(number, Fault::OpenQuote))?;
        table.row(&cells, &[], part, &mut out).map_err(|fault| refuse(number, fault))?;
    }
    out.finish()
}

/// `sep=;` tells Excel what separates, `#` begins a comment, unless it is the header.
fn is_row(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("sep=") && !line.starts_with("# ")
}

/// Rows below a header. Tables of mails in HTML are read by it too.
pub(super) struct Table<'n> {
    names: Vec<(Role, Cow<'n, str>)>,
    comma: Comma,
}

impl<'n> Table<'n> {
    pub(super) fn new(names: &[Cow<'n, str>], comma: Comma) -> Result<Self, Fault> {
        if !are_names(names) {
            return Err(Fault::NoHeader);
        }
        if names.len() > COLUMNS_MAX {
            return Err(Fault::TooMany { max: COLUMNS_MAX, unit: "columns" });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().map(AsRef::as_ref).find(|&name: &&str| !seen.insert(name)) {
            return Err(Fault::Duplicate(Shown::of(twice)));
        }
        let mut names: Vec<(Role, Cow<'n, str>)> =
            names.iter().map(|name| (role(name), name.clone())).collect();
        let says = |wanted: &[Role]| names.iter().any(|(role, _)| wanted.contains(role));
        if names[0].1.is_empty() || !says(&[Role::Source, Role::Time, Role::Date, Role::Label]) {
            names[0].0 = Role::Label;
        }
        Ok(Self { names, comma })
    }

    /// A table of one column, which only a declared type tells from a line of text.
    fn of_one(names: &[Cow<'n, str>]) -> Result<Self, Fault> {
        match names {
            [name] if is_name(name) => {
                Ok(Self { names: vec![(role(name), name.clone())], comma: Comma::Never })
            }
            _ => Err(Fault::NoHeader),
        }
    }

    /// Reads one row; `context` holds for all rows, where they do not say otherwise.
    pub(super) fn row(
        &self,
        cells: &[Cow<'_, str>],
        context: &[Field<'_>],
        part: &Part<'_>,
        out: &mut Readings<'_, '_>,
    ) -> Result<(), Fault> {
        if cells.len() != self.names.len() {
            return Err(Fault::Columns { found: cells.len(), expected: self.names.len() });
        }
        let named = self.names.iter().zip(cells);
        let mut fields: Vec<Field<'_>> =
            named.map(|((role, name), cell)| Field::of_role(*role, name.as_ref(), cell.as_ref())).collect();
        fields.extend_from_slice(context);
        fields::put(&fields, self.comma, part, out)
    }
}

fn comma(separator: char) -> Comma {
    if separator == ',' { Comma::Never } else { Comma::Decimal }
}

/// What separates the cells of a header: the first of these that it holds.
fn separator(header: &str) -> Option<char> {
    SEPARATORS.into_iter().find(|separator| header.contains(*separator))
}

/// None is a number, and they are short: prose is not a header. The first may be empty: what stands below
/// it says what the rows are about.
fn are_names(names: &[Cow<'_, str>]) -> bool {
    names.len() > 1
        && names.iter().skip(1).all(|name| is_name(name))
        && names.iter().take(1).all(|name| name.is_empty() || is_name(name))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && quantity(name, Comma::Prose).is_none()
}

/// Whether its type or its name says CSV.
fn is_declared(part: &Part<'_>) -> bool {
    let name = part.name.unwrap_or_default().to_ascii_lowercase();
    let is_type =
        ["text/csv", "application/csv"].iter().any(|known| part.media_type.eq_ignore_ascii_case(known));
    is_type || [".csv", ".csv.gz"].iter().any(|ending| name.ends_with(ending))
}

/// The cells of a line, without blanks around them; `None` when a quotation mark is not closed.
fn cells(line: &str, separator: char) -> Option<Vec<Cow<'_, str>>> {
    if !line.contains('"') {
        return Some(line.split(separator).map(|cell| Cow::Borrowed(cell.trim())).collect());
    }
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c != separator && c.is_whitespace());
        let Some(mut quoted) = trimmed.strip_prefix('"') else {
            let end = rest.find(separator);
            cells.push(Cow::Borrowed(rest[..end.unwrap_or(rest.len())].trim()));
            match end {
                Some(end) => rest = &rest[end + 1..],
                None => return Some(cells),
            }
            continue;
        };
        let mut cell = String::new();
        loop {
            let (inside, after) = quoted.split_once('"')?;
            cell.push_str(inside);
            quoted = after;
            // RFC 4180, section 2.7: a doubled mark is one mark.
            match quoted.strip_prefix('"') {
                Some(more) => {
                    cell.push('"');
                    quoted = more;
                }
                None => break,
            }
        }
        cells.push(Cow::Owned(cell));
        match quoted.split_once(separator) {
            Some((_, after)) => rest = after,
            None => return Some(cells),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::units::Timestamp;

    use super::*;

    #[test]
    fn one_column_is_read_where_it_is_declared() {
        let part = |name, media_type| Part {
            name,
            media_type,
            bytes: b"cpu\n1\n2\n",
            received: Timestamp(7),
            sender: "a@example.com",
            subject: "",
            time_column: None,
        };
        for declared in [part(None, "Text/CSV"), part(Some("report.CSV.gz"), "application/octet-stream")] {
            assert!(looks_like(&declared));
            let readings = read(&declared).unwrap();
            let values: Vec<f32> = readings.iter().map(|reading| reading.values[0].1).collect();
            assert_eq!(values, [1.0, 2.0]);
        }
        let text = part(Some("notes.txt"), "text/plain");
        assert!(!looks_like(&text));
        assert_eq!(
            read(&text).unwrap_err().to_string(),
            "`notes.txt`: line 1: the first line must name the columns"
        );
    }

    #[test]
    fn quoted_cells_hold_separators_and_marks() {
        assert_eq!(cells("a, \"b;\"\"c\" ,d", ',').unwrap(), ["a", "b;\"c", "d"]);
        assert_eq!(cells("\"a;b\";", ';').unwrap(), ["a;b", ""]);
        assert!(cells("a,\"b", ',').is_none());
    }
}
