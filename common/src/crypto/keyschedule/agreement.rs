//! X25519 agreement keys, and the packages that tell others of them.

use std::fmt;

use hpke::aead::{AeadCtxR, AeadCtxS};
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
use rand_core::CryptoRng;

use super::super::error::{OpenError, SealError};
use super::super::label::Label;
use super::{Aead, Kdf, Kem};
use crate::id::{EpochId, NodeId, RunId, TenantId};
use crate::units::Timestamp;
use crate::wire::Wire;
use crate::wire_fields;

/// The secret half of a [`KeyPackage`]: in memory only, for one epoch, erased when dropped.
pub struct AgreementKey {
    secret: <Kem as hpke::Kem>::PrivateKey,
    package: KeyPackage,
}

/// An X25519 public key and whose it is. Nothing proves that by itself: it rides in a signed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPackage {
    /// Who holds the secret half.
    pub node: NodeId,
    /// X25519 public key (RFC 7748).
    pub public: [u8; 32],
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
pub(in super::super) type Sent = AeadCtxS<Aead, Kdf, Kem>;

/// The receiver's end of an HPKE exchange.
pub(in super::super) type Received = AeadCtxR<Aead, Kdf, Kem>;

impl AgreementKey {
    /// A new key of `node`, to be used until `expires`.
    pub fn generate(node: NodeId, expires: Timestamp, rng: &mut impl CryptoRng) -> Self {
        let (secret, public) = Kem::gen_keypair_with_rng(rng);
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        Self { secret, package: KeyPackage { node, public: public.to_bytes().into(), nonce, expires } }
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
) -> Result<([u8; 32], Sent), SealError> {
    let bad = |_| SealError::BadPackage { node: package.node };
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&package.public).map_err(bad)?;
    let info = info(label, scope, package);
    let (enc, context) =
        hpke::setup_sender_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, &public, &info, rng).map_err(bad)?;
    Ok((enc.to_bytes().into(), context))
}

/// The other end of [`send`].
pub(in super::super) fn receive(
    label: Label,
    scope: &Scope,
    key: &AgreementKey,
    enc: &[u8; 32],
) -> Result<Received, OpenError> {
    let bad = |_| OpenError::BadExchange;
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(bad)?;
    let info = info(label, scope, &key.package);
    hpke::setup_receiver(&OpModeR::Base, &key.secret, &enc, &info).map_err(bad)
}

/// `label || 0x00 || scope || package`, the `info` of RFC 9180, section 5.1.
fn info(label: Label, scope: &Scope, package: &KeyPackage) -> Vec<u8> {
    let mut info = label.as_str().as_bytes().to_vec();
    info.push(0);
    scope.put(&mut info);
    package.put(&mut info);
    info
}
