//! Data at rest: files and values, each under a key of its own, which a tenant's key wraps. Whoever destroys that one
//! key destroys them all.
//!
//! ```text
//! tenant key (32), sealed by the custody of an identity
//! wrapped = "STVAULT1" | tenant (32) | name (length u8, text)                         the place of the file
//!         | salt (24) | commitment (32) | frame 0 of the data key (48)                under the tenant key, see `frames`
//! file    = wrapped | salt (24) | commitment (32) | plain bytes (u64) | chunks        under the data key, see `bulk`
//! value   = salt (24) | commitment (32) | frame 0 of the value                        under a data key that many share
//! ```
//!
//! A name is part of what is sealed, so a file does not open in another one's place, and neither does a value. The length
//! is too, and a chunk knows its place: what is cut, exchanged or altered is refused, and [`VaultError`] says what is wrong
//! as precisely as can be known. What nothing in a file can tell is whether it is the newest that was written under its
//! name: that is told by what names it, a hash or a mark.

mod file;
mod value;

pub use file::{Opening, Sealing};
pub use value::ValueKey;

use std::fmt;
use std::io;

use rand_core::CryptoRng;

use super::bulk::{Commitment, InputKey, Salt};
use super::frames::{FRAME_TAG_BYTES, FrameKey};
use super::label::Label;
use crate::id::TenantId;

const MAGIC: [u8; 8] = *b"STVAULT1";

/// Bytes of the magic, of the tenant and of the name's length.
const HEAD_BYTES: usize = MAGIC.len() + size_of::<TenantId>() + 1;

/// Bytes of a data key after the head and the name.
const SEALED_KEY_BYTES: usize =
    size_of::<Salt>() + size_of::<Commitment>() + size_of::<InputKey>() + FRAME_TAG_BYTES;

/// The key that wraps the keys of all data of a tenant in one folder.
pub struct TenantKey {
    tenant: TenantId,
    key: InputKey,
}

/// Why something at rest does not open. Who reads a file adds its path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Something else, or of a version that did not seal.
    #[error("it is not sealed: another version or another program wrote it")]
    NotSealed,
    /// Sealed for another tenant.
    #[error("it is of another tenant")]
    OtherTenant,
    /// The file of another place, put here.
    #[error("it is the file of `{found}`, put in another's place")]
    Swapped {
        /// Its own name.
        found: String,
    },
    /// Sealed under a tenant key that is not this one.
    #[error("it is sealed under another tenant key, or its header is altered")]
    WrongKey,
    /// It has another length than its header says.
    #[error("it has {found} bytes and not {expected}: it is cut short or something was appended")]
    WrongLength {
        /// Bytes that it must have; at least, where the header itself is cut.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// One chunk fails authentication.
    #[error("chunk {chunk} of {chunks} is altered, or of another place")]
    Altered {
        /// Its index.
        chunk: u32,
        /// How many there are.
        chunks: u32,
    },
}

impl VaultError {
    /// What made a read fail, if it was this.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

impl From<VaultError> for io::Error {
    fn from(error: VaultError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl TenantKey {
    /// A tenant's key.
    pub fn new(tenant: TenantId, key: InputKey) -> Self {
        Self { tenant, key }
    }

    /// Wraps the key of what has this name.
    ///
    /// # Panics
    ///
    /// When the name has more than 255 bytes.
    pub fn wrap(&self, name: &str, data: &InputKey, random: &mut dyn CryptoRng) -> Vec<u8> {
        let mut wrapped = self.head(name);
        let mut salt: Salt = [0; size_of::<Salt>()];
        random.fill_bytes(&mut salt);
        let (frames, commitment) = FrameKey::derive(&self.key, Label::Vault, &salt, &wrapped);
        // At once as large as it becomes: a buffer that grew would leave a copy of the key behind.
        wrapped.reserve_exact(SEALED_KEY_BYTES);
        wrapped.extend_from_slice(&salt);
        wrapped.extend_from_slice(&commitment);
        let from = wrapped.len();
        wrapped.extend_from_slice(&data.0);
        frames.seal(0, &mut wrapped, from);
        wrapped
    }

    /// The key that [`Self::wrap`] wrapped for this name.
    ///
    /// # Errors
    ///
    /// [`VaultError`].
    pub fn unwrap_key(&self, name: &str, wrapped: &[u8]) -> Result<InputKey, VaultError> {
        let expected = self.head(name);
        let wrong_length = || VaultError::WrongLength {
            expected: (expected.len() + SEALED_KEY_BYTES) as u64,
            found: wrapped.len() as u64,
        };
        let (head, rest) = wrapped.split_first_chunk::<HEAD_BYTES>().ok_or_else(wrong_length)?;
        let name_bytes = self.name_bytes(head)?;
        let (found, sealed) = rest.split_at_checked(name_bytes).ok_or_else(wrong_length)?;
        if found != name.as_bytes() {
            return Err(VaultError::Swapped { found: String::from_utf8_lossy(found).into_owned() });
        }
        let (salt, rest) = sealed.split_first_chunk().ok_or_else(wrong_length)?;
        let (commitment, frame) = rest.split_first_chunk().ok_or_else(wrong_length)?;
        let mut frame: [u8; size_of::<InputKey>() + FRAME_TAG_BYTES] =
            frame.try_into().map_err(|_| wrong_length())?;
        let frames = FrameKey::for_reading(&self.key, Label::Vault, salt, &expected, commitment)
            .ok_or(VaultError::WrongKey)?;
        let key = frames.open(0, &mut frame).map_err(|_| VaultError::WrongKey)?;
        Ok(InputKey(key.try_into().expect("a frame of this length is a key")))
    }

    /// A new data key.
    fn draw(random: &mut dyn CryptoRng) -> InputKey {
        let mut key = InputKey([0; 32]);
        random.fill_bytes(&mut key.0);
        key
    }

    fn head(&self, name: &str) -> Vec<u8> {
        let name_bytes = u8::try_from(name.len()).expect("names of files are short");
        let mut head = Vec::with_capacity(HEAD_BYTES + name.len() + SEALED_KEY_BYTES);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&self.tenant.0);
        head.push(name_bytes);
        head.extend_from_slice(name.as_bytes());
        head
    }

    /// Bytes of the name that comes after this head.
    fn name_bytes(&self, head: &[u8; HEAD_BYTES]) -> Result<usize, VaultError> {
        let (magic, rest) = head.split_at(MAGIC.len());
        let (tenant, name_bytes) = rest.split_at(size_of::<TenantId>());
        if magic != MAGIC {
            return Err(VaultError::NotSealed);
        }
        if tenant != self.tenant.0 {
            return Err(VaultError::OtherTenant);
        }
        Ok(usize::from(name_bytes[0]))
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantKey({:?})", self.tenant)
    }
}

#[cfg(test)]
mod tests;
