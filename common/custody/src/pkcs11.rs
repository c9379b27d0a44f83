//! A key in a PKCS#11 token: made there, and never out of it.
//!
//! Two keys under one label and one id: an EC P-256 pair that signs (`CKM_ECDSA`) and an AES-256 key that seals (`CKM_AES_GCM`), both
//! sensitive and not extractable. One session is open while the process runs, and the PIN is given once.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::crypto::bulk::InputKey;
use common::crypto::{Custody, CustodyError, Identity, PublicIdentity, Signature};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::config::{Config, Pkcs11};
use crate::token::checked;

/// DER of the name of the curve (RFC 5480, `secp256r1`).
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// DER of an octet string of 65 bytes, as which PKCS#11 has a point; some tokens leave it out.
const OCTETS: [u8; 2] = [0x04, 0x41];

/// Bytes of an AES-GCM nonce, drawn at random (NIST SP 800-38D, section 8.2.2).
const NONCE_BYTES: usize = 12;

const TAG_BITS: u64 = 128;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Bytes of the id that a key in a token has.
const ID_BYTES: usize = 16;

/// A key in a token.
#[derive(Debug)]
struct Token {
    place: String,
    public: PublicIdentity,
    open: Mutex<Open>,
}

/// The session in which it may be used, for one thread at a time.
#[derive(Debug)]
struct Open {
    session: Session,
    signs: ObjectHandle,
    seals: ObjectHandle,
}

/// Looks that the token has no key of this label yet: nothing is overwritten.
pub(crate) fn require_vacant(dir: &Path, config: &Pkcs11) -> Result<(), CustodyError> {
    let session = log_in(dir, config, Access::Read)?;
    let found = session.find_objects(&[Attribute::Label(label(config))]).map_err(told(config))?;
    let why = "is there already, and nothing is overwritten: choose another `--key`";
    let taken = || CustodyError(format!("{} {why}", place(config)));
    if found.is_empty() { Ok(()) } else { Err(taken()) }
}

/// Makes a key in the token. Those that one folder has one after another have the same label, and different ids.
pub(crate) fn create(
    dir: &Path,
    config: &Pkcs11,
    random: &mut impl CryptoRng,
) -> Result<Identity, CustodyError> {
    let session = log_in(dir, config, Access::Write)?;
    let mut id = [0; ID_BYTES];
    random.fill_bytes(&mut id);
    let ours = [Attribute::Token(true), Attribute::Label(label(config)), Attribute::Id(id.to_vec())];
    let kept = [Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false)];
    let public = [Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(P256.into())];
    let public = [&ours[..], &public].concat();
    let private = [&ours[..], &kept, &[Attribute::Sign(true)]].concat();
    let made = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
    let (public, _) = made.map_err(told(config))?;
    let seals = [Attribute::ValueLen(32.into()), Attribute::Encrypt(true), Attribute::Decrypt(true)];
    session
        .generate_key(&Mechanism::AesKeyGen, &[&ours[..], &kept, &seals].concat())
        .map_err(told(config))?;
    let made = public_of(&session, config, public)?;
    find(session, config, &made.ok_or_else(|| fault(config, "it is no P-256 key"))?).map(Identity::from)
}

/// Opens the key that [`create`] made.
pub(crate) fn open(dir: &Path, config: &Pkcs11, wanted: &PublicIdentity) -> Result<Identity, CustodyError> {
    find(log_in(dir, config, Access::Read)?, config, wanted).map(Identity::from)
}

fn log_in(dir: &Path, config: &Pkcs11, access: Access) -> Result<Session, CustodyError> {
    let module = Module::new(&config.module).map_err(told(config))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => (),
        Err(error) => return Err(told(config)(error)),
    }
    let (slot, info) = slot(&module, config)?;
    if let Some(why) = keeps_out(&info) {
        return Err(CustodyError(format!("{}: {why}", place(config))));
    }
    // A reader with a key pad asks for the PIN itself.
    let has_pad = info.protected_authentication_path();
    let pin = (!has_pad).then(|| config.pin.read(dir, "PIN")).transpose()?;
    let pin = pin.map(|pin| AuthPin::from(pin.as_str()));
    let session = match access {
        Access::Read => module.open_ro_session(slot),
        Access::Write => module.open_rw_session(slot),
    };
    let session = session.map_err(told(config))?;
    match session.login(UserType::User, pin.as_ref()) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
        Err(Error::Pkcs11(RvError::PinIncorrect, _)) => Err(CustodyError(format!(
            "{}: the PIN is wrong. It was tried once; correct it before the next start, for wrong ones lock the token",
            place(config)
        ))),
        Err(error) => Err(told(config)(error)),
    }
}

/// The token of this label.
fn slot(module: &Module, config: &Pkcs11) -> Result<(Slot, TokenInfo), CustodyError> {
    let mut labels = Vec::new();
    let mut found = None;
    for slot in module.get_slots_with_token().map_err(told(config))? {
        let info = module.get_token_info(slot).map_err(told(config))?;
        labels.push(format!("`{}`", info.label()));
        if info.label() == config.token {
            let why = "two tokens have this label, and either could be meant: take one out";
            let before = found.replace((slot, info));
            before.map_or(Ok(()), |_| Err(CustodyError(format!("{}: {why}", place(config)))))?;
        }
    }
    found.ok_or_else(|| {
        CustodyError(format!(
            "{}: there is no such token; put it in, or correct [custody]. There are: {}",
            place(config),
            labels.join(", ")
        ))
    })
}

