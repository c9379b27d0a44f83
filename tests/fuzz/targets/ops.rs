//! A fuzzer's bytes as a list of things to do, and what they do it with.

use common::crypto::Identity;
use common::known::{Labels, Peer};
use common::roster::Roster;

/// What is left of the input. At its end every number is zero and every text empty.
pub struct Ops<'d>(pub &'d [u8]);

impl<'d> Ops<'d> {
    /// The next thing to do; none at the end.
    pub fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    /// Two bytes, little-endian.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// As many bytes as the next one says, or all that are left after 255.
    pub fn bytes(&mut self) -> &'d [u8] {
        let length = match self.byte() {
            u8::MAX => self.0.len(),
            length => usize::from(length).min(self.0.len()),
        };
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// The bytes with up to three of them changed, or cut short.
    pub fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let how = self.byte();
        for _ in 0..how % 4 {
            let (at, with) = (usize::from(self.short()), self.byte());
            let length = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at % length) {
                *byte ^= with;
            }
        }
        if how & 4 != 0 {
            bytes.truncate(usize::from(self.short()) % (bytes.len() + 1));
        }
        bytes
    }
}

/// A roster with these nodes.
pub fn roster<'i>(coordinator: &Identity, nodes: impl IntoIterator<Item = &'i Identity>) -> Roster {
    let mut roster = Roster::new("test", *coordinator.public());
    for node in nodes {
        let (name, key) = (format!("{:?}", node.node_id()), *node.public());
        roster.admit(Peer { name, key, labels: Labels::new() });
    }
    roster
}
