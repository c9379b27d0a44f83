//! Agreement keys, the packages that tell others of them, and the exchanges that they open.

use std::fmt;

use hpke::aead::{AeadCtxR, AeadCtxS};
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;

use super::super::error::{OpenError, SealError};
use super::super::label::Label;
use super::super::suite::{Encapsulated, KemPublic, Suite};
use super::{Aead, Kdf, X25519, XWing};
use crate::id::{EpochId, NodeId, RunId, TenantId};
use crate::units::Timestamp;
use crate::wire::Wire;
use crate::wire_fields;

/// The secret half of a [`KeyPackage`]: in memory only, for one epoch, erased when dropped.
#[cfg_attr(test, derive(Clone))]
pub struct AgreementKey {
    secret: Secret,
    package: KeyPackage,
}

#[cfg_attr(test, derive(Clone))]
enum Secret {
    X25519(<X25519 as Kem>::PrivateKey),
    XWing(Box<<XWing as Kem>::PrivateKey>),
}

/// A public key and whose it is. Nothing proves that by itself: it rides in a signed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPackage {
    /// Who holds the secret half.
    pub node: NodeId,
    /// The public key; it says of which suite it is.
    pub public: KemPublic,
    /// Random, so that no two packages are alike.
    pub nonce: [u8; 16],
    /// Not to be used from this time on.
    pub expires: Timestamp,
}

wire_fields!(KeyPackage { node, public, nonce, expires });

/// What an HPKE exchange is for, besides its label and package: both sides must agree on all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The tenant.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// The epoch.
    pub epoch: EpochId,
    /// Who sends: the coordinator of a wrapped root, the node of an update.
    pub sender: NodeId,
}

wire_fields!(Scope { tenant, run, epoch, sender });

/// The sender's end of an HPKE exchange.
pub(in super::super) enum Sent {
    X25519(AeadCtxS<Aead, Kdf, X25519>),
    XWing(AeadCtxS<Aead, Kdf, XWing>),
}

/// The receiver's end of an HPKE exchange.
pub(in super::super) enum Received {
    X25519(AeadCtxR<Aead, Kdf, X25519>),
    XWing(AeadCtxR<Aead, Kdf, XWing>),
}

impl Sent {
    pub(in super::super) fn seal(&mut self, plain: &[u8]) -> Result<Vec<u8>, HpkeError> {
        match self {
            Self::X25519(context) => context.seal(plain, &[]),
            Self::XWing(context) => context.seal(plain, &[]),
        }
    }

    pub(in super::super) fn export(&self, label: &[u8], key: &mut [u8]) -> Result<(), HpkeError> {
        match self {
            Self::X25519(context) => context.export(label, key),
            Self::XWing(context) => context.export(label, key),
        }
    }
}

impl Received {
    pub(in super::super) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, HpkeError> {
        match self {
            Self::X25519(context) => context.open(sealed, &[]),
            Self::XWing(context) => context.open(sealed, &[]),
        }
    }

    pub(in super::super) fn export(&self, label: &[u8], key: &mut [u8]) -> Result<(), HpkeError> {
        match self {
            Self::X25519(context) => context.export(label, key),
            Self::XWing(context) => context.export(label, key),
        }
    }
}

impl AgreementKey {
    /// A new key of `node`, to be used until `expires`.
    pub fn generate(suite: Suite, node: NodeId, expires: Timestamp, rng: &mut impl CryptoRng) -> Self {
        let (secret, public) = match suite {
            Suite::X25519 => {
                let (secret, public) = X25519::gen_keypair_with_rng(rng);
                (Secret::X25519(secret), KemPublic::X25519(public.to_bytes().into()))
            }
            Suite::XWing => {
                let (secret, public) = XWing::gen_keypair_with_rng(rng);
                (Secret::XWing(Box::new(secret)), KemPublic::XWing(Box::new(public.to_bytes().into())))
            }
        };
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        Self { secret, package: KeyPackage { node, public, nonce, expires } }
    }

    /// What others need to seal to this key.
    pub fn package(&self) -> &KeyPackage {
        &self.package
    }
}

impl fmt::Debug for AgreementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgreementKey({:?})", self.package)
    }
}

impl KeyPackage {
    /// The suite of its key.
    pub fn suite(&self) -> Suite {
        self.public.suite()
    }

    /// Whether it may still be sealed to.
    pub fn is_usable_at(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

/// Opens an exchange to `package`: the encapsulated key to be sent, and the context.
pub(in super::super) fn send(
    label: Label,
    scope: &Scope,
    package: &KeyPackage,
    rng: &mut impl CryptoRng,
) -> Result<(Encapsulated, Sent), SealError> {
    let info = info(label, scope, package);
    let sent = match &package.public {
        KemPublic::X25519(public) => send_by::<X25519>(public, &info, rng)
            .map(|(enc, context)| (Encapsulated::X25519(enc.to_bytes().into()), Sent::X25519(context))),
        KemPublic::XWing(public) => send_by::<XWing>(&public[..], &info, rng).map(|(enc, context)| {
            (Encapsulated::XWing(Box::new(enc.to_bytes().into())), Sent::XWing(context))
        }),
    };
    sent.map_err(|_| SealError::BadPackage { node: package.node })
}

/// What a sender of one KEM has: the encapsulated key, and its end of the exchange.
type SentBy<K> = (<K as Kem>::EncappedKey, AeadCtxS<Aead, Kdf, K>);

fn send_by<K: Kem>(public: &[u8], info: &[u8], rng: &mut impl CryptoRng) -> Result<SentBy<K>, HpkeError> {
    hpke::setup_sender_with_rng(&OpModeS::Base, &K::PublicKey::from_bytes(public)?, info, rng)
}

/// The other end of [`send`]. A key of another suite is refused before it is used.
pub(in super::super) fn receive(
    label: Label,
    scope: &Scope,
    key: &AgreementKey,
    enc: &Encapsulated,
) -> Result<Received, OpenError> {
    key.package.suite().require(enc.suite())?;
    let info = info(label, scope, &key.package);
    let received = match (&key.secret, enc) {
        (Secret::X25519(secret), Encapsulated::X25519(enc)) => {
            receive_by::<X25519>(secret, enc, &info).map(Received::X25519)
        }
        (Secret::XWing(secret), Encapsulated::XWing(enc)) => {
            receive_by::<XWing>(secret, &enc[..], &info).map(Received::XWing)
        }
        (Secret::X25519(_), Encapsulated::XWing(_)) | (Secret::XWing(_), Encapsulated::X25519(_)) => {
            unreachable!("the secret is of the package's suite, and so is what was sent")
        }
    };
    received.map_err(|_| OpenError::BadExchange)
}

fn receive_by<K: Kem>(
    secret: &K::PrivateKey,
    enc: &[u8],
    info: &[u8],
) -> Result<AeadCtxR<Aead, Kdf, K>, HpkeError> {
    hpke::setup_receiver(&OpModeR::Base, secret, &K::EncappedKey::from_bytes(enc)?, info)
}

/// `label || 0x00 || scope || package`, the `info` of RFC 9180, section 5.1.
fn info(label: Label, scope: &Scope, package: &KeyPackage) -> Vec<u8> {
    let mut info = label.as_str().as_bytes().to_vec();
    info.push(0);
    scope.put(&mut info);
    package.put(&mut info);
    info
}