/// Why no PIN is tried: the last try before a token locks itself is its owner's.
fn keeps_out(info: &TokenInfo) -> Option<&'static str> {
    let reasons = [
        (!info.user_pin_initialized(), "the token has no user PIN yet: set one with its maker's program"),
        (info.user_pin_locked(), "the PIN is locked: unlock the token with its maker's program"),
        (
            info.user_pin_final_try(),
            "one more wrong PIN locks the token, so none is tried: log in once with its maker's program",
        ),
    ];
    reasons.into_iter().find_map(|(keeps_out, why)| keeps_out.then_some(why))
}

/// The key of this label whose public half is `wanted`.
fn find(session: Session, config: &Pkcs11, wanted: &PublicIdentity) -> Result<Token, CustodyError> {
    let told = told(config);
    let named = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Label(label(config))];
    let labelled = session.find_objects(&named).map_err(told)?;
    let none = || {
        fault(
            config,
            if labelled.is_empty() {
                "the token has no such key; `init --custody pkcs11` makes one"
            } else {
                "it is not the key of identity.pub: bring back the one that belongs to this folder"
            },
        )
    };
    let public = labelled.iter().find_map(|object| match public_of(&session, config, *object) {
        Ok(public) if public != Some(*wanted) => None,
        found => Some(found.map(|_| *object)),
    });
    let public = public.ok_or_else(none)??;
    let attributes = session.get_attributes(public, &[AttributeType::Id]).map_err(told)?;
    let [Attribute::Id(id)] = &attributes[..] else { return Err(fault(config, "it has no id (CKA_ID)")) };
    let one = |class: ObjectClass| {
        let named = [Attribute::Class(class), Attribute::Label(label(config)), Attribute::Id(id.clone())];
        match session.find_objects(&named).map_err(told)?[..] {
            [object] => Ok(object),
            [] => Err(none()),
            _ => {
                Err(fault(config, "the token has several keys of this label and id, and any could be meant"))
            }
        }
    };
    let signs = one(ObjectClass::PRIVATE_KEY)?;
    let seals = one(ObjectClass::SECRET_KEY)?;
    for object in [signs, seals] {
        let [Attribute::Extractable(false)] =
            session.get_attributes(object, &[AttributeType::Extractable]).map_err(told)?[..]
        else {
            let why = "it can leave the token (CKA_EXTRACTABLE): make one with `init --custody pkcs11`";
            return Err(fault(config, why));
        };
    }
    let open = Mutex::new(Open { session, signs, seals });
    Ok(Token { place: place(config), public: *wanted, open })
}

/// What a public key of the token is, if it is one of P-256.
fn public_of(
    session: &Session,
    config: &Pkcs11,
    object: ObjectHandle,
) -> Result<Option<PublicIdentity>, CustodyError> {
    let attributes = session.get_attributes(object, &[AttributeType::EcPoint]).map_err(told(config))?;
    Ok(match &attributes[..] {
        [Attribute::EcPoint(point)] => public_key(point),
        _ => None,
    })
}

fn label(config: &Pkcs11) -> Vec<u8> {
    config.key.clone().into_bytes()
}

fn fault(config: &Pkcs11, why: &str) -> CustodyError {
    CustodyError(format!("{}: {why}", place(config)))
}

/// From a point as tokens have it, with both coordinates.
fn public_key(point: &[u8]) -> Option<PublicIdentity> {
    let whole = point.strip_prefix(&OCTETS).filter(|point| point.len() == 65).unwrap_or(point);
    let (x, y) = whole.strip_prefix(&[4])?.split_first_chunk::<32>()?;
    PublicIdentity::from_coordinates(x, y.try_into().ok()?).ok()
}

fn place(config: &Pkcs11) -> String {
    Config::Pkcs11(config.clone()).to_string()
}

fn told(config: &Pkcs11) -> impl Fn(Error) -> CustodyError + Copy + '_ {
    move |error| CustodyError(format!("{}: {error}", place(config)))
}

impl Token {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session is over: the token was taken out, or the process was logged out. A new one would need the PIN.
    fn gone(&self, error: &Error) -> CustodyError {
        CustodyError(format!("{} is out of reach: {error} Put the token in and start again", self.place))
    }
}

impl Custody for Token {
    fn public(&self) -> &PublicIdentity {
        &self.public
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Signature, CustodyError> {
        let open = self.open();
        let signature = open.session.sign(&Mechanism::Ecdsa, open.signs, digest);
        let signature = signature.map_err(|error| self.gone(&error))?;
        // Of another length it is none, and zeros are no signature.
        checked(&self.public, digest, signature.try_into().unwrap_or([0; 64]), &self.place)
    }

    fn seal(
        &self,
        context: &[u8],
        key: &InputKey,
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CustodyError> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill_bytes(&mut nonce);
        let mut sealed = nonce.to_vec();
        let open = self.open();
        let params = GcmParams::new(&mut nonce, context, TAG_BITS.into());
        let text = params
            .and_then(|params| open.session.encrypt(&Mechanism::AesGcm(params), open.seals, &key.0))
            .map_err(|error| self.gone(&error))?;
        sealed.extend(text);
        Ok(sealed)
    }

    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<InputKey, CustodyError> {
        let other = |why: &str| {
            let place = &self.place;
            CustodyError(format!(
                "{place} does not open a sealed key: altered, of another key or purpose{why}"
            ))
        };
        let (nonce, text) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| other(""))?;
        let (mut nonce, open) = (*nonce, self.open());
        let plain = GcmParams::new(&mut nonce, context, TAG_BITS.into())
            .and_then(|params| open.session.decrypt(&Mechanism::AesGcm(params), open.seals, text))
            .map(Zeroizing::new)
            .map_err(|error| other(&format!(" ({error})")))?;
        plain[..].try_into().map(InputKey).map_err(|_| other(""))
    }
}
