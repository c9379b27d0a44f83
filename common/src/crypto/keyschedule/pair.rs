//! What two sides share of one exchange: a key that authenticates receipts, which are too frequent to be signed; and of the
//! one that brings a member its epoch's root, the key under which that member answers with its update, as a response is
//! sealed in RFC 9458, section 4.4.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use hpke::HpkeError;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::super::bulk::InputKey;
use super::super::label::Label;
use super::super::suite::Suite;
use crate::id::NodeId;

/// The first 16 bytes of an HMAC-SHA256.
pub type ReceiptTag = [u8; 16];

/// Known to the two sides of an exchange. Erased when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PairKey([u8; 32]);

/// What a coordinator and one member share in an epoch. Erased when dropped.
pub struct MemberKeys {
    /// Authenticates receipts, both ways.
    pub pair: PairKey,
    reply: InputKey,
    suite: Suite,
}

impl MemberKeys {
    pub(super) fn export(suite: Suite, exporter: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> Self {
        let mut reply = InputKey([0; 32]);
        exporter(Label::Reply.as_str().as_bytes(), &mut reply.0).expect("32 bytes are within the limit");
        Self { pair: PairKey::export(exporter), reply, suite }
    }

    /// The suite of their epoch.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The input key of what the member seals to the coordinator.
    pub(in super::super) fn reply_key(&self) -> &InputKey {
        &self.reply
    }
}

impl fmt::Debug for MemberKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberKeys(..)")
    }
}

impl PairKey {
    pub(in super::super) fn export(exporter: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> Self {
        let mut key = Self([0; 32]);
        exporter(Label::Receipt.as_str().as_bytes(), &mut key.0).expect("32 bytes are within the limit");
        key
    }

    /// The tag of `message` from `sender`. The sender is part of it, so that neither side can be sent
    /// its own message back.
    pub fn tag(&self, sender: NodeId, message: &[u8]) -> ReceiptTag {
        let full: [u8; 32] = self.mac(sender, message).finalize().into_bytes().into();
        *full.first_chunk().expect("32 bytes begin with 16")
    }

    /// Whether `tag` is that of `message` from `sender`. Takes the same time for every wrong tag.
    #[must_use]
    pub fn verify(&self, sender: NodeId, message: &[u8], tag: &ReceiptTag) -> bool {
        self.mac(sender, message).verify_truncated_left(tag).is_ok()
    }

    fn mac(&self, sender: NodeId, message: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.chain_update(sender.0).chain_update(message)
    }
}

impl fmt::Debug for PairKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairKey(..)")
    }
}
