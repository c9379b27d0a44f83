//! The agreement keys to which others may have sealed: in memory only, erased when a newer one was used.
//!
//! A key for the next epoch is drawn as late as it can be: by [`Keyring::renew`], when the work of this epoch is done and
//! others are told of it. Who reads the memory before that opens nothing of the next epoch.

use rand_core::CryptoRng;

use super::keyschedule::{AgreementKey, KeyPackage};
use super::suite::Suite;
use crate::id::NodeId;
use crate::units::{Millis, Timestamp};

/// How long a package may be sealed to.
const LIFE: Millis = Millis(24 * 3600 * 1000);

/// Keys that may be outstanding: the one in use, the next one, and one that the other side has not seen.
const KEYS_MAX: usize = 3;

/// The keys to which another side may have sealed, oldest first.
#[derive(Debug)]
pub struct Keyring {
    suite: Suite,
    node: NodeId,
    keys: Vec<AgreementKey>,
    /// Whether an epoch began under the newest one.
    spent: bool,
}

impl Keyring {
    /// A ring with one new key.
    pub fn new(suite: Suite, node: NodeId, now: Timestamp, rng: &mut impl CryptoRng) -> Self {
        let keys = vec![AgreementKey::generate(suite, node, now + LIFE, rng)];
        Self { suite, node, keys, spent: false }
    }

    /// The suite of its keys.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What others are told: the newest package.
    pub fn package(&self) -> KeyPackage {
        self.keys.last().expect("a ring is never empty").package().clone()
    }

    /// The key with this package nonce, if it has not been erased.
    pub fn find(&self, nonce: &[u8; 16]) -> Option<&AgreementKey> {
        self.keys.iter().find(|key| key.package().nonce == *nonce)
    }

    /// Every key that has not been erased, the newest first: for what does not say to which it is sealed.
    pub fn keys(&self) -> impl Iterator<Item = &AgreementKey> {
        self.keys.iter().rev()
    }

    /// An epoch began under this key: older ones are erased. What is sealed to the same key by then, for another run,
    /// opens as well: it stays until a newer one was used.
    pub fn on_used(&mut self, nonce: &[u8; 16]) {
        if let Some(used) = self.keys.iter().position(|key| key.package().nonce == *nonce) {
            self.keys.drain(..used);
            self.spent |= self.keys.len() == 1;
        }
    }

