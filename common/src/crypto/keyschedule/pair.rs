//! The key that the coordinator and one node share in one epoch. It authenticates receipts, which are
//! too frequent to be signed.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use hpke::HpkeError;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::super::label::Label;
use crate::id::NodeId;

/// The first 16 bytes of an HMAC-SHA256.
pub type ReceiptTag = [u8; 16];

/// Known to the coordinator and one node. Erased when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PairKey([u8; 32]);

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
