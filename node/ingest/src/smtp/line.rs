//! Cuts command lines out of a stream. A line ends with LF; what stood before it is told, not judged.

use crate::limits::SMTP_AUTH_BYTES_MAX;

/// A line of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The line without its end; of a line over the limit only its first [`SMTP_AUTH_BYTES_MAX`] bytes.
    pub(super) text: Vec<u8>,
    /// Its length with its end, in bytes.
    pub(super) bytes: usize,
    /// Whether it ends with CRLF, as it should, or with a bare LF.
    pub(super) ends_with_crlf: bool,
}

/// The line that has not ended yet.
#[derive(Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    bytes: usize,
    last: u8,
}

impl Lines {
    /// Takes bytes up to the end of a line; returns how many, and the line if it has ended.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, Option<Line>) {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let kept = part.len().min(SMTP_AUTH_BYTES_MAX - self.partial.len());
        self.partial.extend_from_slice(&part[..kept]);
        self.bytes = self.bytes.saturating_add(part.len());
        self.last = part.last().copied().unwrap_or(self.last);
        match end {
            Some(end) => (end + 1, Some(self.finish())),
            None => (bytes.len(), None),
        }
    }

    fn finish(&mut self) -> Line {
        let Self { partial: mut text, bytes, last } = std::mem::take(self);
        let ends_with_crlf = last == b'\r';
        if ends_with_crlf && text.len() == bytes {
            text.pop();
        }
        Line { text, bytes: bytes.saturating_add(1), ends_with_crlf }
    }

    /// Bytes of memory that are held.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.partial.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_same_wherever_it_is_cut() {
        let input = b"NOOP\r\nx\n\r\r\n\n";
        let mut whole = Vec::new();
        let (mut lines, mut rest) = (Lines::default(), &input[..]);
        while !rest.is_empty() {
            let (taken, line) = lines.take(rest);
            rest = &rest[taken..];
            whole.extend(line);
        }
        let mut lines = Lines::default();
        let single: Vec<Line> = input.iter().filter_map(|byte| lines.take(&[*byte]).1).collect();
        assert_eq!(single, whole);
        let ends: Vec<(&[u8], bool)> =
            whole.iter().map(|line| (&line.text[..], line.ends_with_crlf)).collect();
        assert_eq!(ends, [(&b"NOOP"[..], true), (b"x", false), (b"\r", true), (b"", false)]);
    }

    #[test]
    fn an_endless_line_is_counted_but_not_kept() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            assert_eq!(lines.take(&[b'x'; 1000]), (1000, None));
        }
        assert!(lines.capacity() <= 2 * SMTP_AUTH_BYTES_MAX);
        let line = lines.take(b"\r\n").1.unwrap();
        assert_eq!((line.bytes, line.text.len()), (100_002, SMTP_AUTH_BYTES_MAX));
    }
}