    /// Draws the key of the next epoch, if the newest one was used.
    pub fn renew(&mut self, now: Timestamp, rng: &mut impl CryptoRng) {
        if self.spent {
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
        self.spent = false;
        self.keys.push(AgreementKey::generate(self.suite, self.node, now + LIFE, rng));
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::crypto::{
        EpochRoot, Identity, Kind, MemberKeys, Opener, Scope, Sealed, Sealer, Subject, VerifiedManifest,
        WrappedRoot,
    };
    use crate::id::{EpochId, RoundId, RunId, TenantId};

    /// Everything secret that is in the memory of one side in an epoch.
    struct Dump {
        keys: Vec<AgreementKey>,
        root: EpochRoot,
        member: MemberKeys,
    }

    /// What crosses the network in an epoch, with the signatures checked.
    struct Traffic {
        scope: Scope,
        wrapped: WrappedRoot,
        model: VerifiedManifest,
        update: VerifiedManifest,
    }

    impl Dump {
        /// Whether it opens anything of an epoch: the wrapped root, or the model or the update by what it has.
        fn opens(&self, traffic: &Traffic) -> bool {
            let unwrapped = |key| EpochRoot::unwrap(&traffic.wrapped, key, &traffic.scope).is_ok();
            let coordinator = traffic.scope.sender;
            Opener::for_group(&traffic.model, &self.root).is_ok()
                || Opener::for_coordinator(&traffic.update, coordinator, &self.member).is_ok()
                || self.keys.iter().any(unwrapped)
        }
    }

    fn verified(sealed: &Sealed, sender: &Identity) -> VerifiedManifest {
        sealed.manifest().verify(sender.public()).unwrap()
    }

    /// Three epochs of a node and its coordinator, and what the memory of both holds while the node trains.
    fn epochs(suite: Suite) -> Vec<(Traffic, [Dump; 2])> {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let (coordinator, node) = (Identity::generate(rng), Identity::generate(rng));
        let mut ring = Keyring::new(suite, node.node_id(), Timestamp(0), rng);
        let epoch = |number| {
            let (tenant, run, epoch) = (TenantId([1; 16]), RunId([2; 16]), EpochId(number));
            let scope = Scope { tenant, run, epoch, sender: coordinator.node_id() };
            let about = |kind| Subject {
                kind,
                tenant,
                run,
                round: RoundId(number as u32),
                epoch,
                seq: 1,
                trace: [0; 16],
            };
            let sealer = |identity, kind, next_package| Sealer {
                identity,
                subject: about(kind),
                next_package,
                buffer: Vec::new(),
            };
            let root = EpochRoot::generate(suite, rng);
            let (wrapped, member) = root.wrap(&ring.package(), &scope, rng).unwrap();
            let model = sealer(&coordinator, Kind::Model, None).seal_to_group(&b"model"[..], &root, rng);
            // The node takes it, and trains: now both memories are read.
            let package = ring.package().nonce;
            let unwrap = || EpochRoot::unwrap(&wrapped, ring.find(&package).unwrap(), &scope).unwrap();
            let ((unwrapped, own), (_, answering)) = (unwrap(), unwrap());
            ring.on_used(&package);
            let dumps = [
                Dump { keys: ring.keys.clone(), root: unwrapped, member: own },
                Dump { keys: Vec::new(), root, member },
            ];
            ring.renew(Timestamp(number), rng);
            let update = sealer(&node, Kind::Update, Some(ring.package()));
            let sealed = update.seal_to_coordinator(&b"update"[..], scope.sender, &answering, rng);
            let update = sealed.unwrap();
            let (model, update) = (verified(&model.unwrap(), &coordinator), verified(&update, &node));
            (Traffic { scope, wrapped, model, update }, dumps)
        };
        (1..=3).map(epoch).collect()
    }

    #[test]
    fn what_either_side_has_in_memory_in_an_epoch_opens_neither_the_one_before_nor_the_next() {
        for suite in [Suite::X25519, Suite::XWing] {
            let epochs = epochs(suite);
            for (now, (_, dumps)) in epochs.iter().enumerate() {
                for (then, (traffic, _)) in epochs.iter().enumerate() {
                    for dump in dumps {
                        assert_eq!(dump.opens(traffic), now == then, "{suite}: {then} from {now}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_is_erased_when_a_newer_one_was_used() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut ring = Keyring::new(Suite::X25519, NodeId([1; 32]), Timestamp(0), &mut rng);
        let first = ring.package().nonce;
        ring.renew(Timestamp(1), &mut rng);
        assert_eq!(ring.package().nonce, first, "it was not used");
        ring.on_used(&first);
        assert_eq!(ring.package().nonce, first, "the next one is not drawn before it is told of");
        ring.renew(Timestamp(1), &mut rng);
        assert!(ring.find(&first).is_some(), "the epoch that uses it is still going on");
        let second = ring.package().nonce;
        assert_ne!(first, second);
        ring.on_used(&second);
        assert!(ring.find(&first).is_none());
        assert!(ring.find(&second).is_some());
    }

    #[test]
    fn a_key_that_two_runs_use_is_there_for_both_until_a_newer_one_was_used() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut ring = Keyring::new(Suite::X25519, NodeId([1; 32]), Timestamp(0), &mut rng);
        let first = ring.package().nonce;
        ring.on_used(&first);
        ring.renew(Timestamp(1), &mut rng);
        let second = ring.package().nonce;
        ring.on_used(&first);
        ring.renew(Timestamp(2), &mut rng);
        assert_eq!(ring.package().nonce, second, "the other run makes no third one");
        ring.on_used(&second);
        ring.renew(Timestamp(3), &mut rng);
        assert!(ring.find(&first).is_none());
        let third = ring.package().nonce;
        ring.on_used(&second);
        assert!(ring.find(&second).is_some() && ring.find(&third).is_some());
    }

    #[test]
    fn a_package_is_replaced_long_before_it_expires() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut ring = Keyring::new(Suite::X25519, NodeId([1; 32]), Timestamp(0), &mut rng);
        let first = ring.package();
        ring.refresh(Timestamp(0) + Millis(LIFE.0 / 2 - 1), &mut rng);
        assert_eq!(ring.package(), first);
        ring.refresh(Timestamp(0) + Millis(LIFE.0 / 2), &mut rng);
        assert_ne!(ring.package(), first);
    }
}
