//! What a participant has to hear from itself, byte for byte: that it knows its own readers, writers and topics
//! (ACKNACK, RTPS 2.5, sections 8.3.8.1 and 9.4.5.3).

use std::sync::atomic::{AtomicU32, Ordering};

use crate::discovered::Prefix;
use crate::introduction::{HEADER, VENDOR, VERSION};

/// How much a participant has announced: how often a reader or topic of ours came, and a writer came or went. Readers
/// last as long as their participant.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    pub(crate) readers: AtomicU32,
    pub(crate) writers: AtomicU32,
    pub(crate) topics: AtomicU32,
}

/// The entity ids of the built-in reader and writer of publications, subscriptions and topics (section 9.3.1.3).
const PUBLICATIONS: [[u8; 4]; 2] = [[0, 0, 3, 0xc7], [0, 0, 3, 0xc2]];
const SUBSCRIPTIONS: [[u8; 4]; 2] = [[0, 0, 4, 0xc7], [0, 0, 4, 0xc2]];
const TOPICS: [[u8; 4]; 2] = [[0, 0, 2, 0xc7], [0, 0, 2, 0xc2]];

impl Announced {
    /// The datagram with which a participant of this GUID prefix acknowledges all of it to itself. `count` differs
    /// from one to the next.
    pub(crate) fn acknowledged(&self, prefix: Prefix, count: u32) -> Vec<u8> {
        let mut datagram = [HEADER, &VERSION, &VENDOR, &prefix].concat();
        for ([reader, writer], samples) in
            [(PUBLICATIONS, &self.writers), (SUBSCRIPTIONS, &self.readers), (TOPICS, &self.topics)]
        {
            // Little-endian; nothing more is wanted.
            datagram.extend([0x06, 0x03, 24, 0]);
            datagram.extend(reader);
            datagram.extend(writer);
            // All before this number has arrived; none after it is missed.
            datagram.extend([0; 4]);
            datagram.extend((samples.load(Ordering::Relaxed) + 1).to_le_bytes());
            datagram.extend([0; 4]);
            datagram.extend(count.to_le_bytes());
        }
        datagram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_announced_is_acknowledged() {
        let announced = Announced { readers: 4.into(), writers: 3.into(), topics: 7.into() };
        let datagram = announced.acknowledged(*b"0123456789ab", 7);
        assert_eq!(&datagram[..20], b"RTPS\x02\x03\x01\x120123456789ab");
        let submessages: Vec<&[u8]> = datagram[20..].chunks(28).collect();
        let bases: Vec<(u8, u8)> = submessages.iter().map(|bytes| (bytes[10], bytes[16])).collect();
        assert_eq!(bases, [(3, 4), (4, 5), (2, 8)], "the writer, and the first number that is not there yet");
        assert!(submessages.iter().all(|bytes| bytes[..4] == [6, 3, 24, 0] && bytes[24..] == [7, 0, 0, 0]));
    }
}
