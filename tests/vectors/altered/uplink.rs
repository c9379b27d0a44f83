//! Updates at the coordinator: what is not of this epoch's announcement is refused, for that reason.

use common::crypto::{
    AgreementKey, Identity, KeyPackage, Kind, Manifest, OpenError, OtherSuite, ReplayError, Sealer, Subject,
    Suite,
};
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId, TenantId};
use common::limits::OFFER_INDEX;
use common::units::{Millis, Timestamp};
use common::wire::encode;
use coordinator::exchange::{Epoch, Inadmissible, Step, Uplink};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::subject;

const NOW: Timestamp = Timestamp(1_000_000_000);
const SUITE: Suite = Suite::X25519;
const LIFE: Millis = Millis(1_000_000);
const UPDATE_BYTES: usize = 60_000;

/// A coordinator's epoch, two nodes of its cohort, and one that is on the list only.
struct Exchange {
    rng: ChaCha20Rng,
    nodes: [Identity; 3],
    epoch: Epoch,
    uplink: Uplink,
    offers: u8,
}

impl Exchange {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(15);
        let coordinator = Identity::generate(&mut rng).node_id();
        let nodes = [(); 3].map(|()| Identity::generate(&mut rng));
        let package = |node: &Identity| {
            AgreementKey::generate(SUITE, node.node_id(), NOW + LIFE, &mut rng).package().clone()
        };
        let packages: Vec<KeyPackage> = nodes[..2].iter().map(package).collect();
        let Subject { tenant, run, round, epoch, .. } = subject(Kind::Update);
        let cohort = packages.into_iter().map(|package| (package.node, package));
        let names = (tenant, run, round, epoch);
        let (epoch, ..) = Epoch::open(SUITE, names, coordinator, cohort, (NOW, LIFE), &mut rng);
        let uplink = Uplink::new(epoch.id, UPDATE_BYTES as u64, 8, 1_000_000, Vec::new());
        Self { rng, nodes, epoch, uplink, offers: 0 }
    }

    /// A key of the coordinator that is not this epoch's, or of somebody else.
    fn key(&mut self, suite: Suite, node: NodeId) -> AgreementKey {
        AgreementKey::generate(suite, node, NOW + LIFE, &mut self.rng)
    }

    /// What a node seals to a key; to the epoch's, when none is given.
    fn sealed(&mut self, node: usize, subject: Subject, bytes: usize, to: Option<&AgreementKey>) -> Manifest {
        let identity = &self.nodes[node];
        let sealer = Sealer { identity, subject, next_package: None, buffer: Vec::new() };
        let to = to.unwrap_or(&self.epoch.key).package();
        sealer.seal_to_one(&vec![6; bytes][..], to, &mut self.rng).unwrap().0.manifest().clone()
    }

    /// Offers these bytes, each time under another name.
    fn offer(&mut self, bytes: &[u8]) -> Result<Step, (Option<NodeId>, Inadmissible)> {
        let Self { nodes, epoch, uplink, offers, .. } = self;
        let key_of = |id| nodes.iter().map(Identity::public).find(|key| key.node_id() == id);
        *offers += 1;
        let piece = (BlobId([*offers; 32]), OFFER_INDEX, bytes);
        uplink.on_piece(epoch, key_of, piece, NOW, &mut Vec::new())
    }

    fn refusal(&mut self, manifest: &Manifest) -> (Option<NodeId>, Inadmissible) {
        self.offer(&encode(manifest)).expect_err("it is not admitted")
    }
}

#[test]
fn an_update_of_another_kind_tenant_run_round_or_epoch_is_of_elsewhere() {
    let mut exchange = Exchange::new();
    let ours = subject(Kind::Update);
    let others = [
        Subject { kind: Kind::Model, ..ours },
        Subject { kind: Kind::Records, ..ours },
        Subject { tenant: TenantId([9; 16]), ..ours },
        Subject { run: RunId([9; 16]), ..ours },
        Subject { round: RoundId(9), ..ours },
        Subject { epoch: EpochId(3), ..ours },
        Subject { epoch: EpochId(5), ..ours },
    ];
    for other in others {
        let manifest = exchange.sealed(0, other, UPDATE_BYTES, None);
        assert_eq!(exchange.refusal(&manifest), (None, Inadmissible::Elsewhere), "{other:?}");
    }
    assert!(!exchange.uplink.is_busy());
}

