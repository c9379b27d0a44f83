//! Messages that came together, as one entry of the spool keeps them.

use crate::limits::{SYSLOG_ENTRY_BYTES_MAX, SYSLOG_MESSAGE_BYTES_MAX};

/// Messages, each ended by LF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    messages: u64,
}

impl Batch {
    /// Adds a message, without the ends of lines and NULs behind it. An LF within it becomes `#012`, as syslog
    /// daemons write control characters. An empty message is none.
    pub fn add(&mut self, message: &[u8]) {
        let message = &message[..message.len().min(SYSLOG_MESSAGE_BYTES_MAX)];
        let end = message.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
        let Some(end) = end else { return };
        for (index, part) in message[..=end].split(|&byte| byte == b'\n').enumerate() {
            if index > 0 {
                self.bytes.extend_from_slice(b"#012");
            }
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(b'\n');
        self.messages += 1;
    }

    /// Whether there is no room for more: the next messages go into the next entry.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= SYSLOG_ENTRY_BYTES_MAX
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many messages there are.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The body of an entry.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
