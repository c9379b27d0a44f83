//! How a plaintext of a given length is cut into records and chunks.
//!
//! A *record* is one AEAD call over 16 KiB, the last one always over less, perhaps over nothing
//! (C2SP chunked-encryption, "Message chunking"; it calls records chunks). A *chunk* is what travels
//! in one datagram: [`CHUNK_RECORDS`] records, the last chunk one to three. A plaintext of a whole
//! number of records therefore has one empty record more, and one of a whole number of chunks ends
//! in a chunk that is nothing but a tag.

use std::ops::Range;

use crate::limits::{BLOB_BYTES_MAX, CHUNK_PLAIN_BYTES, CHUNK_RECORDS, CHUNK_SEALED_BYTES};
use crate::limits::{RECORD_PLAIN_BYTES, RECORD_TAG_BYTES};
use crate::wire::{Fault, Input, Wire, WireError};

/// The cut of a plaintext of at most [`BLOB_BYTES_MAX`] bytes; everything follows from its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLayout {
    plain_bytes: u64,
}

/// The plaintext is longer than [`BLOB_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{plain_bytes} bytes are more than the limit of {BLOB_BYTES_MAX}")]
pub struct TooLarge {
    /// The length given.
    pub plain_bytes: u64,
}

impl ChunkLayout {
    /// The cut of `plain_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] over [`BLOB_BYTES_MAX`].
    pub const fn of(plain_bytes: u64) -> Result<Self, TooLarge> {
        if plain_bytes > BLOB_BYTES_MAX { Err(TooLarge { plain_bytes }) } else { Ok(Self { plain_bytes }) }
    }

    /// Length of the plaintext in bytes.
    pub const fn plain_bytes(self) -> usize {
        self.plain_bytes as usize
    }

    /// Length of all sealed chunks together in bytes.
    pub const fn sealed_bytes(self) -> usize {
        self.plain_bytes() + self.records() * RECORD_TAG_BYTES
    }

    /// How many records, at least one.
    pub const fn records(self) -> usize {
        self.plain_bytes() / RECORD_PLAIN_BYTES + 1
    }

    /// How many chunks, at least one.
    pub const fn chunks(self) -> u32 {
        self.records().div_ceil(CHUNK_RECORDS) as u32
    }

    /// Where chunk `index` lies in the plaintext; `None` past the last chunk.
    pub fn plain_range(self, index: u32) -> Option<Range<usize>> {
        let start = index as usize * CHUNK_PLAIN_BYTES;
        (index < self.chunks()).then(|| start..self.plain_bytes().min(start + CHUNK_PLAIN_BYTES))
    }

    /// Where chunk `index` lies in the concatenation of the sealed chunks; `None` past the last chunk.
    pub fn sealed_range(self, index: u32) -> Option<Range<usize>> {
        let start = index as usize * CHUNK_SEALED_BYTES;
        (index < self.chunks()).then(|| start..self.sealed_bytes().min(start + CHUNK_SEALED_BYTES))
    }
}

/// Plaintext length and chunk count. The count is redundant: it lets a reader that knows nothing of
/// this cut follow a transfer, and is refused when the two disagree.
impl Wire for ChunkLayout {
    fn put(&self, out: &mut Vec<u8>) {
        self.plain_bytes.put(out);
        self.chunks().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let layout = Self::of(u64::take(input)?)
            .map_err(|_| input.error(Fault::Invalid("a plaintext over the limit of one blob")))?;
        match u32::take(input)? {
            chunks if chunks == layout.chunks() => Ok(layout),
            _ => Err(input.error(Fault::Invalid("a chunk count that does not follow from the length"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    fn layout(plain_bytes: u64) -> ChunkLayout {
        ChunkLayout::of(plain_bytes).unwrap()
    }

    #[test]
    fn the_last_record_is_always_short_and_may_be_empty() {
        let cuts = [0, 1, 16383, 16384, 49151, 49152, 49153, 98304].map(|n| {
            let layout = layout(n);
            let last = layout.sealed_range(layout.chunks() - 1).unwrap();
            (layout.records(), layout.chunks(), last.len())
        });
        let expected = [
            (1, 1, 16),
            (1, 1, 17),
            (1, 1, 16399),
            (2, 1, 16416),
            (3, 1, 49199),
            (4, 2, 16),
            (4, 2, 17),
            (7, 3, 16),
        ];
        assert_eq!(cuts, expected);
    }

    #[test]
    fn chunks_cover_plaintext_and_sealed_bytes_without_gap_or_overlap() {
        for plain_bytes in [0, 1, 49151, 49152, 49153, 1_000_000] {
            let layout = layout(plain_bytes);
            let (mut plain, mut sealed) = (0, 0);
            for index in 0..layout.chunks() {
                let (p, s) = (layout.plain_range(index).unwrap(), layout.sealed_range(index).unwrap());
                assert_eq!((p.start, s.start), (plain, sealed));
                (plain, sealed) = (p.end, s.end);
            }
            assert_eq!((plain, sealed), (layout.plain_bytes(), layout.sealed_bytes()));
            assert_eq!(layout.plain_range(layout.chunks()), None);
            assert_eq!(layout.sealed_range(u32::MAX), None);
        }
    }

    #[test]
    fn a_layout_over_the_limit_or_with_a_wrong_count_is_refused() {
        assert!(ChunkLayout::of(BLOB_BYTES_MAX).is_ok());
        assert!(ChunkLayout::of(BLOB_BYTES_MAX + 1).is_err());
        let mut bytes = encode(&layout(49152));
        assert_eq!(decode(&bytes), Ok(layout(49152)));
        bytes[8] += 1;
        assert!(decode::<ChunkLayout>(&bytes).is_err());
        assert!(decode::<ChunkLayout>(&[0xff; 12]).is_err());
    }
}
