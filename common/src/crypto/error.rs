//! Why a sealed value was refused, or could not be made.

use super::custody::CustodyError;
use super::identity::BadSignature;
use super::layout::TooLarge;
use super::suite::OtherSuite;
use crate::id::NodeId;

/// A sealed value or a wrapped key that does not open. What the peer got wrong, as precisely as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The manifest's signature is not its sender's over these bytes.
    #[error("the signature does not verify")]
    BadSignature,
    /// The manifest, or the key package in it, names another sender than the identity that signed.
    #[error("signed by {signer:?}, but names {named:?} as its sender")]
    WrongSender {
        /// Whose signature was checked.
        signer: NodeId,
        /// Who is named.
        named: NodeId,
    },
    /// Of another suite than ours. Told before any of its keys is used.
    #[error(transparent)]
    WrongSuite(#[from] OtherSuite),
    /// Sealed to another recipient: to the group and not to us alone, to us and not to the group, or
    /// to somebody else.
    #[error("sealed to another recipient")]
    WrongRecipient,
    /// The X25519 exchange gave the all-zero secret (RFC 9180, section 7.1.4): the peer's key is no key.
    #[error("the key exchange gave no secret")]
    BadExchange,
    /// This key does not open it: another epoch's key, another header, or another recipient's.
    #[error("sealed with another key or under another header")]
    WrongKey,
    /// There is no such chunk in this value.
    #[error("chunk {chunk} of {chunks}")]
    NoSuchChunk {
        /// The index given.
        chunk: u32,
        /// How many chunks there are.
        chunks: u32,
    },
    /// The chunk is not as long as it must be at this index of a plaintext of this length.
    #[error("chunk {chunk} has {found} bytes, not {expected}")]
    WrongLength {
        /// The index of the chunk.
        chunk: u32,
        /// Sealed bytes it must have.
        expected: usize,
        /// Sealed bytes it has.
        found: usize,
    },
    /// The chunk fails authentication: altered, or of another place or value.
    #[error("chunk {chunk} is corrupt")]
    Corrupt {
        /// The index of the chunk.
        chunk: u32,
    },
    /// The chunk was opened before.
    #[error("chunk {chunk} was opened before")]
    Repeated {
        /// The index of the chunk.
        chunk: u32,
    },
    /// Chunks are missing.
    #[error("{missing} chunks are missing")]
    Incomplete {
        /// How many.
        missing: u32,
    },
    /// Every chunk opened, but together they are not what the sender signed: some member of the group
    /// put in a chunk of its own.
    #[error("the chunks are not those that were signed")]
    RootMismatch,
}

impl From<BadSignature> for OpenError {
    fn from(_: BadSignature) -> Self {
        Self::BadSignature
    }
}

/// A value that cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext is over the limit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The recipient's package is of another suite.
    #[error(transparent)]
    WrongSuite(#[from] OtherSuite),
    /// The recipient's package holds a public key that agrees on no secret.
    #[error("the key package of {node:?} holds no usable public key")]
    BadPackage {
        /// Whose package.
        node: NodeId,
    },
    /// The sender's own key cannot be used any more: nothing of it may leave.
    #[error(transparent)]
    Unsigned(#[from] CustodyError),
}
