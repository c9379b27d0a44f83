//! Who signs: ECDSA P-256 with SHA-256, the signature that TPMs, PKCS#11 tokens and cloud KMS can hold.
//!
//! What is signed is the digest of `label || 0x00 || message`. Where the key lives is its [`Custody`]'s affair: a key in
//! memory signs deterministically (RFC 6979), a token as it likes. The smaller of the two values of `s` leaves;
//! verification takes either: never use a signature as an id or to tell messages apart.
//!
//! What comes from outside is verified by `ring`: a coordinator verifies each presence and each update, and the assembly
//! there is faster than what is portable.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};
use rand_core::CryptoRng;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use sha2::{Digest, Sha256};

use super::bulk::InputKey;
use super::custody::{Custody, CustodyError, SecretKey};
use super::label::Label;
use crate::id::NodeId;
use crate::wire::{Fault, Input, Wire, WireError};

/// Bytes of a compressed P-256 public key (SEC 1, section 2.3.3).
const PUBLIC_BYTES: usize = 33;

/// Before both coordinates of a point (SEC 1, section 2.3.3).
const SEC1_UNCOMPRESSED: u8 = 4;

/// What TLS 1.3 signs begins with this many spaces (RFC 8446, section 4.4.3), and no label begins with one.
const HANDSHAKE_SPACES: [u8; 64] = [b' '; 64];

/// The body of a certificate begins with this tag (X.690, section 8.9), and no label does: it is the digit 0.
const DER_SEQUENCE: u8 = 0x30;

/// The long-term secret key of a node or the coordinator, wherever it lives. Clones share it.
#[derive(Clone)]
pub struct Identity(Arc<dyn Custody>);

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
    /// A new identity, in memory.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        SecretKey::generate(rng).into()
    }

    /// The public half.
    pub fn public(&self) -> &PublicIdentity {
        self.0.public()
    }

    /// The id of this identity.
    pub fn node_id(&self) -> NodeId {
        self.public().node
    }

    /// Signs `message` for one purpose.
    ///
    /// # Errors
    ///
    /// [`CustodyError`] when the key cannot be used any more; nothing may be sent then.
    pub fn sign(&self, label: Label, message: &[u8]) -> Result<Signature, CustodyError> {
        let signature = self.0.sign(&digest(label, message))?;
        Ok(p256::ecdsa::Signature::from_slice(&signature.0)
            .map_or(signature, |signature| Signature(signature.normalize_s().to_bytes().into())))
    }

    /// Signs what TLS 1.3 puts into a `CertificateVerify`; the signature is DER, as TLS has it.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`].
    ///
    /// # Panics
    ///
    /// When it is anything else than that: it could be a message under a label.
    pub fn sign_handshake(&self, message: &[u8]) -> Result<Vec<u8>, CustodyError> {
        assert!(
            message.starts_with(&HANDSHAKE_SPACES),
            "only handshakes of TLS 1.3 are signed without a label"
        );
        self.sign_der(message)
    }

    /// Signs the body of an X.509 certificate (RFC 5280, section 4.1.1.3); the signature is DER.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`].
    ///
    /// # Panics
    ///
    /// When it is anything else than that: it could be a message under a label.
    pub fn sign_certificate(&self, body: &[u8]) -> Result<Vec<u8>, CustodyError> {
        assert!(body.first() == Some(&DER_SEQUENCE), "only certificates are signed without a label");
        self.sign_der(body)
    }

    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, CustodyError> {
        let Signature(signature) = self.0.sign(&Sha256::digest(message).into())?;
        let signature = p256::ecdsa::Signature::from_slice(&signature)
            .map_err(|_| CustodyError(format!("the key of {} gave no signature", self.node_id())))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    /// Encrypts another key, bound to `context`; see [`Custody::seal`].
    ///
    /// # Errors
    ///
    /// As [`Self::sign`].
    pub fn seal(
        &self,
        context: &[u8],
        key: &InputKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, CustodyError> {
        self.0.seal(context, key, rng)
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`], and when it is altered, of another identity or of another context.
    pub fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<InputKey, CustodyError> {
        self.0.unseal(context, sealed)
    }
}

impl<C: Custody + 'static> From<C> for Identity {
    fn from(custody: C) -> Self {
        Self(Arc::new(custody))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.node_id())
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

    /// From what [`Self::to_spki_der`] makes.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Public`] when that is not of a point of the curve.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, IdentityError> {
        VerifyingKey::from_public_key_der(der).map(Self::from).map_err(|_| IdentityError::Public)
    }

    /// The key, for a library that asks for it.
    pub(super) fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// From a compressed public key.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Public`] when the bytes are not a point of the curve.
    pub fn from_bytes(bytes: &[u8; PUBLIC_BYTES]) -> Result<Self, IdentityError> {
        VerifyingKey::from_sec1_bytes(bytes).map(Self::from).map_err(|_| IdentityError::Public)
    }

    /// From the coordinates of a point, big-endian, as tokens have them.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Public`] when the bytes are not a point of the curve.
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, IdentityError> {
        let point = [&[SEC1_UNCOMPRESSED][..], x, y].concat();
        VerifyingKey::from_sec1_bytes(&point).map(Self::from).map_err(|_| IdentityError::Public)
    }

    /// Checks that `signature` is this identity's, over `message`, for this purpose.
    ///
    /// # Errors
    ///
    /// [`BadSignature`] in every other case.
    pub fn verify(&self, label: Label, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let point = self.key.to_sec1_point(false);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_bytes());
        let signed = [label.as_str().as_bytes(), &[0], message].concat();
        key.verify(&signed, &signature.0).map_err(|_| BadSignature)
    }

    /// Checks that `signature`, in DER, is this identity's over the body of a certificate.
    ///
    /// # Errors
    ///
    /// [`BadSignature`] in every other case.
    pub fn verify_certificate(&self, body: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let point = self.key.to_sec1_point(false);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.as_bytes());
        key.verify(body, signature).map_err(|_| BadSignature)
    }

    /// Checks that `signature` is this identity's over a SHA-256 digest, as a token is asked for one.
    ///
    /// # Errors
    ///
    /// [`BadSignature`] in every other case.
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &Signature) -> Result<(), BadSignature> {
        let signature = p256::ecdsa::Signature::from_slice(&signature.0).map_err(|_| BadSignature)?;
        self.key.verify_prehash(digest, &signature).map_err(|_| BadSignature)
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

fn digest(label: Label, message: &[u8]) -> [u8; 32] {
    let digest = Sha256::new().chain_update(label.as_str()).chain_update([0]).chain_update(message);
    digest.finalize().into()
}

fn compressed(key: &VerifyingKey) -> [u8; PUBLIC_BYTES] {
    let point = key.to_sec1_point(true);
    point.as_bytes().try_into().expect("a compressed point of P-256 has 33 bytes")
}

#[cfg(test)]
mod tests;
