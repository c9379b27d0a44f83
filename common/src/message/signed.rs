//! A control message under its sender's signature.

use crate::crypto::{CustodyError, Identity, Label, PublicIdentity, Signature};
use crate::id::NodeId;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::wire::{self, Input, Wire, WireError};

/// A message whose signature was checked, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<T> {
    /// Who signed it.
    pub signer: NodeId,
    /// What was signed.
    pub body: T,
}

/// Bytes that are not a message from someone we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Longer than any message.
    #[error("{0} bytes are more than a message may have")]
    TooLong(usize),
    /// Not the encoding of such a message.
    #[error("not a message of this kind: {0}")]
    Malformed(#[from] WireError),
    /// Signed by a key that is not on the list.
    #[error("unknown sender {0}")]
    UnknownSender(NodeId),
    /// The signature does not verify.
    #[error("wrong signature in the name of {0}")]
    WrongSignature(NodeId),
}

impl<T: Wire> Signed<T> {
    /// Encodes and signs a message.
    ///
    /// # Errors
    ///
    /// [`CustodyError`] when the key cannot be used any more; then there is no message.
    pub fn seal(identity: &Identity, label: Label, body: &T) -> Result<Vec<u8>, CustodyError> {
        let signer = identity.node_id();
        let mut bytes = wire::encode(&signer);
        body.put(&mut bytes);
        let Signature(signature) = identity.sign(label, &bytes)?;
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }

    /// What a message says and whom it names as its signer. Nobody has checked that: it tells only whether a look at the
    /// signature is worth while.
    ///
    /// # Errors
    ///
    /// [`SignedError`] when it is no message of this kind.
    pub fn claimed(bytes: &[u8]) -> Result<Self, SignedError> {
        let (signer, body, _) = parts(bytes)?;
        Ok(Self { signer, body: wire::decode(body)? })
    }

    /// Checks a message: cheap refusals first, the signature, and only then the body.
    ///
    /// # Errors
    ///
    /// [`SignedError`] names the sender where there is one.
    pub fn open<'k>(
        bytes: &[u8],
        label: Label,
        key_of: impl FnOnce(NodeId) -> Option<&'k PublicIdentity>,
    ) -> Result<Self, SignedError> {
        let (signer, body, signature) = parts(bytes)?;
        let key = key_of(signer).ok_or(SignedError::UnknownSender(signer))?;
        key.verify(label, &bytes[..bytes.len() - 64], &signature)
            .map_err(|_| SignedError::WrongSignature(signer))?;
        Ok(Self { signer, body: wire::decode(body)? })
    }
}

/// Signer, body and signature.
fn parts(bytes: &[u8]) -> Result<(NodeId, &[u8], Signature), SignedError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(SignedError::TooLong(bytes.len()));
    }
    let mut input = Input::new(bytes);
    let signer = NodeId::take(&mut input)?;
    let length = input.rest().len().checked_sub(64).ok_or(input.error(wire::Fault::Short))?;
    let body = input.slice(length)?;
    Ok((signer, body, Signature(Wire::take(&mut input)?)))
}
