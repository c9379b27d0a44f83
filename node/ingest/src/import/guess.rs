//! Where a record seems to begin near a cut. A guess: whoever uses it finds out whether it was right.

use memchr::{memchr, memchr_iter};

use crate::csv::split::{self, Start};
use crate::limits::{IMPORT_GUESSES_MAX, LINE_BYTES_MAX};

/// The index at which the first record at or after a cut seems to begin, in bytes whose first is the one
/// before the cut. `None` when no line begins in them. `fits` says whether a record has the file's columns.
///
/// Without a quotation mark near the cut no quoted cell can reach over it, and the guess is the next line.
/// Else it is the next line with the right number of cells: the middle of a quoted text has not.
pub(super) fn record_start(bytes: &[u8], fits: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let next_line = memchr(b'\n', bytes)? + 1;
    let near = &bytes[..bytes.len().min(LINE_BYTES_MAX + 2)];
    if memchr(b'"', near).is_none() {
        return Some(next_line);
    }
    let is_record = |at: &usize| match split::start(&bytes[*at..], false) {
        Start::Record { bytes: length, .. } => fits(&bytes[*at..*at + length]),
        Start::LongLine | Start::Unfinished => false,
    };
    let lines = memchr_iter(b'\n', near).map(|end| end + 1);
    lines.take(IMPORT_GUESSES_MAX).find(is_record).or(Some(next_line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(text: &str) -> Option<usize> {
        let count = |record: &[u8], byte| memchr_iter(byte, record).count();
        record_start(text.as_bytes(), |record| count(record, b',') == 1 && count(record, b'"') % 2 == 0)
    }

    #[test]
    fn the_next_line_is_the_guess_where_there_are_no_quotes() {
        assert_eq!(guess("\n1,2\n"), Some(1));
        assert_eq!(guess("9\nx\n1,2\n"), Some(2), "a bad row is a row");
        assert_eq!(guess("1,2"), None);
    }

    #[test]
    fn the_middle_of_a_quoted_text_is_not_taken_for_a_record() {
        assert_eq!(guess("is\nwritten\nhere\",2\n\"x\",4\n"), Some(19));
        assert_eq!(guess("is\nwritten\"\n"), Some(3), "nothing fits: the next line");
    }
}
