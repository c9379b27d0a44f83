//! Where a long-term key lives: in memory, or in a token that it never leaves.
//!
//! What reads files and speaks with tokens is the crate `custody`; here is what its backends have in common, and the
//! one that touches nothing, [`SecretKey`].

mod memory;

use std::fmt;

use rand_core::CryptoRng;

use super::bulk::InputKey;
use super::identity::{PublicIdentity, Signature};

pub use memory::SecretKey;

/// Holds a long-term key and uses it, and never gives it out.
pub trait Custody: fmt::Debug + Send + Sync {
    /// The public half.
    fn public(&self) -> &PublicIdentity;

    /// Signs a SHA-256 digest.
    ///
    /// # Errors
    ///
    /// [`CustodyError`] when the key cannot be reached any more, or does not do as it should.
    fn sign(&self, digest: &[u8; 32]) -> Result<Signature, CustodyError>;

    /// Encrypts another key, so that only this custody opens it again, and only under the same context.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`].
    fn seal(
        &self,
        context: &[u8],
        key: &InputKey,
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CustodyError>;

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`], and when it is altered, of another key or of another context.
    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<InputKey, CustodyError>;
}

/// A long-term key that cannot be used. Names the key and its place, and says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CustodyError(pub String);
