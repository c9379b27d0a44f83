//! Where one message ends and the next begins in a stream (RFC 6587, RFC 5425).

use crate::limits::{SYSLOG_LENGTH_DIGITS_MAX, SYSLOG_MESSAGE_BYTES_MAX};

/// Cuts a stream into messages. Each tells how it is framed by its first byte: a digit begins octet counting
/// (RFC 6587, section 3.4.1), anything else a line (section 3.4.2). A message over its limit is cut short.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    state: State,
    /// What is there of the present message, or of the digits of its length.
    held: Vec<u8>,
}

/// A stream that cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// A length that no message has.
    #[error("a length of more than {SYSLOG_LENGTH_DIGITS_MAX} digits")]
    TooLong,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between two messages.
    #[default]
    Between,
    /// Digits that may be a length.
    Length,
    /// A message of which so many bytes are to come.
    Counted { left: usize },
    /// A message that ends with its line.
    Line,
}

impl Frames {
    /// Takes what came, and gives each message that is whole now to `sink`.
    ///
    /// # Errors
    ///
    /// [`FrameFault`]; the stream is of no further use.
    pub fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<(), FrameFault> {
        while let Some(&first) = bytes.first() {
            match self.state {
                State::Between => match first {
                    // The end of a line after a counted message, empty lines, and NUL as a trailer.
                    b'\n' | b'\r' | 0 => bytes = &bytes[1..],
                    b'1'..=b'9' => self.state = State::Length,
                    _ => self.state = State::Line,
                },
                State::Length => bytes = self.length(bytes, first)?,
                State::Counted { left } => {
                    let (taken, rest) = bytes.split_at(left.min(bytes.len()));
                    self.hold(taken);
                    self.state = State::Counted { left: left - taken.len() };
                    if left == taken.len() {
                        self.end(&mut sink);
                    }
                    bytes = rest;
                }
                State::Line => bytes = self.line(bytes, &mut sink),
            }
        }
        Ok(())
    }

    /// The stream is over: a line needs no end, what was counted and is not whole is given as it is.
    pub fn finish(mut self, mut sink: impl FnMut(&[u8])) {
        if !self.held.is_empty() {
            self.end(&mut sink);
        }
    }

    /// One more byte of a length, or what shows that it was none.
    fn length<'b>(&mut self, bytes: &'b [u8], byte: u8) -> Result<&'b [u8], FrameFault> {
        match byte {
            b'0'..=b'9' if self.held.len() == SYSLOG_LENGTH_DIGITS_MAX => Err(FrameFault::TooLong),
            b'0'..=b'9' => {
                self.held.push(byte);
                Ok(&bytes[1..])
            }
            b' ' => {
                let left = self.held.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
                self.held.clear();
                self.state = State::Counted { left };
                Ok(&bytes[1..])
            }
            // A line that begins with a number.
            _ => {
                self.state = State::Line;
                Ok(bytes)
            }
        }
    }

    fn line<'b>(&mut self, bytes: &'b [u8], sink: &mut impl FnMut(&[u8])) -> &'b [u8] {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            self.hold(bytes);
            return &[];
        };
        self.hold(&bytes[..end]);
        self.end(sink);
        &bytes[end + 1..]
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = SYSLOG_MESSAGE_BYTES_MAX - self.held.len();
        self.held.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn end(&mut self, sink: &mut impl FnMut(&[u8])) {
        sink(&self.held);
        self.held.clear();
        self.state = State::Between;
    }
}
