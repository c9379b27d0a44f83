//! What is moved: bytes that differ from blob to blob, made where they are needed at the speed of a copy, so that
//! neither end holds a second blob to compare with.

use common::crypto::Plain;
use common::limits::RECORD_PLAIN_BYTES;

/// A blob of a transfer: everything about it follows from these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    /// Which transfer.
    pub(crate) number: u64,
    /// Whose.
    pub(crate) sender: usize,
    /// How long.
    pub(crate) bytes: usize,
}

/// Bytes without a pattern, of which each record is a piece.
pub(crate) struct Noise(Vec<u8>);

impl Noise {
    pub(crate) fn new() -> Self {
        Self((0..2 * RECORD_PLAIN_BYTES as u64 / 8).flat_map(|word| mix(word).to_le_bytes()).collect())
    }

    /// Where in the noise the record of a blob begins.
    fn record(&self, blob: &Blob, record: usize) -> &[u8] {
        let salt = mix(blob.number ^ mix(blob.sender as u64 ^ mix(record as u64)));
        &self.0[salt as usize % RECORD_PLAIN_BYTES..]
    }

    /// The whole blob.
    pub(crate) fn fill(&self, blob: &Blob, out: &mut [u8]) {
        for (record, piece) in out.chunks_mut(RECORD_PLAIN_BYTES).enumerate() {
            piece.copy_from_slice(&self.record(blob, record)[..piece.len()]);
        }
    }

    /// Whether these bytes are the blob.
    pub(crate) fn is(&self, blob: &Blob, bytes: &[u8]) -> bool {
        let mut records = bytes.chunks(RECORD_PLAIN_BYTES).enumerate();
        bytes.len() == blob.bytes
            && records.all(|(record, piece)| self.record(blob, record).starts_with(piece))
    }

    /// Whether these bytes begin and end as the blob does: a look at what was verified otherwise.
    pub(crate) fn begins(&self, blob: &Blob, bytes: &[u8]) -> bool {
        let last = bytes.len().saturating_sub(1) / RECORD_PLAIN_BYTES;
        let is_record = |index: usize| {
            let piece = bytes.chunks(RECORD_PLAIN_BYTES).nth(index).unwrap_or_default();
            self.record(blob, index).starts_with(piece)
        };
        bytes.len() == blob.bytes && is_record(0) && is_record(last)
    }

    /// The blob as something to be sealed.
    pub(crate) fn plain(&self, blob: Blob) -> impl Plain + use<'_> {
        Source { noise: self, blob }
    }
}

struct Source<'n> {
    noise: &'n Noise,
    blob: Blob,
}

impl Plain for Source<'_> {
    fn bytes(&self) -> usize {
        self.blob.bytes
    }

    fn write(&self, offset: usize, out: &mut [u8]) {
        for (index, piece) in out.chunks_mut(RECORD_PLAIN_BYTES).enumerate() {
            let record = offset / RECORD_PLAIN_BYTES + index;
            piece.copy_from_slice(&self.noise.record(&self.blob, record)[..piece.len()]);
        }
    }
}

/// The finalizer of `SplitMix64`.
fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_recognised_and_no_other_is_taken_for_it() {
        let (noise, blob) = (Noise::new(), Blob { number: 3, sender: 1, bytes: 50_000 });
        let mut bytes = vec![0; blob.bytes];
        noise.fill(&blob, &mut bytes);
        assert!(noise.is(&blob, &bytes) && noise.begins(&blob, &bytes));
        assert!(!noise.begins(&Blob { number: 4, ..blob }, &bytes));
        assert!(!noise.is(&Blob { number: 4, ..blob }, &bytes));
        assert!(!noise.is(&Blob { sender: 2, ..blob }, &bytes));
        assert!(!noise.is(&blob, &bytes[1..]));
        bytes[49_999] ^= 1;
        assert!(!noise.is(&blob, &bytes));
    }

    #[test]
    fn what_is_sealed_a_record_at_a_time_is_the_blob() {
        let (noise, blob) = (Noise::new(), Blob { number: 1, sender: 0, bytes: 40_000 });
        let mut bytes = vec![0; blob.bytes];
        for (index, piece) in bytes.chunks_mut(RECORD_PLAIN_BYTES).enumerate() {
            noise.plain(blob).write(index * RECORD_PLAIN_BYTES, piece);
        }
        assert!(noise.is(&blob, &bytes));
    }
}
