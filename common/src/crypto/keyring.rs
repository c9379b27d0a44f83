//! The agreement keys to which others may have sealed: in memory only, erased when a newer one was used.

use rand_core::CryptoRng;

use super::keyschedule::{AgreementKey, KeyPackage};
use crate::id::NodeId;
use crate::units::{Millis, Timestamp};

/// How long a package may be sealed to.
const LIFE: Millis = Millis(24 * 3600 * 1000);

/// Keys that may be outstanding: the one in use, the next one, and one that the other side has not seen.
const KEYS_MAX: usize = 3;

/// The keys to which another side may have sealed, oldest first.
#[derive(Debug)]
pub struct Keyring {
    node: NodeId,
    keys: Vec<AgreementKey>,
}

impl Keyring {
    /// A ring with one new key.
    pub fn new(node: NodeId, now: Timestamp, rng: &mut impl CryptoRng) -> Self {
        Self { node, keys: vec![AgreementKey::generate(node, now + LIFE, rng)] }
    }

    /// What others are told: the newest package.
    pub fn package(&self) -> KeyPackage {
        *self.keys.last().expect("a ring is never empty").package()
    }

    /// The key with this package nonce, if it has not been erased.
    pub fn find(&self, nonce: &[u8; 16]) -> Option<&AgreementKey> {
        self.keys.iter().find(|key| key.package().nonce == *nonce)
    }

    /// Every key that has not been erased, the newest first: for what does not say to which it is sealed.
    pub fn keys(&self) -> impl Iterator<Item = &AgreementKey> {
        self.keys.iter().rev()
    }

    /// An epoch began under this key: older ones are erased, and there is a new one to tell of. What is sealed to the
    /// same key by then, for another run, opens as well: it stays until a newer one was used.
    pub fn on_used(&mut self, nonce: &[u8; 16], now: Timestamp, rng: &mut impl CryptoRng) {
        if let Some(used) = self.keys.iter().position(|key| key.package().nonce == *nonce) {
            self.keys.drain(..used);
        }
        if self.package().nonce == *nonce {
            self.add(now, rng);
        }
    }

    /// Replaces the newest key when half its life is over.
    pub fn refresh(&mut self, now: Timestamp, rng: &mut impl CryptoRng) {
        if now >= self.package().expires - Millis(LIFE.0 / 2) {
            self.add(now, rng);
        }
    }

    fn add(&mut self, now: Timestamp, rng: &mut impl CryptoRng) {
        if self.keys.len() == KEYS_MAX {
            self.keys.remove(0);
        }
        self.keys.push(AgreementKey::generate(self.node, now + LIFE, rng));
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_key_is_erased_when_a_newer_one_was_used() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut ring = Keyring::new(NodeId([1; 32]), Timestamp(0), &mut rng);
        let first = ring.package().nonce;
        ring.on_used(&first, Timestamp(1), &mut rng);
        assert!(ring.find(&first).is_some(), "the epoch that uses it is still going on");
        let second = ring.package().nonce;
        assert_ne!(first, second);
        ring.on_used(&second, Timestamp(2), &mut rng);
        assert!(ring.find(&first).is_none());
        assert!(ring.find(&second).is_some());
    }

    #[test]
    fn a_key_that_two_runs_use_is_there_for_both_until_a_newer_one_was_used() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut ring = Keyring::new(NodeId([1; 32]), Timestamp(0), &mut rng);
        let first = ring.package().nonce;
        ring.on_used(&first, Timestamp(1), &mut rng);
        let second = ring.package().nonce;
        ring.on_used(&first, Timestamp(2), &mut rng);
        assert_eq!(ring.package().nonce, second, "the other run makes no third one");
        ring.on_used(&second, Timestamp(3), &mut rng);
        assert!(ring.find(&first).is_none());
        let third = ring.package().nonce;
        ring.on_used(&second, Timestamp(4), &mut rng);
        assert!(ring.find(&second).is_some() && ring.find(&third).is_some());
    }

    #[test]
    fn a_package_is_replaced_long_before_it_expires() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut ring = Keyring::new(NodeId([1; 32]), Timestamp(0), &mut rng);
        let first = ring.package();
        ring.refresh(Timestamp(0) + Millis(LIFE.0 / 2 - 1), &mut rng);
        assert_eq!(ring.package(), first);
        ring.refresh(Timestamp(0) + Millis(LIFE.0 / 2), &mut rng);
        assert_ne!(ring.package(), first);
    }
}
