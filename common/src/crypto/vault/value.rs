//! Values that a database holds: each sealed by itself, bound to its place.

use std::fmt;

use rand_core::CryptoRng;

use super::{TenantKey, VaultError};
use crate::crypto::bulk::{Commitment, InputKey, Salt};
use crate::crypto::frames::{FRAME_TAG_BYTES, FrameKey};
use crate::crypto::label::Label;

/// Bytes that sealing adds to a value.
const OVERHEAD_BYTES: usize = size_of::<Salt>() + size_of::<Commitment>() + FRAME_TAG_BYTES;

/// The data key of a database: it stands in it, wrapped.
pub struct ValueKey(InputKey);

impl ValueKey {
    /// A new key for the database of this name, and how it is stored.
    pub fn generate(tenant: &TenantKey, name: &str, random: &mut dyn CryptoRng) -> (Self, Vec<u8>) {
        let key = TenantKey::draw(random);
        let wrapped = tenant.wrap(name, &key, random);
        (Self(key), wrapped)
    }

    /// The key of a database, as it was stored.
    ///
    /// # Errors
    ///
    /// [`VaultError`].
    pub fn open(tenant: &TenantKey, name: &str, wrapped: &[u8]) -> Result<Self, VaultError> {
        tenant.unwrap_key(name, wrapped).map(Self)
    }

    /// Seals a value for its place: table and key.
    pub fn seal_value(&self, place: &[u8], plain: &[u8], random: &mut dyn CryptoRng) -> Vec<u8> {
        let mut salt: Salt = [0; size_of::<Salt>()];
        random.fill_bytes(&mut salt);
        let (frames, commitment) = FrameKey::derive(&self.0, Label::Value, &salt, place);
        let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD_BYTES);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(&commitment);
        let from = sealed.len();
        sealed.extend_from_slice(plain);
        frames.seal(0, &mut sealed, from);
        sealed
    }

    /// Opens the value of a place.
    ///
    /// # Errors
    ///
    /// [`VaultError::WrongLength`], [`VaultError::WrongKey`] for the value of another place, or
    /// [`VaultError::Altered`].
    pub fn open_value(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let cut = || VaultError::WrongLength { expected: OVERHEAD_BYTES as u64, found: sealed.len() as u64 };
        let (salt, rest) = sealed.split_first_chunk().ok_or_else(cut)?;
        let (commitment, frame) = rest.split_first_chunk().ok_or_else(cut)?;
        let frames = FrameKey::for_reading(&self.0, Label::Value, salt, place, commitment)
            .ok_or(VaultError::WrongKey)?;
        let mut plain = frame.to_vec();
        frames.open(0, &mut plain).map_err(|_| VaultError::Altered { chunk: 0, chunks: 1 })?;
        plain.truncate(frame.len() - FRAME_TAG_BYTES);
        Ok(plain)
    }
}

impl fmt::Debug for ValueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueKey(..)")
    }
}
