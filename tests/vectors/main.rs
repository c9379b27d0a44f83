//! The cryptography against published vectors, and against bytes altered on the way.
//!
//! Wycheproof for each primitive in use, RFC 9180 for HPKE, the draft for X-Wing, Wycheproof's C2SP vectors for the chunked
//! encryption, a second implementation in Python for the envelope, and an altered, cut, reordered or misplaced piece
//! of everything that is sent.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod altered;
mod chunked;
mod primitives;
mod rfc9180;
mod second;
mod x_wing;

use common::crypto::{
    AgreementKey, EpochRoot, Identity, Kind, MemberKeys, Opener, Scope, Sealed, Sealer, Subject, Suite,
};
use common::id::{EpochId, RoundId, RunId, TenantId};
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A coordinator, which is the bridge as well, a node and the keys of one epoch, all from one seed.
struct World {
    rng: ChaCha20Rng,
    coordinator: Identity,
    node: Identity,
    coordinator_keys: MemberKeys,
    member_keys: MemberKeys,
    node_key: AgreementKey,
    epoch_root: EpochRoot,
}

impl World {
    fn new(seed: u64) -> Self {
        Self::of(Suite::X25519, seed)
    }

    fn of(suite: Suite, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (coordinator, node) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
        let node_key = AgreementKey::generate(suite, node.node_id(), Timestamp(9), &mut rng);
        let epoch_root = EpochRoot::generate(suite, &mut rng);
        let Subject { tenant, run, epoch, .. } = subject(Kind::Model);
        let scope = Scope { tenant, run, epoch, sender: coordinator.node_id() };
        let (wrapped, coordinator_keys) = epoch_root.wrap(node_key.package(), &scope, &mut rng).unwrap();
        let (_, member_keys) = EpochRoot::unwrap(&wrapped, &node_key, &scope).unwrap();
        Self { rng, coordinator, node, coordinator_keys, member_keys, node_key, epoch_root }
    }

    /// A value of a kind as its sender seals it: to the group, to its coordinator, or to the key of a node.
    fn sealed(&mut self, subject: Subject, plain: &[u8]) -> Sealed {
        let next_package = (subject.kind == Kind::Update).then(|| self.node_key.package().clone());
        let identity = if subject.kind == Kind::Update { &self.node } else { &self.coordinator };
        let sealer = Sealer { identity, subject, next_package, buffer: Vec::new() };
        let (to, rng) = (self.coordinator.node_id(), &mut self.rng);
        let sealed = match subject.kind {
            Kind::Model => sealer.seal_to_group(plain, &self.epoch_root, rng),
            Kind::Update => sealer.seal_to_coordinator(plain, to, &self.member_keys, rng),
            Kind::Records => {
                sealer.seal_to_one(plain, self.node_key.package(), rng).map(|(sealed, _)| sealed)
            }
        };
        sealed.unwrap()
    }

    /// Who seals values of a kind.
    fn sender(&self, kind: Kind) -> &Identity {
        match kind {
            Kind::Model | Kind::Records => &self.coordinator,
            Kind::Update => &self.node,
        }
    }

    /// What the reader of a kind opens a value with.
    fn opener(&self, kind: Kind, sealed: &Sealed) -> Opener {
        let verified = sealed.manifest().verify(self.sender(kind).public()).unwrap();
        match kind {
            Kind::Model => Opener::for_group(&verified, &self.epoch_root).unwrap(),
            Kind::Update => {
                let coordinator = self.coordinator.node_id();
                Opener::for_coordinator(&verified, coordinator, &self.coordinator_keys).unwrap()
            }
            Kind::Records => Opener::for_one(&verified, &self.node_key).unwrap().0,
        }
    }
}

/// Every suite.
const SUITES: [Suite; 2] = [Suite::X25519, Suite::XWing];

/// Every kind of sealed value.
const KINDS: [Kind; 3] = [Kind::Model, Kind::Update, Kind::Records];

fn subject(kind: Kind) -> Subject {
    Subject {
        kind,
        tenant: TenantId([1; 16]),
        run: RunId([2; 16]),
        round: RoundId(3),
        epoch: EpochId(4),
        seq: 1,
        trace: [5; 16],
    }
}
