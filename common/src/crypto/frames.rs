//! A log at rest: each frame sealed by itself, under its number in the log.
//!
//! ```text
//! key (32) | base nonce (12) | commitment (32) = HKDF-Expand(log key, label || 0 || salt || context)
//! frame n = ChaCha20-Poly1305(key, base nonce XOR n, plaintext)
//! ```
//!
//! [`super::bulk`] seals its records as such frames. A log
//! that is opened again goes on under a new salt: a frame that was cut off by a crash has used its nonce.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::bulk::{Commitment, InputKey, Salt};
use super::label::Label;

/// Bytes that sealing adds to a frame.
pub const FRAME_TAG_BYTES: usize = 16;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The key of one log, or of one file of it. Erased when dropped.
pub struct FrameKey {
    cipher: ChaCha20Poly1305,
    base_nonce: [u8; NONCE_BYTES],
}

/// The frame is not what was sealed: altered, of another place, or of another log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame {number} is corrupt")]
pub struct CorruptFrame {
    /// Its number.
    pub number: u64,
}

impl FrameKey {
    /// The key under `salt` and `context`, and the commitment that whoever reads must find again.
    pub fn derive(log_key: &InputKey, label: Label, salt: &Salt, context: &[u8]) -> (Self, Commitment) {
        Self::expand(log_key, &[label.as_str().as_bytes(), &[0], salt, context])
    }

    /// Key, base nonce and commitment, expanded from `input_key` under `info`.
    pub(super) fn expand(input_key: &InputKey, info: &[&[u8]]) -> (Self, Commitment) {
        let mut material = Zeroizing::new([0; KEY_BYTES + NONCE_BYTES + size_of::<Commitment>()]);
        Hkdf::<Sha256>::from_prk(&input_key.0)
            .expect("32 bytes are a pseudorandom key of HKDF-SHA256")
            .expand_multi_info(info, material.as_mut_slice())
            .expect("76 bytes are far below the limit of HKDF-SHA256");
        let (key, rest) = material.split_at(KEY_BYTES);
        let (nonce, commitment) = rest.split_at(NONCE_BYTES);
        let cipher = ChaCha20Poly1305::new_from_slice(key).expect("the key has 32 bytes");
        let mut base_nonce = [0; NONCE_BYTES];
        base_nonce.copy_from_slice(nonce);
        (Self { cipher, base_nonce }, commitment.try_into().expect("32 bytes are left"))
    }

    /// The key for reading; `None` when it is not the key that `commitment` was made with.
    pub fn for_reading(
        log_key: &InputKey,
        label: Label,
        salt: &Salt,
        context: &[u8],
        commitment: &Commitment,
    ) -> Option<Self> {
        Self::committed(Self::derive(log_key, label, salt, context), commitment)
    }

    /// A derived key, if it is the one that `commitment` was made with.
    pub(super) fn committed((key, derived): (Self, Commitment), commitment: &Commitment) -> Option<Self> {
        bool::from(derived.ct_eq(commitment)).then_some(key)
    }

    /// Seals what begins at `from` in `frame`, in its place, and appends the tag. No number is used twice.
    ///
    /// # Panics
    ///
    /// When `from` lies behind the end, or the frame is over the 256 GB of the AEAD.
    pub fn seal(&self, number: u64, frame: &mut Vec<u8>, from: usize) {
        let tag = self.seal_detached(number, &mut frame[from..]);
        frame.extend_from_slice(&tag);
    }

    /// Seals a text in its place and returns the tag.
    pub(super) fn seal_detached(&self, number: u64, text: &mut [u8]) -> [u8; FRAME_TAG_BYTES] {
        let tag = self.cipher.encrypt_inout_detached(&self.nonce(number), &[], text.into());
        tag.expect("a text is far below the limit of the AEAD").into()
    }

    /// Opens a frame in its place and returns its plaintext.
    ///
    /// # Errors
    ///
    /// [`CorruptFrame`]; the bytes are of no use then.
    pub fn open<'f>(&self, number: u64, frame: &'f mut [u8]) -> Result<&'f [u8], CorruptFrame> {
        let corrupt = CorruptFrame { number };
        let (text, tag) = frame.split_last_chunk_mut::<FRAME_TAG_BYTES>().ok_or(corrupt)?;
        self.open_detached(number, (&mut *text).into(), *tag)?;
        Ok(text)
    }

    /// Opens a text from one place into another, or into the same.
    pub(super) fn open_detached(
        &self,
        number: u64,
        text: InOutBuf<'_, '_, u8>,
        tag: [u8; FRAME_TAG_BYTES],
    ) -> Result<(), CorruptFrame> {
        let opened = self.cipher.decrypt_inout_detached(&self.nonce(number), &[], text, &Tag::from(tag));
        opened.map_err(|_| CorruptFrame { number })
    }

    /// Base nonce XOR number, big-endian (C2SP chunked-encryption, "AEAD usage").
    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.base_nonce;
        for (byte, number) in nonce[NONCE_BYTES - 8..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        nonce.into()
    }
}

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(salt: u8, context: &[u8]) -> FrameKey {
        FrameKey::derive(&InputKey([1; 32]), Label::Spool, &[salt; 24], context).0
    }

    #[test]
    fn a_frame_opens_under_its_own_number_and_key_only() {
        let mut frame = b"headtext".to_vec();
        key(2, b"c").seal(7, &mut frame, 4);
        assert!(frame.starts_with(b"head") && !frame.windows(4).any(|window| window == b"text"));
        let open = |key: FrameKey, number| key.open(number, &mut frame.clone()[4..]).map(<[u8]>::to_vec);
        assert_eq!(open(key(2, b"c"), 7), Ok(b"text".to_vec()));
        for wrong in [open(key(2, b"c"), 8), open(key(3, b"c"), 7), open(key(2, b"d"), 7)] {
            assert!(wrong.is_err());
        }
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let key = key(2, b"c");
        let mut frame = b"text".to_vec();
        key.seal(0, &mut frame, 0);
        for bit in 0..frame.len() * 8 {
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(0, &mut changed), Err(CorruptFrame { number: 0 }));
        }
        for end in 0..frame.len() {
            assert!(key.open(0, &mut frame.clone()[..end]).is_err());
        }
    }

    #[test]
    fn reading_with_another_key_is_refused_at_once() {
        let (_, commitment) = FrameKey::derive(&InputKey([1; 32]), Label::Spool, &[2; 24], b"c");
        let read =
            |key| FrameKey::for_reading(&InputKey([key; 32]), Label::Spool, &[2; 24], b"c", &commitment);
        assert!(read(1).is_some() && read(2).is_none());
    }
}
