//! One question and its answer between two who share a secret: HPKE (RFC 9180) in PSK mode.
//!
//! ```text
//! seed      32 random bytes, with who is to be asked;  its holder can open what others ask with the shared half
//! shared    secret (32) | input keying material (32) = HKDF-Expand(seed, "starling v1 token")
//!           the secret is the psk, the material that of a key pair of X25519 (RFC 9180, section 7.1.3)
//! question  enc (32) | ciphertext;   info = "starling v1 join" || 0 || context, psk_id = the id of the secret
//! answer    salt (24) | commitment (32) | one frame under the key that HPKE exports for "starling v1 joined"
//! ```
//!
//! The psk tells that who asks was given the secret, the key pair that nobody but the seed's holder answers; an answer
//! opens for who asked this very question. What was written down on the way stays closed once the seed is erased, to
//! the holder of the secret too. A salt of its own for each answer is as in RFC 9458, section 4.4: a question that is
//! repeated by somebody else is answered under another key each time.

use std::fmt;

use hkdf::Hkdf;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::bulk::{Commitment, InputKey, Salt};
use super::error::OpenError;
use super::frames::FrameKey;
use super::keyschedule::{Aead, Kdf, X25519};
use super::label::Label;
use crate::id::TokenId;
use crate::wire::{Input, Wire, WireError};

/// Bytes of an encapsulated key of X25519.
const ENC_BYTES: usize = 32;

/// What the side that answers keeps, and erases when nothing more is to be answered.
pub struct PresharedSeed(InputKey);

/// What the side that asks is given.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PresharedKey {
    secret: [u8; 32],
    public: [u8; 32],
}

/// Seals, or opens, the answers to one question. Erased when dropped.
pub struct AnswerKey(InputKey);

/// Both halves, as they follow from the seed.
struct Derived {
    shared: PresharedKey,
    private: <X25519 as Kem>::PrivateKey,
}

impl PresharedSeed {
    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = InputKey([0; 32]);
        rng.fill_bytes(&mut seed.0);
        Self(seed)
    }

    /// What who asks is given.
    pub fn shared(&self) -> PresharedKey {
        self.derive().shared
    }

    fn derive(&self) -> Derived {
        let mut material = Zeroizing::new([0; 64]);
        Hkdf::<Sha256>::from_prk(&self.0.0)
            .expect("32 bytes are a pseudorandom key of HKDF-SHA256")
            .expand(Label::Token.as_str().as_bytes(), material.as_mut_slice())
            .expect("64 bytes are far below the limit of HKDF-SHA256");
        let (secret, rest) = material.split_at(32);
        let (private, public) = X25519::derive_keypair(rest);
        let secret = secret.try_into().expect("it was cut at 32 bytes");
        Derived { shared: PresharedKey { secret, public: public.to_bytes().into() }, private }
    }

    /// Opens a question; with the key for its answer.
    ///
    /// # Errors
    ///
    /// [`OpenError::BadExchange`] when it begins with no key, [`OpenError::WrongKey`] when it was asked with another
    /// secret or context, or altered.
    pub fn open(&self, context: &[u8], question: &[u8]) -> Result<(Vec<u8>, AnswerKey), OpenError> {
        let Derived { shared, private } = self.derive();
        let (enc, sealed) = question.split_first_chunk::<ENC_BYTES>().ok_or(OpenError::BadExchange)?;
        let enc = <X25519 as Kem>::EncappedKey::from_bytes(enc).map_err(|_| OpenError::BadExchange)?;
        let id = shared.id();
        let mode = OpModeR::Psk(shared.bundle(&id));
        let mut hpke = hpke::setup_receiver::<Aead, Kdf, X25519>(&mode, &private, &enc, &info(context))
            .map_err(|_| OpenError::BadExchange)?;
        let plain = hpke.open(sealed, &[]).map_err(|_| OpenError::WrongKey)?;
        let mut key = InputKey([0; 32]);
        hpke.export(Label::Joined.as_str().as_bytes(), &mut key.0).expect("32 bytes are within the limit");
        Ok((plain, AnswerKey(key)))
    }
}

impl From<InputKey> for PresharedSeed {
    fn from(seed: InputKey) -> Self {
        Self(seed)
    }
}

impl Clone for PresharedSeed {
    fn clone(&self) -> Self {
        Self(InputKey(self.0.0))
    }
}

impl PartialEq for PresharedSeed {
    fn eq(&self, other: &Self) -> bool {
        self.0.0.ct_eq(&other.0.0).into()
    }
}

impl Eq for PresharedSeed {}

impl Wire for PresharedSeed {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Wire::take(input).map(|seed| Self(InputKey(seed)))
    }
}

impl PresharedKey {
    /// Bytes of both parts.
    pub const BYTES: usize = 64;

    /// As they are handed over: the secret, then the public key. They are secret.
    pub fn to_bytes(&self) -> Zeroizing<[u8; Self::BYTES]> {
        let mut bytes = Zeroizing::new([0; Self::BYTES]);
        bytes[..32].copy_from_slice(&self.secret);
        bytes[32..].copy_from_slice(&self.public);
        bytes
    }

