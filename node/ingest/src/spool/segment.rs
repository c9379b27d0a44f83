//! One file of a spool: a header, then sealed frames. Read and written here as bytes.
//!
//! ```text
//! header   "STSPOOL1" | segment (u64) | salt (24) | commitment (32)
//! frame    sealed bytes (u32) | sealed entry                            integers little-endian
//! ```

use common::crypto::bulk::{Commitment, InputKey, Salt};
use common::crypto::frames::FRAME_TAG_BYTES;
use common::crypto::{FrameKey, Label};
use common::id::TenantId;
use common::wire;

use super::entry::Entry;
use crate::limits::{ENTRY_BODY_BYTES_MAX, ENTRY_HEAD_BYTES_MAX};

const MAGIC: [u8; 8] = *b"STSPOOL1";

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 8 + 8 + 24 + 32;

/// Bytes before a frame that say how long it is.
pub(super) const LENGTH_BYTES: usize = 4;

/// Bytes of the longest sealed frame.
pub(super) const FRAME_BYTES_MAX: usize = ENTRY_HEAD_BYTES_MAX + ENTRY_BODY_BYTES_MAX + FRAME_TAG_BYTES;

/// The key of a spool, and the tenant whose entries it seals: each segment has a key derived from both.
#[derive(Debug)]
pub struct SpoolKey {
    /// The key of the spool.
    pub key: InputKey,
    /// Whose entries.
    pub tenant: TenantId,
}

impl Clone for SpoolKey {
    fn clone(&self) -> Self {
        Self { key: InputKey(self.key.0), tenant: self.tenant }
    }
}

/// Why the header of a segment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The file is shorter than a header.
    #[error("the header is cut short")]
    Short,
    /// The file is something else, or of another version.
    #[error("this is no segment of a spool")]
    Unknown,
    /// The file was renamed, or written with another key.
    #[error("written with another key, for another tenant, or under another name")]
    WrongKey,
}

/// A new segment's header and key.
pub(super) fn begin(spool: &SpoolKey, segment: u64, salt: &Salt) -> (Vec<u8>, FrameKey) {
    let (key, commitment) = FrameKey::derive(&spool.key, Label::Spool, salt, &context(spool, segment));
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&segment.to_le_bytes());
    header.extend_from_slice(salt);
    header.extend_from_slice(&commitment);
    (header, key)
}

/// The key of a segment that has this header.
pub(super) fn open(spool: &SpoolKey, segment: u64, header: &[u8]) -> Result<FrameKey, HeaderFault> {
    let header: &[u8; HEADER_BYTES] =
        header.get(..HEADER_BYTES).and_then(|header| header.try_into().ok()).ok_or(HeaderFault::Short)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    let (number, rest) = rest.split_at(8);
    let (salt, commitment) = rest.split_at(size_of::<Salt>());
    if magic != MAGIC {
        return Err(HeaderFault::Unknown);
    }
    let salt: &Salt = salt.try_into().map_err(|_| HeaderFault::Short)?;
    let commitment: &Commitment = commitment.try_into().map_err(|_| HeaderFault::Short)?;
    let key = FrameKey::for_reading(&spool.key, Label::Spool, salt, &context(spool, segment), commitment);
    key.filter(|_| number == segment.to_le_bytes()).ok_or(HeaderFault::WrongKey)
}

/// Appends an entry as the frame of this number.
pub(super) fn put(key: &FrameKey, number: u64, entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    wire::Wire::put(entry, out);
    key.seal(number, out, start + LENGTH_BYTES);
    let length = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// How long the sealed frame is that these bytes begin; `None` when no frame is.
pub(super) fn frame_bytes(length: [u8; LENGTH_BYTES]) -> Option<usize> {
    let bytes = u32::from_le_bytes(length) as usize;
    (FRAME_TAG_BYTES..=FRAME_BYTES_MAX).contains(&bytes).then_some(bytes)
}

/// The entry in a sealed frame; `None` when it is damaged. The frame is overwritten.
pub(super) fn take(key: &FrameKey, number: u64, frame: &mut [u8]) -> Option<Entry> {
    wire::decode(key.open(number, frame).ok()?).ok()
}

/// What a segment must not be separated from: its tenant and its number.
fn context(spool: &SpoolKey, segment: u64) -> [u8; 24] {
    let mut context = [0; 24];
    context[..16].copy_from_slice(&spool.tenant.0);
    context[16..].copy_from_slice(&segment.to_le_bytes());
    context
}

#[cfg(test)]
mod tests {
    use super::super::entry::sample;
    use super::*;

    const KEY: SpoolKey = SpoolKey { key: InputKey([1; 32]), tenant: TenantId([1; 16]) };

    #[test]
    fn frames_are_read_back_in_their_order_only() {
        let (header, key) = begin(&KEY, 5, &[2; 24]);
        let mut bytes = Vec::new();
        put(&key, 0, &sample(b"first"), &mut bytes);
        let second = bytes.len();
        put(&key, 1, &sample(b"second"), &mut bytes);
        let key = open(&KEY, 5, &header).unwrap();
        let frame = |at: usize| {
            let (length, rest) = bytes[at..].split_first_chunk().unwrap();
            rest[..frame_bytes(*length).unwrap()].to_vec()
        };
        assert_eq!(take(&key, 0, &mut frame(0)), Some(sample(b"first")));
        assert_eq!(take(&key, 1, &mut frame(second)), Some(sample(b"second")));
        assert_eq!(take(&key, 0, &mut frame(second)), None);
    }

    #[test]
    fn a_segment_under_another_name_tenant_or_key_is_refused() {
        let (header, _) = begin(&KEY, 5, &[2; 24]);
        assert_eq!(open(&KEY, 6, &header).unwrap_err(), HeaderFault::WrongKey);
        let other_key = SpoolKey { key: InputKey([2; 32]), ..KEY };
        let other_tenant = SpoolKey { tenant: TenantId([2; 16]), ..KEY };
        assert_eq!(open(&other_key, 5, &header).unwrap_err(), HeaderFault::WrongKey);
        assert_eq!(open(&other_tenant, 5, &header).unwrap_err(), HeaderFault::WrongKey);
        assert_eq!(open(&KEY, 5, &header[1..]).unwrap_err(), HeaderFault::Short);
        assert_eq!(open(&KEY, 5, &[0; HEADER_BYTES]).unwrap_err(), HeaderFault::Unknown);
    }
}
