//! The content of a mail as it comes in: bounded, and by DATA with its dots (RFC 5321, section 4.5.2).

/// Content up to a limit. Once something is wrong with it, nothing more of it is kept.
pub(super) struct Content {
    bytes: Vec<u8>,
    bytes_max: usize,
    fault: Option<ContentFault>,
}

/// Why a content is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentFault {
    TooLarge,
    BareNewline,
}

impl Content {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, fault: None }
    }

    pub(super) fn push(&mut self, part: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        let bytes = self.bytes.len() + part.len();
        if bytes > self.bytes_max {
            return self.spoil(ContentFault::TooLarge);
        }
        // Memory doubles with what came, but never beyond the limit.
        if bytes > self.bytes.capacity() {
            let capacity = bytes.max(2 * self.bytes.capacity()).min(self.bytes_max);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(part);
    }

    /// A bare newline outweighs the size: after it the end of the data cannot be believed.
    fn spoil(&mut self, fault: ContentFault) {
        self.bytes = Vec::new();
        self.fault = Some(fault);
    }

    pub(super) fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, ContentFault> {
        self.fault.map_or(Ok(self.bytes), Err)
    }

    /// Bytes of memory that are held.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// What is done with a CR or LF that stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BareNewlines {
    Refuse,
    /// They become CRLF. A dot after one is an ordinary dot: it neither ends the data nor goes away.
    Normalise,
}

/// The content after DATA, up to `CRLF . CRLF`.
pub(super) struct Dotted {
    pub(super) content: Content,
    bare_newlines: BareNewlines,
    at: At,
}

/// What the last bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// CRLF, or the start.
    LineStart,
    /// CRLF and a dot, which is not content.
    Dot,
    /// CRLF, a dot and CR.
    DotCr,
    /// Anything else than CR.
    Middle,
    /// CR.
    Cr,
    /// `CRLF . CRLF`
    End,
}

impl Dotted {
    pub(super) const fn new(content: Content, bare_newlines: BareNewlines) -> Self {
        Self { content, bare_newlines, at: At::LineStart }
    }

    /// Takes bytes up to the end of the data; returns how many, and whether the data has ended.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        while taken < bytes.len() && self.at != At::End {
            let rest = &bytes[taken..];
            // Most bytes are neither at the start nor at the end of a line: they go in as they are.
            let plain = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            if self.at == At::Middle && plain > 0 {
                self.content.push(&rest[..plain]);
                taken += plain;
            } else {
                self.at = self.next(rest[0]);
                taken += 1;
            }
        }
        (taken, self.at == At::End)
    }

    fn next(&mut self, byte: u8) -> At {
        match (self.at, byte) {
            (At::DotCr, b'\n') | (At::End, _) => At::End,
            (At::Cr, b'\n') => {
                self.content.push(b"\r\n");
                At::LineStart
            }
            (At::Dot, b'\r') => At::DotCr,
            (At::LineStart, b'.') => At::Dot,
            (At::LineStart | At::Middle, b'\r') => At::Cr,
            (At::LineStart | At::Middle | At::Dot, b'\n') => {
                self.bare();
                At::Middle
            }
            (At::Cr | At::DotCr, b'\r') => {
                self.bare();
                At::Cr
            }
            (At::Cr | At::DotCr, other) => {
                self.bare();
                self.content.push(&[other]);
                At::Middle
            }
            (At::LineStart | At::Middle | At::Dot, other) => {
                self.content.push(&[other]);
                At::Middle
            }
        }
    }

    fn bare(&mut self) {
        match self.bare_newlines {
            BareNewlines::Refuse => self.content.spoil(ContentFault::BareNewline),
            BareNewlines::Normalise => self.content.push(b"\r\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(input: &[u8], bare_newlines: BareNewlines) -> (usize, bool, Result<Vec<u8>, ContentFault>) {
        let mut dotted = Dotted::new(Content::new(100), bare_newlines);
        let (taken, ended) = dotted.take(input);
        (taken, ended, dotted.content.finish())
    }

    #[test]
    fn dots_that_were_put_before_lines_are_taken_away() {
        let text = |input: &[u8]| taken(input, BareNewlines::Refuse);
        assert_eq!(text(b".\r\n"), (3, true, Ok(vec![])));
        assert_eq!(text(b"a\r\n.\r\nQUIT"), (6, true, Ok(b"a\r\n".to_vec())));
        assert_eq!(text(b"..\r\n...\r\n.a.\r\n.\r\n"), (17, true, Ok(b".\r\n..\r\na.\r\n".to_vec())));
        assert_eq!(text(b"a\r\n."), (4, false, Ok(b"a\r\n".to_vec())));
    }

    #[test]
    fn bare_newlines_become_line_ends_where_they_are_let_through() {
        let text = |input: &[u8]| taken(input, BareNewlines::Normalise);
        assert_eq!(text(b"a\nb\rc\r\r\n.\r\n"), (11, true, Ok(b"a\r\nb\r\nc\r\n\r\n".to_vec())));
        assert_eq!(text(b"a\n.\nb\n..c"), (9, false, Ok(b"a\r\n.\r\nb\r\n..c".to_vec())));
        assert!(!text(b"a\n.\n").1);
    }

    #[test]
    fn memory_follows_what_came_and_stays_within_the_limit() {
        let mut content = Content::new(1000);
        content.push(&[b'x'; 10]);
        assert!(content.capacity() < 100);
        for _ in 0..99 {
            content.push(&[b'x'; 10]);
            assert!(content.capacity() <= 1000);
        }
        content.push(b"x");
        assert_eq!((content.capacity(), content.finish()), (0, Err(ContentFault::TooLarge)));
    }
}