    /// From what was handed over.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut key = Self { secret: [0; 32], public: [0; 32] };
        key.secret.copy_from_slice(&bytes[..32]);
        key.public.copy_from_slice(&bytes[32..]);
        key
    }

    /// Names the secret, and tells nothing of it.
    pub fn id(&self) -> TokenId {
        let hash = Sha256::new().chain_update(Label::Token.as_str()).chain_update([0]);
        let hash: [u8; 32] = hash.chain_update(self.secret).finalize().into();
        TokenId(*hash.first_chunk().expect("32 bytes begin with 8"))
    }

    /// Seals a question for the holder of the seed; with the key of its answer.
    ///
    /// # Errors
    ///
    /// [`OpenError::BadExchange`] when the public key agrees on no secret.
    pub fn ask(
        &self,
        context: &[u8],
        plain: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, AnswerKey), OpenError> {
        let bad = |_| OpenError::BadExchange;
        let public = <X25519 as Kem>::PublicKey::from_bytes(&self.public).map_err(bad)?;
        let id = self.id();
        let mode = OpModeS::Psk(self.bundle(&id));
        let (enc, mut hpke) =
            hpke::setup_sender_with_rng::<Aead, Kdf, X25519>(&mode, &public, &info(context), rng)
                .map_err(bad)?;
        let mut question = enc.to_bytes().to_vec();
        question.extend(hpke.seal(plain, &[]).expect("the first message of a context is within its limit"));
        let mut key = InputKey([0; 32]);
        hpke.export(Label::Joined.as_str().as_bytes(), &mut key.0).expect("32 bytes are within the limit");
        Ok((question, AnswerKey(key)))
    }

    fn bundle<'a>(&'a self, id: &'a TokenId) -> PskBundle<'a> {
        PskBundle::new(&self.secret, &id.0).expect("neither is empty")
    }
}

impl AnswerKey {
    /// Seals an answer to the question.
    pub fn seal(&self, plain: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut salt: Salt = [0; 24];
        rng.fill_bytes(&mut salt);
        let (frame, commitment) = FrameKey::derive(&self.0, Label::Joined, &salt, &[]);
        let mut sealed = [&salt[..], &commitment, plain].concat();
        frame.seal(0, &mut sealed, size_of::<Salt>() + size_of::<Commitment>());
        sealed
    }

    /// Opens an answer to the question.
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongKey`] when it is to another question, or altered.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let opened = || {
            let (salt, rest) = sealed.split_first_chunk::<{ size_of::<Salt>() }>()?;
            let (commitment, frame) = rest.split_first_chunk::<{ size_of::<Commitment>() }>()?;
            let key = FrameKey::for_reading(&self.0, Label::Joined, salt, &[], commitment)?;
            key.open(0, &mut frame.to_vec()).ok().map(<[u8]>::to_vec)
        };
        opened().ok_or(OpenError::WrongKey)
    }
}

macro_rules! hidden {
    ($($type:ident),*) => { $(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }
    )* };
}

hidden!(PresharedSeed, PresharedKey, AnswerKey);

/// `label || 0x00 || context`, the `info` of RFC 9180, section 5.1.
fn info(context: &[u8]) -> Vec<u8> {
    [Label::Join.as_str().as_bytes(), &[0], context].concat()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn seed(number: u64) -> PresharedSeed {
        PresharedSeed::generate(&mut ChaCha20Rng::seed_from_u64(number))
    }

    #[test]
    fn a_question_opens_for_the_holder_of_its_seed_and_context_and_its_answer_for_who_asked() {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        let (question, asked) = seed(1).shared().ask(b"c", b"let me in", rng).unwrap();
        let (plain, heard) = seed(1).open(b"c", &question).unwrap();
        assert_eq!(plain, b"let me in");
        assert_eq!(seed(1).open(b"d", &question).unwrap_err(), OpenError::WrongKey);
        assert_eq!(seed(2).open(b"c", &question).unwrap_err(), OpenError::WrongKey);
        let (one, two) = (heard.seal(b"wait", rng), heard.seal(b"wait", rng));
        assert_ne!(one, two, "each answer has a key of its own");
        assert_eq!((asked.open(&one), asked.open(&two)), (Ok(b"wait".to_vec()), Ok(b"wait".to_vec())));
        let (_, other) = seed(1).shared().ask(b"c", b"let me in", rng).unwrap();
        assert_eq!(other.open(&one), Err(OpenError::WrongKey));
    }

    #[test]
    fn every_changed_byte_and_every_cut_of_a_question_and_an_answer_is_refused() {
        let rng = &mut ChaCha20Rng::seed_from_u64(4);
        let (question, asked) = seed(1).shared().ask(b"c", b"let me in", rng).unwrap();
        let answer = seed(1).open(b"c", &question).unwrap().1.seal(b"wait", rng);
        for at in 0..question.len() {
            let mut changed = question.clone();
            changed[at] ^= 1;
            assert!(seed(1).open(b"c", &changed).is_err(), "byte {at}");
            assert!(seed(1).open(b"c", &question[..at]).is_err(), "cut at {at}");
        }
        for at in 0..answer.len() {
            let mut changed = answer.clone();
            changed[at] ^= 1;
            assert!(asked.open(&changed).is_err(), "byte {at}");
            assert!(asked.open(&answer[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_of_low_order_is_asked_nothing() {
        let mut key = seed(1).shared();
        key.public = [0; 32];
        let asked = key.ask(b"c", b"let me in", &mut ChaCha20Rng::seed_from_u64(5));
        assert_eq!(asked.unwrap_err(), OpenError::BadExchange);
        let mut question = vec![0; 32];
        question.extend([7; 40]);
        assert_eq!(seed(1).open(b"c", &question).unwrap_err(), OpenError::BadExchange);
    }

    #[test]
    fn what_is_shared_names_itself_and_shows_no_secret() {
        let shared = seed(1).shared();
        let again = PresharedKey::from_bytes(&shared.to_bytes());
        assert_eq!((again.id(), again == shared), (shared.id(), true));
        assert_ne!(seed(2).shared().id(), shared.id());
        let shown = format!("{shared:?} {:?}", seed(1));
        assert_eq!(shown, "PresharedKey(..) PresharedSeed(..)");
    }
}