#[test]
fn an_update_of_a_sender_recipient_key_or_size_that_is_not_the_epochs_is_refused_by_name() {
    let mut exchange = Exchange::new();
    let [one, other, foreign] = [0, 1, 2].map(|node| exchange.nodes[node].node_id());
    let (ours, coordinator) = (subject(Kind::Update), exchange.epoch.key.package().node);
    let stranger = exchange.sealed(2, ours, UPDATE_BYTES, None);
    assert_eq!(exchange.refusal(&stranger), (None, Inadmissible::NotSelected), "{foreign:?}");
    // In the name of the other, by the bytes of the sender in the header.
    let mut bytes = encode(&exchange.sealed(0, ours, UPDATE_BYTES, None));
    let at = bytes.windows(32).position(|window| window == one.0).unwrap();
    bytes[at..at + 32].copy_from_slice(&other.0);
    let refused = exchange.offer(&bytes).unwrap_err();
    assert_eq!(refused, (None, OpenError::BadSignature.into()));
    let (to_other, old) = (exchange.key(SUITE, other), exchange.key(SUITE, coordinator));
    let misdirected = exchange.sealed(0, Subject { seq: 1, ..ours }, UPDATE_BYTES, Some(&to_other));
    assert_eq!(exchange.refusal(&misdirected), (Some(one), OpenError::WrongRecipient.into()));
    let stale = exchange.sealed(0, Subject { seq: 2, ..ours }, UPDATE_BYTES, Some(&old));
    assert_eq!(exchange.refusal(&stale), (Some(one), OpenError::WrongKey.into()));
    let hybrid = exchange.key(Suite::XWing, coordinator);
    let of_other_suite = exchange.sealed(0, ours, UPDATE_BYTES, Some(&hybrid));
    let other = OtherSuite { theirs: Suite::XWing, ours: SUITE };
    assert_eq!(exchange.refusal(&of_other_suite), (None, OpenError::WrongSuite(other).into()));
    let expected = UPDATE_BYTES as u64;
    for (seq, bytes) in [(3, 0), (4, UPDATE_BYTES - 1), (5, UPDATE_BYTES + 1)] {
        let sized = exchange.sealed(0, Subject { seq, ..ours }, bytes, None);
        let fault = Inadmissible::WrongSize { found: bytes as u64, expected };
        assert_eq!(exchange.refusal(&sized), (Some(one), fault));
    }
    assert!(!exchange.uplink.is_busy());
}

#[test]
fn an_update_that_was_taken_is_not_taken_again_under_its_name_or_another() {
    let mut exchange = Exchange::new();
    let sender = exchange.nodes[0].node_id();
    let ours = subject(Kind::Update);
    let manifest = exchange.sealed(0, ours, UPDATE_BYTES, None);
    assert!(matches!(exchange.offer(&encode(&manifest)), Ok(Step::Offered(node, None)) if node == sender));
    let again = exchange.sealed(0, ours, UPDATE_BYTES, None);
    let zero = exchange.sealed(0, Subject { seq: 0, ..ours }, UPDATE_BYTES, None);
    for (manifest, seq) in [(manifest, 1), (again, 1), (zero, 0)] {
        let replayed = ReplayError::Replayed { sender, seq, mark: 1 };
        assert_eq!(exchange.refusal(&manifest), (Some(sender), replayed.into()));
    }
    let other = exchange.sealed(1, ours, UPDATE_BYTES, None);
    assert!(exchange.offer(&encode(&other)).is_ok(), "the other node's first");
}

#[test]
fn an_offer_with_any_byte_changed_is_refused_and_whose_it_is_stays_unsure() {
    let mut exchange = Exchange::new();
    let bytes = encode(&exchange.sealed(0, subject(Kind::Update), UPDATE_BYTES, None));
    for index in 0..bytes.len() {
        exchange.offers = 0;
        let mut altered = bytes.clone();
        altered[index] ^= 1 + (index % 255) as u8;
        let (sender, fault) = exchange.offer(&altered).expect_err("it is not admitted");
        assert_eq!(sender, None, "byte {index}: {fault}");
        let is_right = matches!(
            fault,
            Inadmissible::Malformed(_)
                | Inadmissible::NotSelected
                | Inadmissible::Elsewhere
                | Inadmissible::Sealed(OpenError::BadSignature)
        );
        assert!(is_right, "byte {index}: {fault}");
    }
    assert!(matches!(exchange.offer(&bytes), Ok(Step::Offered(..))), "the slot is still its owner's");
}
