//! Who signs: ECDSA P-256 with SHA-256, the signature that TPMs, PKCS#11 tokens and cloud KMS can hold.
//!
//! What is signed is `label || 0x00 || message`. Signing is deterministic (RFC 6979), so it needs no
//! randomness, and leaves the smaller of the two values of `s`. Verification takes either, because a
//! hardware token gives either: never use a signature as an id or to tell messages apart.

use std::fmt;
use std::str::FromStr;

use p256::ecdsa::signature::{MultipartSigner, MultipartVerifier};
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::elliptic_curve::Generate;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::label::Label;
use crate::id::NodeId;
use crate::wire::{Fault, Input, Wire, WireError};

/// Bytes of a compressed P-256 public key (SEC 1, section 2.3.3).
const PUBLIC_BYTES: usize = 33;

/// The long-term secret key of a node or the coordinator. It signs and does nothing else; the
/// scalar is erased when it is dropped.
pub struct Identity {
    key: SigningKey,
    public: PublicIdentity,
}

/// The public half of an [`Identity`], printed and read as 66 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicIdentity {
    key: VerifyingKey,
    node: NodeId,
}

/// An ECDSA P-256 signature: `r || s`, 32 bytes each, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// The signature is not by this identity over this message under this label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not a PKCS#8 PEM file of a P-256 private key.
    #[error("not a P-256 private key in PKCS#8 PEM")]
    Pem,
    /// Not the hex digits of a compressed point of the curve.
    #[error("a public identity is written as 66 hex digits, the compressed P-256 public key")]
    Public,
}

impl Identity {
    /// A new identity.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        SigningKey::generate_from_rng(rng).into()
    }

    /// From the text of a PKCS#8 PEM file (RFC 5958, RFC 7468).
    ///
    /// # Errors
    ///
    /// [`IdentityError::Pem`] when it holds anything but a P-256 private key.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, IdentityError> {
        SigningKey::from_pkcs8_pem(pem).map(Self::from).map_err(|_| IdentityError::Pem)
    }

    /// The text of a PKCS#8 PEM file. It is secret, and erased when dropped.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        self.key.to_pkcs8_pem(LineEnding::LF).expect("a P-256 key has a PKCS#8 encoding")
    }

    /// The public half.
    pub fn public(&self) -> &PublicIdentity {
        &self.public
    }

    /// The id of this identity.
    pub fn node_id(&self) -> NodeId {
        self.public.node
    }

    /// Signs `message` for one purpose.
    pub fn sign(&self, label: Label, message: &[u8]) -> Signature {
        let signature: p256::ecdsa::Signature = self.key.multipart_sign(&signed_parts(label, message));
        Signature(signature.normalize_s().to_bytes().into())
    }
}

impl From<SigningKey> for Identity {
    fn from(key: SigningKey) -> Self {
        let public = PublicIdentity::from(*key.verifying_key());
        Self { key, public }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.public.node)
    }
}

impl PublicIdentity {
    /// SHA-256 of the compressed public key.
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// The compressed public key (SEC 1, section 2.3.3).
    pub fn to_bytes(&self) -> [u8; PUBLIC_BYTES] {
        compressed(&self.key)
    }

    /// The `SubjectPublicKeyInfo` (RFC 5480) that TLS sends as a raw public key (RFC 7250).
    pub fn to_spki_der(&self) -> Vec<u8> {
        self.key.to_public_key_der().expect("a P-256 key has an encoding").into_vec()
    }

    /// From a compressed public key.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Public`] when the bytes are not a point of the curve.
    pub fn from_bytes(bytes: &[u8; PUBLIC_BYTES]) -> Result<Self, IdentityError> {
        VerifyingKey::from_sec1_bytes(bytes).map(Self::from).map_err(|_| IdentityError::Public)
    }

    /// Checks that `signature` is this identity's, over `message`, for this purpose.
    ///
    /// # Errors
    ///
    /// [`BadSignature`] in every other case.
    pub fn verify(&self, label: Label, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = p256::ecdsa::Signature::from_slice(&signature.0).map_err(|_| BadSignature)?;
        self.key.multipart_verify(&signed_parts(label, message), &signature).map_err(|_| BadSignature)
    }
}

impl From<VerifyingKey> for PublicIdentity {
    fn from(key: VerifyingKey) -> Self {
        Self { key, node: NodeId(Sha256::digest(compressed(&key)).into()) }
    }
}

impl fmt::Display for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicIdentity({:?})", self.node)
    }
}

impl FromStr for PublicIdentity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let mut bytes = [0; PUBLIC_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| IdentityError::Public)?;
        Self::from_bytes(&bytes)
    }
}

impl Wire for PublicIdentity {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_bytes().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let bytes = Wire::take(input)?;
        Self::from_bytes(&bytes).map_err(|_| input.error(Fault::Invalid("not a point of P-256")))
    }
}

impl Wire for Signature {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Wire::take(input).map(Self)
    }
}

fn signed_parts(label: Label, message: &[u8]) -> [&[u8]; 3] {
    [label.as_str().as_bytes(), &[0], message]
}

fn compressed(key: &VerifyingKey) -> [u8; PUBLIC_BYTES] {
    let point = key.to_sec1_point(true);
    point.as_bytes().try_into().expect("a compressed point of P-256 has 33 bytes")
}

#[cfg(test)]
mod tests;
