//! The cells of a record.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::split::closing;

/// Each cell of a record, without blanks around it. `None` when a quotation mark has no partner.
///
/// Almost no telemetry has quotation marks, and without them a cell ends at the next comma. Text behind the
/// mark that closes a cell belongs to the cell, and a mark within a bare cell is one of its characters: what
/// RFC 4180 leaves open is read as most programs read it.
pub(super) fn for_each<E>(
    record: &str,
    mut each: impl FnMut(&str) -> Result<(), E>,
) -> Option<Result<(), E>> {
    let quotes = memchr_iter(b'"', record.as_bytes()).count();
    if quotes == 0 {
        return Some(record.split(',').try_for_each(|cell| each(cell.trim_ascii())));
    }
    if quotes % 2 == 1 {
        return None;
    }
    let mut rest = Some(record);
    while let Some(text) = rest {
        let (cell, after) = first(text);
        if let Err(error) = each(cell.trim_ascii()) {
            return Some(Err(error));
        }
        rest = after;
    }
    Some(Ok(()))
}

/// The first cell, and what is behind its comma.
fn first(text: &str) -> (Cow<'_, str>, Option<&str>) {
    let comma = |from: usize| memchr(b',', &text.as_bytes()[from..]).map_or(text.len(), |comma| from + comma);
    let (cell, end) = if text.starts_with('"') {
        let close = closing(text.as_bytes(), 1).unwrap_or(text.len());
        let behind = (close + 1).min(text.len());
        let end = comma(behind);
        let mut cell = Cow::Borrowed(&text[1..close]);
        if cell.contains('"') {
            cell = cell.replace("\"\"", "\"").into();
        }
        if behind < end {
            cell.to_mut().push_str(&text[behind..end]);
        }
        (cell, end)
    } else {
        let end = comma(0);
        (text[..end].into(), end)
    };
    (cell, text.get(end + 1..))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(record: &str) -> Option<Vec<String>> {
        let mut cells = Vec::new();
        let each = |cell: &str| {
            cells.push(cell.to_owned());
            Ok::<(), ()>(())
        };
        for_each(record, each).map(|_| cells)
    }

    #[test]
    fn quoted_cells_hold_commas_quotes_and_line_breaks() {
        assert_eq!(cells("\"a,b\",\"say \"\"x\"\"\",\"c\nd\",").unwrap(), ["a,b", "say \"x\"", "c\nd", ""]);
        assert_eq!(cells(" \"a\"b\",\"\", c"), None);
        assert_eq!(cells("\"a\"b,c\"\"").unwrap(), ["ab", "c\"\""]);
    }

    proptest! {
        #[test]
        fn cells_are_those_that_the_csv_crate_finds(record in "[ab\", \n]{1,20}") {
            prop_assume!(record.matches('"').count() % 2 == 0 && record.contains('"') && !record.starts_with('\n'));
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .terminator(csv::Terminator::Any(0))
                .from_reader(record.as_bytes());
            let mut found = csv::StringRecord::new();
            prop_assert!(reader.read_record(&mut found).unwrap());
            let found: Vec<&str> = found.iter().map(str::trim_ascii).collect();
            prop_assert_eq!(cells(&record).unwrap(), found);
        }
    }
}
