//! Labels of telemetry: which rows are known to be anomalous. Each row counts, so a bad one refuses the file:
//! leaving it out would shift all labels after it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::content::{Content, io_error, read_error};
use super::error::{HeaderFault, IngestError, RowBytes, RowError, RowFault, Shown};
use super::file::shown;
use super::limits::{LINE_BYTES_MAX, RECORDS_MAX, UNPACKED_BYTES_MAX};

/// A stretch of anomalous rows, and the metrics that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first row, counted from 0.
    pub start: usize,
    /// Its last row.
    pub end_inclusive: usize,
    /// Indices of the metrics, counted from 0; no order is meant.
    pub features: Vec<usize>,
}

/// Reads a file (plain or gzip) with a column `label`: whether each row is anomalous.
///
/// # Errors
///
/// [`IngestError`] names the file, and the line and column of a label that is neither 0 nor 1.
pub fn read_labels(path: &Path) -> Result<Vec<bool>, IngestError> {
    let mut labels = Vec::new();
    read_rows(path, &["label"], |row| {
        labels.push(match row.cells[0] {
            "0" => false,
            "1" => true,
            other => return Err(row.error("label", RowFault::NotALabel(Shown::of(other)))),
        });
        Ok(())
    })?;
    Ok(labels)
}

/// Reads a file (plain or gzip) with columns `start`, `end_inclusive` and `features` (indices with blanks
/// between them).
///
/// # Errors
///
/// [`IngestError`] names the file, and the line and column of what is no row number.
pub fn read_segments(path: &Path) -> Result<Vec<Segment>, IngestError> {
    let mut segments = Vec::new();
    read_rows(path, &["start", "end_inclusive", "features"], |row| {
        let index = |column, cell: &str| {
            cell.parse().map_err(|_| row.error(column, RowFault::NotAnIndex(Shown::of(cell))))
        };
        let (start, end_inclusive) = (index("start", row.cells[0])?, index("end_inclusive", row.cells[1])?);
        if end_inclusive < start {
            return Err(row.error("end_inclusive", RowFault::Backwards));
        }
        let features =
            row.cells[2].split_whitespace().map(|cell| index("features", cell)).collect::<Result<_, _>>()?;
        segments.push(Segment { start, end_inclusive, features });
        Ok(())
    })?;
    Ok(segments)
}

/// The cells of one row, in the order in which the columns were asked for.
struct Row<'a> {
    file: &'a str,
    line: u64,
    offset: u64,
    raw: &'a [u8],
    cells: Vec<&'a str>,
}

impl Row<'_> {
    fn error(&self, column: &str, fault: RowFault) -> RowError {
        let column = Some(Shown::of(column));
        row_error(self.file, self.line, self.offset, column, fault, self.raw)
    }
}

fn row_error(
    file: &str,
    line: u64,
    offset: u64,
    column: Option<Shown>,
    fault: RowFault,
    raw: &[u8],
) -> RowError {
    let bytes = RowBytes::of(offset, raw.strip_suffix(b"\n").unwrap_or(raw));
    RowError { file: file.to_owned(), line, column, fault, bytes }
}

fn read_rows(
    path: &Path,
    columns: &[&str],
    mut each: impl FnMut(Row<'_>) -> Result<(), RowError>,
) -> Result<(), IngestError> {
    let file = shown(path);
    let stream = File::open(path).map_err(|error| io_error(&file, &error))?;
    let mut lines = BufReader::new(Content::new(&file, stream, UNPACKED_BYTES_MAX)?);
    let (mut line, mut rows, mut next) = (0, 0, 0);
    let mut header: Option<Header> = None;
    let mut text = Vec::new();
    loop {
        text.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        if (&mut lines).take(limit).read_until(b'\n', &mut text).map_err(|error| read_error(&file, error))?
            == 0
        {
            break;
        }
        line += 1;
        let offset = next;
        next += text.len() as u64;
        let bad_row = |fault| row_error(&file, line, offset, None, fault, &text);
        if text.len() > LINE_BYTES_MAX {
            return Err(bad_row(RowFault::TooLong).into());
        }
        let Ok(row) = std::str::from_utf8(&text) else {
            return Err(bad_row(RowFault::NotText).into());
        };
        let cells: Vec<&str> = row.split(',').map(str::trim).collect();
        match &header {
            _ if row.trim().is_empty() => (),
            None => header = Some(Header::parse(&file, line, &cells, columns)?),
            Some(Header { count, .. }) if cells.len() != *count => {
                return Err(bad_row(RowFault::Columns { found: cells.len(), expected: *count }).into());
            }
            Some(_) if rows == RECORDS_MAX => {
                return Err(IngestError::TooLarge { file, max: RECORDS_MAX as u64, unit: "rows" });
            }
            Some(Header { indices, .. }) => {
                rows += 1;
                let cells = indices.iter().map(|&index| cells[index]).collect();
                each(Row { file: &file, line, offset, raw: &text, cells })?;
            }
        }
    }
    if header.is_none() { Err(IngestError::Empty { file }) } else { Ok(()) }
}

struct Header {
    /// Columns of the file.
    count: usize,
    /// Where the columns are that were asked for.
    indices: Vec<usize>,
}

impl Header {
    fn parse(file: &str, line: u64, cells: &[&str], columns: &[&str]) -> Result<Self, IngestError> {
        let place =
            |column: &&str| cells.iter().position(|cell| cell.trim_start_matches('\u{feff}') == *column);
        let missing: Vec<_> = columns.iter().filter(|column| place(column).is_none()).collect();
        if let Some(first) = missing.first() {
            let fault = HeaderFault::Missing { first: Shown::of(first), others: missing.len() - 1 };
            return Err(IngestError::Header { file: file.to_owned(), line, fault });
        }
        Ok(Self { count: cells.len(), indices: columns.iter().filter_map(place).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// What comes of a file with this content, the name of its directory taken off.
    fn of<T>(content: &str, read: impl Fn(&Path) -> Result<T, IngestError>) -> Result<T, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels.csv");
        File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
        let prefix = format!("{}/", directory.path().display());
        read(&path).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    #[test]
    fn labels_are_zero_or_one() {
        assert_eq!(of("label\n0\n1\r\n0", read_labels), Ok(vec![false, true, false]));
        assert_eq!(of("at,label\n7,1\n8,0\n", read_labels), Ok(vec![true, false]));
    }

    #[test]
    fn a_bad_label_file_gives_one_line_that_names_the_place() {
        let error = |content| of(content, read_labels).unwrap_err();
        assert_eq!(error("label\n0\n2\n"), "labels.csv: line 3, column `label`: `2` is not a label (0 or 1)");
        assert_eq!(error("lable\n0\n"), "labels.csv: line 1: there is no column `label`");
        assert_eq!(error("label\n0,1\n"), "labels.csv: line 2: 2 columns where the header has 1");
        assert_eq!(error(""), "labels.csv: the file is empty");
    }

    #[test]
    fn segments_name_rows_and_features() {
        let text = "start,end_inclusive,features\n2,5,0 3\n9,9,\n";
        let first = Segment { start: 2, end_inclusive: 5, features: vec![0, 3] };
        assert_eq!(of(text, read_segments).unwrap()[0], first);
        let error = of("start,end_inclusive,features\n5,2,0\n", read_segments).unwrap_err();
        assert_eq!(error, "labels.csv: line 2, column `end_inclusive`: the interval ends before it starts");
        let error = of("start,end_inclusive,features\n5,7,x\n", read_segments).unwrap_err();
        assert_eq!(error, "labels.csv: line 2, column `features`: `x` is not a row number");
    }
}
