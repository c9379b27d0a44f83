//! Where a record ends: at the first line break that is not in a quoted cell (RFC 4180, section 2, rule 6).
//!
//! Only a record that is written as RFC 4180 has it goes over line breaks: quotation marks stand around whole
//! cells, and twice within them. One that is not, or whose last quote is not closed within
//! [`LINE_BYTES_MAX`] bytes or before the end of the file, ends at its first line break, and the next record
//! begins after that. So a lone quotation mark costs its own line, and what a record is depends on the bytes
//! from its beginning only.
//!
//! Looking ahead in vain costs no more than reading twice: within the bytes that were looked at, no later
//! line can be one that is well written and open at its end, because the open cell would have closed there.

use memchr::{memchr, memchr_iter, memchr2};

use crate::limits::LINE_BYTES_MAX;

/// What the bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A record of so many bytes, its last line break not counted, on so many lines.
    Record { bytes: usize, lines: u64 },
    /// A line over its limit.
    LongLine,
    /// More bytes are needed to tell; never when there are more than [`LINE_BYTES_MAX`].
    Unfinished,
}

/// What `bytes`, where a record begins, begin with; `at_end` when the file ends with them.
pub(crate) fn start(bytes: &[u8], at_end: bool) -> Start {
    let over_limit = bytes.len() > LINE_BYTES_MAX;
    let within = &bytes[..bytes.len().min(LINE_BYTES_MAX + 1)];
    let first = match memchr2(b'\n', b'"', within) {
        Some(end) if within[end] == b'\n' => return Start::Record { bytes: end, lines: 1 },
        Some(quote) => memchr(b'\n', &within[quote..]).map(|end| quote + end),
        None => None,
    };
    let Some(first) = first else {
        return match () {
            () if over_limit => Start::LongLine,
            () if at_end => Start::Record { bytes: bytes.len(), lines: 1 },
            () => Start::Unfinished,
        };
    };
    match strict_end(within) {
        End::At(end) => record(within, end),
        End::NotYet if at_end && !over_limit => record(within, within.len()),
        End::NotYet | End::Open if !at_end && !over_limit => Start::Unfinished,
        End::NotYet | End::Open | End::Malformed => Start::Record { bytes: first, lines: 1 },
    }
}

fn record(within: &[u8], end: usize) -> Start {
    Start::Record { bytes: end, lines: 1 + memchr_iter(b'\n', &within[..end]).count() as u64 }
}

enum End {
    /// Here is the line break.
    At(usize),
    /// No cell is open, but there is no line break.
    NotYet,
    /// The bytes end within a quoted cell.
    Open,
    /// A quotation mark is where RFC 4180 has none.
    Malformed,
}

fn strict_end(bytes: &[u8]) -> End {
    let mut at = 0;
    loop {
        let Some(found) = memchr2(b'\n', b'"', &bytes[at..]) else {
            return End::NotYet;
        };
        let found = at + found;
        if bytes[found] == b'\n' {
            return End::At(found);
        }
        if found > 0 && bytes[found - 1] != b',' {
            return End::Malformed;
        }
        let Some(close) = closing(bytes, found + 1) else {
            return End::Open;
        };
        at = close + 1;
        match &bytes[at..] {
            [b',' | b'\n', ..] | [b'\r', b'\n', ..] | [] | [b'\r'] => (),
            _ => return End::Malformed,
        }
    }
}

/// The quotation mark that closes the cell whose text begins at `from`: the first that is not doubled.
pub(super) fn closing(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let quote = from + memchr(b'"', bytes.get(from..)?)?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        from = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: usize, lines: u64) -> Start {
        Start::Record { bytes, lines }
    }

    #[test]
    fn a_line_break_in_a_quoted_cell_does_not_end_the_record() {
        assert_eq!(start(b"1,2\n3", false), record(3, 1));
        assert_eq!(start(b"\"a\nb\",2\n3\n", false), record(7, 2));
        assert_eq!(start(b"1,\"a\r\n\"\"b\n\"\r\n3\n", false), record(12, 3));
        assert_eq!(start(b"\"a\nb\",2", true), record(7, 2));
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_its_line_only() {
        for text in ["\"a\n1,2\n", "1,\"3\n1,\"x\",2\n", "5\",1\n\"a\nb\"\n", "\"a\"b,\"\nc\"\n"] {
            let first = text.find('\n').unwrap();
            assert_eq!(start(text.as_bytes(), true), record(first, 1), "{text:?}");
        }
        let far = format!("1,\"2\n{}\"\n", "1,2\n".repeat(LINE_BYTES_MAX / 4));
        assert_eq!(start(far.as_bytes(), false), record(4, 1));
    }

    #[test]
    fn what_is_not_complete_is_unfinished_until_the_limit() {
        for text in ["", "1,2", "\"a\n", "\"a\nb\"", "\"a\nb\"\r", "\"a\"\"\nb"] {
            assert_eq!(start(text.as_bytes(), false), Start::Unfinished, "{text:?}");
        }
        assert_eq!(start(&vec![b'1'; LINE_BYTES_MAX], false), Start::Unfinished);
        assert_eq!(start(&vec![b'1'; LINE_BYTES_MAX + 1], false), Start::LongLine);
        assert_eq!(start(&vec![b'"'; LINE_BYTES_MAX + 1], true), Start::LongLine);
    }
}
