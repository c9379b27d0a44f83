//! Updates at the coordinator: what is not of this epoch's announcement is refused, for that reason.

use common::crypto::{
    AgreementKey, EpochRoot, Identity, Kind, Manifest, MemberKeys, OpenError, OtherSuite, ReplayError, Scope,
    Sealer, Subject, Suite,
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
    /// What the nodes of the cohort made of its announcement; of the other, of an epoch of its own.
    keys: Vec<MemberKeys>,
    uplink: Uplink,
    offers: u8,
}

impl Exchange {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(15);
        let coordinator = Identity::generate(&mut rng).node_id();
        let nodes = [(); 3].map(|()| Identity::generate(&mut rng));
        let ids = nodes.each_ref().map(Identity::node_id);
        let (epoch, mut keys) = opened(SUITE, coordinator, &ids[..2], &mut rng);
        keys.extend(opened(SUITE, coordinator, &ids[2..], &mut rng).1);
        let uplink = Uplink::new(epoch.id, UPDATE_BYTES as u64, 8, 1_000_000, Vec::new());
        Self { rng, nodes, epoch, keys, uplink, offers: 0 }
    }

    /// What a node seals to the coordinator with its keys of the epoch.
    fn sealed(&mut self, node: usize, subject: Subject, bytes: usize) -> Manifest {
        let (to, keys) = (self.epoch.coordinator, &self.keys[node]);
        sealed(&self.nodes[node], subject, bytes, (to, keys), &mut self.rng)
    }

    /// What it seals to somebody else, or with other keys.
    fn sealed_to(&mut self, node: usize, subject: Subject, to: (NodeId, &MemberKeys)) -> Manifest {
        sealed(&self.nodes[node], subject, UPDATE_BYTES, to, &mut self.rng)
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

/// An epoch of these nodes, and what each of them makes of it.
fn opened(
    suite: Suite,
    coordinator: NodeId,
    nodes: &[NodeId],
    rng: &mut ChaCha20Rng,
) -> (Epoch, Vec<MemberKeys>) {
    let own: Vec<AgreementKey> =
        nodes.iter().map(|node| AgreementKey::generate(suite, *node, NOW + LIFE, rng)).collect();
    let Subject { tenant, run, round, epoch, .. } = subject(Kind::Update);
    let cohort = own.iter().map(|key| (key.package().node, key.package().clone()));
    let (opened, members, _) = Epoch::open(suite, (tenant, run, round, epoch), coordinator, cohort, rng);
    let scope = Scope { tenant, run, epoch, sender: coordinator };
    let keys =
        own.iter().zip(&members).map(|(key, member)| EpochRoot::unwrap(&member.root, key, &scope).unwrap().1);
    let keys = keys.collect();
    (opened, keys)
}

fn sealed(
    identity: &Identity,
    subject: Subject,
    bytes: usize,
    (to, keys): (NodeId, &MemberKeys),
    rng: &mut ChaCha20Rng,
) -> Manifest {
    let sealer = Sealer { identity, subject, next_package: None, buffer: Vec::new() };
    sealer.seal_to_coordinator(&vec![6; bytes][..], to, keys, rng).unwrap().manifest().clone()
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
        let manifest = exchange.sealed(0, other, UPDATE_BYTES);
        assert_eq!(exchange.refusal(&manifest), (None, Inadmissible::Elsewhere), "{other:?}");
    }
    assert!(!exchange.uplink.is_busy());
}

#[test]
fn an_update_of_a_sender_recipient_key_or_size_that_is_not_the_epochs_is_refused_by_name() {
    let mut exchange = Exchange::new();
    let [one, other, foreign] = [0, 1, 2].map(|node| exchange.nodes[node].node_id());
    let (ours, coordinator) = (subject(Kind::Update), exchange.epoch.coordinator);
    let stranger = exchange.sealed(2, ours, UPDATE_BYTES);
    assert_eq!(exchange.refusal(&stranger), (None, Inadmissible::NotSelected), "{foreign:?}");
    // In the name of the other, by the bytes of the sender in the header.
    let mut bytes = encode(&exchange.sealed(0, ours, UPDATE_BYTES));
    let at = bytes.windows(32).position(|window| window == one.0).unwrap();
    bytes[at..at + 32].copy_from_slice(&other.0);
    let refused = exchange.offer(&bytes).unwrap_err();
    assert_eq!(refused, (None, OpenError::BadSignature.into()));
    let own = [SUITE, SUITE, Suite::XWing]
        .map(|suite| opened(suite, coordinator, &[one], &mut exchange.rng).1.remove(0));
    let misdirected = exchange.sealed_to(0, Subject { seq: 1, ..ours }, (other, &own[0]));
    assert_eq!(exchange.refusal(&misdirected), (Some(one), OpenError::WrongRecipient.into()));
    let stale = exchange.sealed_to(0, Subject { seq: 2, ..ours }, (coordinator, &own[1]));
    assert_eq!(exchange.refusal(&stale), (Some(one), OpenError::WrongKey.into()));
    let of_other_suite = exchange.sealed_to(0, ours, (coordinator, &own[2]));
    let other = OtherSuite { theirs: Suite::XWing, ours: SUITE };
    assert_eq!(exchange.refusal(&of_other_suite), (None, OpenError::WrongSuite(other).into()));
    let expected = UPDATE_BYTES as u64;
    for (seq, bytes) in [(3, 0), (4, UPDATE_BYTES - 1), (5, UPDATE_BYTES + 1)] {
        let sized = exchange.sealed(0, Subject { seq, ..ours }, bytes);
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
    let manifest = exchange.sealed(0, ours, UPDATE_BYTES);
    assert!(matches!(exchange.offer(&encode(&manifest)), Ok(Step::Offered(node, None)) if node == sender));
    let again = exchange.sealed(0, ours, UPDATE_BYTES);
    let zero = exchange.sealed(0, Subject { seq: 0, ..ours }, UPDATE_BYTES);
    for (manifest, seq) in [(manifest, 1), (again, 1), (zero, 0)] {
        let replayed = ReplayError::Replayed { sender, seq, mark: 1 };
        assert_eq!(exchange.refusal(&manifest), (Some(sender), replayed.into()));
    }
    let other = exchange.sealed(1, ours, UPDATE_BYTES);
    assert!(exchange.offer(&encode(&other)).is_ok(), "the other node's first");
}

#[test]
fn an_offer_with_any_byte_changed_is_refused_and_whose_it_is_stays_unsure() {
    let mut exchange = Exchange::new();
    let bytes = encode(&exchange.sealed(0, subject(Kind::Update), UPDATE_BYTES));
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
