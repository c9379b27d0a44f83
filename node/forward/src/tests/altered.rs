//! Batches at a node: what is not telemetry of its tenant, from a bridge that it lists and to its own key, is refused.

use common::crypto::{AgreementKey, KeyPackage, Kind, Label, Manifest, Sealer, Subject, Suite};
use common::id::{BlobId, EpochId, RoundId, RunId, TenantId};
use common::limits::OFFER_INDEX;
use common::message::Signed;
use common::message::forward::{BridgePresence, IntakePresence};
use common::message::presence::VERSION;
use common::units::{Millis, Timestamp};
use common::wire::encode;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{identity, known, tenant};
use crate::dispatch::{self, Dispatch};
use crate::inbox::{Inbox, Note, Output, Setup};
use crate::limits::BATCH_BYTES_MAX;

const NOW: Timestamp = Timestamp(1_000_000_000);

/// A bridge on the node's list, one that is not, and the node.
const BRIDGE: u64 = 10;
const STRANGER: u64 = 11;
const NODE: u64 = 20;

fn random() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// A node, and the package that it tells of.
fn inbox() -> (Inbox, KeyPackage) {
    let (identity, bridges) = (identity(NODE), known(&[BRIDGE]));
    let key = *identity.public();
    let suite = Suite::X25519;
    let setup =
        Setup { identity, suite, tenant: tenant(), bridges, chunks: [1; 16], window: 8, random: random() };
    let mut inbox = Inbox::new(setup, NOW);
    let mut out = Vec::new();
    inbox.on_tick(NOW, &mut out);
    let Some(Output::Presence(hello)) = out.pop() else { panic!("it says hello") };
    let presence: IntakePresence = Signed::open(&hello, Label::Intake, |_| Some(&key)).unwrap().body;
    (inbox, presence.package)
}

fn subject() -> Subject {
    let (run, round, epoch) = (RunId::default(), RoundId(0), EpochId(0));
    Subject { kind: Kind::Records, tenant: tenant(), run, round, epoch, seq: 1, trace: [0; 16] }
}

fn sealed(by: u64, subject: Subject, bytes: usize, to: &KeyPackage) -> Manifest {
    let sealer = Sealer { identity: &identity(by), subject, next_package: None, buffer: Vec::new() };
    sealer.seal_to_one(&vec![6; bytes][..], to, &mut random()).unwrap().0.manifest().clone()
}

/// A package of somebody that this node never told of.
fn package_of(suite: Suite, node: u64) -> KeyPackage {
    AgreementKey::generate(suite, identity(node).node_id(), NOW + Millis(1), &mut random()).package().clone()
}

/// Why an offer is refused; `None` when it is not.
fn refusal(inbox: &mut Inbox, offer: &[u8]) -> Option<String> {
    let mut out = Vec::new();
    inbox.on_piece(BlobId([1; 32]), OFFER_INDEX, offer, NOW, &mut out);
    out.into_iter().find_map(|output| match output {
        Output::Note(Note::Ignored { topic: "record_chunk", reason }) => Some(reason),
        _ => None,
    })
}

#[test]
fn a_batch_of_another_sender_kind_tenant_recipient_key_or_size_is_refused_as_such() {
    let (mut inbox, package) = inbox();
    let (ours, large) = (subject(), BATCH_BYTES_MAX + 1);
    let update = Subject { kind: Kind::Update, ..ours };
    let foreign = Subject { tenant: TenantId([9; 16]), ..ours };
    let unknown = format!("unknown sender {}", identity(STRANGER).node_id());
    let cases = [
        (sealed(STRANGER, ours, 9, &package), &unknown[..]),
        (sealed(BRIDGE, update, 9, &package), "not telemetry from bridge `peer-10` to this node"),
        (
            sealed(BRIDGE, ours, 9, &package_of(Suite::X25519, 21)),
            "not telemetry from bridge `peer-10` to this node",
        ),
        (sealed(BRIDGE, foreign, 9, &package), "telemetry of another tenant from bridge `peer-10`"),
        (sealed(BRIDGE, ours, large, &package), "bytes from bridge `peer-10` are more than a batch may have"),
        (
            sealed(BRIDGE, ours, 9, &package_of(Suite::X25519, NODE)),
            "bridge `peer-10`: sealed with another key or under another header",
        ),
        (
            sealed(BRIDGE, ours, 9, &package_of(Suite::XWing, NODE)),
            "`suite = \"x-wing\"` here, in coordinator.toml or node.toml",
        ),
    ];
    for (manifest, expected) in cases {
        let reason = refusal(&mut inbox, &encode(&manifest)).expect("it is refused");
        assert!(reason.ends_with(expected), "{reason}");
    }
    assert_eq!(refusal(&mut inbox, &encode(&sealed(BRIDGE, ours, 9, &package))), None);
}

