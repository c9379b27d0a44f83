//! Bulk encryption: C2SP chunked-encryption with HKDF-SHA256-Expand and `AEAD_CHACHA20_POLY1305`
//! (<https://c2sp.org/chunked-encryption>).
//!
//! The specification leaves hash and AEAD to the application; its two named instantiations take SHA-512 and
//! AES-GCM. ChaCha20-Poly1305 is as fast on every processor, and SHA-256 is what HPKE uses already.
//!
//! Two things differ from the specification's own framing: salt and commitment travel in the manifest
//! and not before the ciphertext, and three records travel together as one chunk. Any chunk opens on
//! arrival, in any order, into its place of the plaintext.

use std::fmt;

use chacha20poly1305::aead::inout::InOutBuf;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::error::OpenError;
use super::frames::FrameKey;
use super::layout::ChunkLayout;
use super::plain::Plain;
use crate::limits::{CHUNK_PLAIN_BYTES, CHUNK_RECORDS, RECORD_PLAIN_BYTES, RECORD_TAG_BYTES};

/// The name of the AEAD in the IANA registry.
const AEAD: &str = "AEAD_CHACHA20_POLY1305";

const RECORD_SEALED_BYTES: usize = RECORD_PLAIN_BYTES + RECORD_TAG_BYTES;

/// 24 random bytes, never used twice with one input key. Also serves as the id of a message.
pub type Salt = [u8; 24];

/// Binds a ciphertext to one key and one context, which the AEAD alone would not.
pub type Commitment = [u8; 32];

/// Uniformly random key material from which the key of one message is derived.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct InputKey(pub [u8; 32]);

/// The key of one message. Erased when dropped.
pub struct BulkKey {
    key: FrameKey,
    layout: ChunkLayout,
}

impl BulkKey {
    /// The key for a message of this layout, and the commitment that its receiver must find again.
    ///
    /// `context` is whatever the message must not be separated from: here the encoded header.
    pub fn derive(
        input_key: &InputKey,
        salt: &Salt,
        context: &[u8],
        layout: ChunkLayout,
    ) -> (Self, Commitment) {
        let info: [&[u8]; 5] = [b"c2sp.org/chunked-encryption@v1+", AEAD.as_bytes(), &[0], salt, context];
        let (key, commitment) = FrameKey::expand(input_key, &info);
        (Self { key, layout }, commitment)
    }

    /// The key for opening: derived again, and checked against the commitment.
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongKey`] when key, salt, context or commitment is another than in sealing.
    pub fn for_opening(
        input_key: &InputKey,
        salt: &Salt,
        context: &[u8],
        layout: ChunkLayout,
        commitment: &Commitment,
    ) -> Result<Self, OpenError> {
        let (Self { key, .. }, derived) = Self::derive(input_key, salt, context, layout);
        let key = FrameKey::committed((key, derived), commitment).ok_or(OpenError::WrongKey)?;
        Ok(Self { key, layout })
    }

    /// How the message is cut.
    pub fn layout(&self) -> ChunkLayout {
        self.layout
    }

    /// Seals one chunk of `plain`, the plaintext of the whole message.
    ///
    /// # Panics
    ///
    /// When there is no such chunk, or the lengths are not those of the layout.
    pub fn seal_chunk(&self, index: u32, plain: &(impl Plain + ?Sized), sealed: &mut [u8]) {
        assert_eq!(self.layout.plain_bytes(), plain.bytes());
        assert_eq!(self.layout.sealed_range(index).map(|range| range.len()), Some(sealed.len()));
        let start = index as usize * CHUNK_PLAIN_BYTES;
        for (place, record) in sealed.chunks_mut(RECORD_SEALED_BYTES).enumerate() {
            let (text, tag) = record.split_last_chunk_mut().expect("every record has a tag");
            plain.write(start + place * RECORD_PLAIN_BYTES, text);
            *tag = self.key.seal_detached(record_number(index, place), text);
        }
    }

    /// Opens one chunk into its plaintext. When it fails, `plain` is all zeros.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoSuchChunk`], [`OpenError::WrongLength`] or [`OpenError::Corrupt`].
    ///
    /// # Panics
    ///
    /// When `plain` is not as long as the layout says.
    pub fn open_chunk(&self, index: u32, sealed: &[u8], plain: &mut [u8]) -> Result<(), OpenError> {
        let expected = self.sealed_bytes(index)?;
        if sealed.len() != expected {
            return Err(OpenError::WrongLength { chunk: index, expected, found: sealed.len() });
        }
        assert_eq!(self.layout.plain_range(index).map(|range| range.len()), Some(plain.len()));
        let mut rest = &mut *plain;
        for (place, record) in sealed.chunks(RECORD_SEALED_BYTES).enumerate() {
            let (text, tag) = record.split_last_chunk().expect("every record has a tag");
            let (out, after) = rest.split_at_mut(text.len());
            rest = after;
            let buffer = InOutBuf::new(text, out).expect("both were cut to one length");
            if self.key.open_detached(record_number(index, place), buffer, *tag).is_err() {
                plain.fill(0);
                return Err(OpenError::Corrupt { chunk: index });
            }
        }
        Ok(())
    }

    fn sealed_bytes(&self, index: u32) -> Result<usize, OpenError> {
        let range = self.layout.sealed_range(index);
        let chunks = self.layout.chunks();
        range.map(|range| range.len()).ok_or(OpenError::NoSuchChunk { chunk: index, chunks })
    }
}

/// The number of a record in its message.
fn record_number(chunk: u32, place: usize) -> u64 {
    u64::from(chunk) * CHUNK_RECORDS as u64 + place as u64
}

impl fmt::Debug for InputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InputKey(..)")
    }
}

impl fmt::Debug for BulkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BulkKey({} bytes)", self.layout.plain_bytes())
    }
}

#[cfg(test)]
mod tests;
