//! A key in the memory of this process, read from a file that was opened.

use std::fmt;

use hkdf::Hkdf;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Custody, CustodyError};
use crate::crypto::bulk::{Commitment, InputKey, Salt};
use crate::crypto::frames::FrameKey;
use crate::crypto::identity::{IdentityError, PublicIdentity, Signature};
use crate::crypto::label::Label;

/// A secret key in memory; the scalar is erased when it is dropped.
///
/// Signing is deterministic (RFC 6979). Keys are sealed under one that is derived from the scalar:
///
/// ```text
/// input key = HKDF-Extract("starling v1 custody", scalar)
/// sealed    = salt (24) | commitment (32) | frame 0 of the key (48), see `frames`
/// ```
pub struct SecretKey {
    key: SigningKey,
    public: PublicIdentity,
}

impl SecretKey {
    /// A new key.
    pub fn generate(random: &mut (impl CryptoRng + ?Sized)) -> Self {
        SigningKey::generate_from_rng(random).into()
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

    fn sealing_key(&self) -> InputKey {
        let scalar = Zeroizing::new(<[u8; 32]>::from(self.key.to_bytes()));
        let (key, _) = Hkdf::<Sha256>::extract(Some(Label::Custody.as_str().as_bytes()), &scalar[..]);
        InputKey(key.into())
    }
}

impl From<SigningKey> for SecretKey {
    fn from(key: SigningKey) -> Self {
        let public = PublicIdentity::from(*key.verifying_key());
        Self { key, public }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?})", self.public.node_id())
    }
}

impl Custody for SecretKey {
    fn public(&self) -> &PublicIdentity {
        &self.public
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Signature, CustodyError> {
        let signature: p256::ecdsa::Signature =
            self.key.sign_prehash(digest).expect("a digest of 32 bytes can be signed");
        Ok(Signature(signature.to_bytes().into()))
    }

    fn seal(
        &self,
        context: &[u8],
        key: &InputKey,
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CustodyError> {
        let mut salt: Salt = [0; 24];
        random.fill_bytes(&mut salt);
        let (frames, commitment) = FrameKey::derive(&self.sealing_key(), Label::Custody, &salt, context);
        let mut sealed = [&salt[..], &commitment].concat();
        let from = sealed.len();
        // Sealed where it lies: nothing of it is left behind by a buffer that grew.
        sealed.reserve_exact(2 * key.0.len());
        sealed.extend_from_slice(&key.0);
        frames.seal(0, &mut sealed, from);
        Ok(sealed)
    }

    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<InputKey, CustodyError> {
        let open = || {
            let (salt, rest) = sealed.split_first_chunk::<{ size_of::<Salt>() }>()?;
            let (commitment, frame) = rest.split_first_chunk::<{ size_of::<Commitment>() }>()?;
            let frames =
                FrameKey::for_reading(&self.sealing_key(), Label::Custody, salt, context, commitment)?;
            let mut frame = Zeroizing::new(frame.to_vec());
            let key = frames.open(0, &mut frame).ok()?;
            Some(InputKey(key.try_into().ok()?))
        };
        let other = || CustodyError("a sealed key is altered, or of another identity or purpose".to_owned());
        open().ok_or_else(other)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn key(seed: u64) -> SecretKey {
        SecretKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_sealed_key_opens_under_its_identity_and_context_only() {
        let mut random = ChaCha20Rng::seed_from_u64(7);
        let secret = InputKey([5; 32]);
        let sealed = key(1).seal(b"tenant a", &secret, &mut random).unwrap();
        assert_eq!(key(1).unseal(b"tenant a", &sealed).unwrap().0, secret.0);
        assert!(key(1).unseal(b"tenant b", &sealed).is_err());
        assert!(key(2).unseal(b"tenant a", &sealed).is_err());
        assert!(!sealed.windows(4).any(|bytes| bytes == [5; 4]));
    }

    #[test]
    fn a_sealed_key_that_was_changed_or_cut_anywhere_does_not_open() {
        let sealed = key(1).seal(b"c", &InputKey([5; 32]), &mut ChaCha20Rng::seed_from_u64(7)).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key(1).unseal(b"c", &changed).is_err(), "byte {at}");
            assert!(key(1).unseal(b"c", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_is_read_back_from_the_file_that_it_prints() {
        let again = SecretKey::from_pkcs8_pem(&key(6).to_pkcs8_pem()).unwrap();
        assert_eq!(again.public(), key(6).public());
        assert_eq!(SecretKey::from_pkcs8_pem("-----BEGIN").unwrap_err(), IdentityError::Pem);
        assert_eq!(format!("{again:?}"), format!("SecretKey({:?})", again.public().node_id()));
    }
}