#[test]
fn an_offer_with_any_byte_changed_is_refused() {
    let (mut inbox, package) = inbox();
    let bytes = encode(&sealed(BRIDGE, subject(), 9, &package));
    for index in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[index] ^= 1 + (index % 255) as u8;
        assert!(refusal(&mut inbox, &altered).is_some(), "byte {index}");
    }
}

/// A bridge that forwards to the node.
fn dispatch() -> Dispatch {
    let owners = vec![(tenant(), identity(NODE).node_id())];
    let (identity, suite, nodes, random) = (identity(BRIDGE), Suite::X25519, known(&[NODE]), random());
    Dispatch::new(dispatch::Setup { identity, suite, nodes, owners, receipts: [1; 16], random }, NOW)
}

#[test]
fn a_bridge_and_a_node_of_two_suites_do_not_listen_to_each_other_and_say_so_once() {
    let (mut dispatch, (mut inbox, _)) = (dispatch(), inbox());
    let package = package_of(Suite::XWing, NODE);
    let intake = IntakePresence { session: 1, seq: 2, package, chunks: [3; 16], version: VERSION };
    let intake = Signed::seal(&identity(NODE), Label::Intake, &intake).unwrap();
    let heard = Vec::new().try_into().unwrap();
    let bridge = BridgePresence { seq: 2, receipts: [3; 16], heard, suite: Suite::XWing, version: VERSION };
    let bridge = Signed::seal(&identity(BRIDGE), Label::Bridge, &bridge).unwrap();
    let (mut at_bridge, mut at_node) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        assert_eq!(dispatch.on_presence(&intake, NOW, &mut at_bridge), None);
        assert_eq!(inbox.on_hello(&bridge, NOW, &mut at_node), None);
    }
    let [dispatch::Output::Note(at_bridge)] = &at_bridge[..] else { panic!("{at_bridge:?}") };
    let [Output::Note(at_node)] = &at_node[..] else { panic!("{at_node:?}") };
    for (note, who) in [(at_bridge.to_string(), "node `peer-20`"), (at_node.to_string(), "bridge `peer-10`")]
    {
        assert!(note.starts_with(who) && note.contains("its suite is \"x-wing\""), "{note}");
    }
}

#[test]
fn a_key_package_of_another_node_is_refused_as_such() {
    let mut dispatch = dispatch();
    for (node, version, expected) in [
        (STRANGER, VERSION, "offers a key package of another node"),
        (NODE, VERSION + 1, "speaks version 2, this is version 1"),
    ] {
        let presence = IntakePresence {
            session: 1,
            seq: 2,
            package: package_of(Suite::X25519, node),
            chunks: [3; 16],
            version,
        };
        let mut out = Vec::new();
        let hello = Signed::seal(&identity(NODE), Label::Intake, &presence).unwrap();
        assert_eq!(dispatch.on_presence(&hello, NOW, &mut out), None);
        assert!(
            matches!(&out[..], [dispatch::Output::Note(dispatch::Note::Ignored(reason))] if reason.ends_with(expected)),
            "{out:?}"
        );
    }
}
