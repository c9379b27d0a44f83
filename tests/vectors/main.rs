//! The cryptography against published vectors, and against bytes altered on the way.
//!
//! Wycheproof for each primitive in use, RFC 9180 for HPKE, Wycheproof's C2SP vectors for the chunked
//! encryption, and an altered, cut, reordered or misplaced piece of everything that is sent.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod altered;
mod chunked;
mod primitives;
mod rfc9180;

use common::crypto::{AgreementKey, EpochRoot, Identity, Kind, Sealed, Sealer, Subject};
use common::id::{EpochId, RoundId, RunId, TenantId};
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A coordinator, a node and the keys of one epoch, all from one seed.
struct World {
    rng: ChaCha20Rng,
    coordinator: Identity,
    node: Identity,
    coordinator_key: AgreementKey,
    node_key: AgreementKey,
    epoch_root: EpochRoot,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (coordinator, node) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
        let coordinator_key = AgreementKey::generate(coordinator.node_id(), Timestamp(9), &mut rng);
        let node_key = AgreementKey::generate(node.node_id(), Timestamp(9), &mut rng);
        let epoch_root = EpochRoot::generate(&mut rng);
        Self { rng, coordinator, node, coordinator_key, node_key, epoch_root }
    }

    fn model(&mut self, subject: Subject, plain: &[u8]) -> Sealed {
        let sealer = Sealer { identity: &self.coordinator, subject, next_package: None, buffer: Vec::new() };
        sealer.seal_to_group(plain, &self.epoch_root, &mut self.rng).unwrap()
    }

    fn update(&mut self, subject: Subject, plain: &[u8]) -> Sealed {
        let next_package = Some(*self.node_key.package());
        let sealer = Sealer { identity: &self.node, subject, next_package, buffer: Vec::new() };
        sealer.seal_to_one(plain, self.coordinator_key.package(), &mut self.rng).unwrap().0
    }
}

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
