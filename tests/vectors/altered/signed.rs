//! Control messages: every byte of each is its signer's, for one purpose.

use std::fmt::Debug;

use common::crypto::{Identity, Kind, Label, Scope, Suite};
use common::id::{EpochId, NodeId, RoundId, RunId, TenantId};
use common::limits::MESSAGE_BYTES_MAX;
use common::message::announce::{Announcement, Member, Offer, Request};
use common::message::event::{Event, Fact, reason};
use common::message::forward::{BridgePresence, IntakePresence};
use common::message::presence::{
    Activity, CoordinatorPresence, Heard, Mailbox, NodePresence, Standing, VERSION, Work,
};
use common::message::relay::{RelayPeer, RelayStatus};
use common::message::{Signed, SignedError};
use common::units::{Millis, Timestamp};
use common::wire::{Fault, Wire, WireError, encode};
use rand::RngExt;

use crate::{World, subject};

/// Bytes of a signer's id, which begins a message, and of the signature, which ends it.
const SIGNER_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// The purposes that messages are signed for.
const PURPOSES: [Label; 7] = [
    Label::Announce,
    Label::Hello,
    Label::Presence,
    Label::Event,
    Label::Intake,
    Label::Bridge,
    Label::Relay,
];

fn announcement(world: &mut World) -> Announcement {
    let (tenant, run, epoch) = (TenantId([1; 16]), RunId([2; 16]), EpochId(4));
    let scope = Scope { tenant, run, epoch, sender: world.coordinator.node_id() };
    let (root, _) = world.epoch_root.wrap(world.node_key.package(), &scope, &mut world.rng).unwrap();
    let node = world.node.node_id();
    let member = Member { node, package: world.node_key.package().nonce, root };
    let offer = Offer {
        model: world.sealed(subject(Kind::Model), b"m").manifest().clone(),
        members: vec![member].try_into().unwrap(),
    };
    let (round, taken_from, issued, deadline) = (RoundId(3), epoch, Timestamp(5), Millis(6));
    let (roster, request) = (1, Request::Train(offer));
    Announcement { tenant, run, round, epoch, taken_from, roster, issued, deadline, request }
}

fn presence(world: &World) -> NodePresence {
    let work = Work { run: RunId([4; 16]), epoch: EpochId(5), activity: Activity::Training, progress: 6 };
    NodePresence {
        session: 7,
        seq: 8,
        answers: 9,
        roster: 1,
        acted: None,
        certified: Timestamp::default(),
        package: world.node_key.package().clone(),
        mailbox: Mailbox::default(),
        standing: Standing::Ready,
        works: vec![work].try_into().unwrap(),
        drifted: Some(RunId([4; 16])),
        version: VERSION,
    }
}

fn intake(world: &World) -> IntakePresence {
    let package = world.node_key.package().clone();
    IntakePresence { session: 7, seq: 8, package, chunks: [9; 16], version: VERSION }
}

fn status() -> RelayStatus {
    let name = "hub".try_into().unwrap();
    let peer = RelayPeer { name, is_connected: true, samples: 1, bytes: 2, dropped: 3 };
    RelayStatus { at: Timestamp(5), name: "spoke".try_into().unwrap(), peers: vec![peer].try_into().unwrap() }
}

#[test]
fn every_byte_of_each_signed_message_is_its_signers_for_its_purpose() {
    let mut world = World::new(11);
    let heard = vec![Heard { node: NodeId([4; 32]), session: 5 }];
    let hello = CoordinatorPresence {
        seq: 6,
        mailbox: Mailbox::default(),
        heard: heard.clone().try_into().unwrap(),
        suite: Suite::X25519,
        version: VERSION,
    };
    let bridge = BridgePresence {
        seq: 6,
        receipts: [7; 16],
        heard: heard.try_into().unwrap(),
        suite: Suite::X25519,
        version: VERSION,
    };
    let fact = Fact::RoundAborted { reason: reason("too few") };
    let event = Event { run: RunId([2; 16]), round: RoundId(3), at: Timestamp(4), fact };
    let (presence, intake, announcement) = (presence(&world), intake(&world), announcement(&mut world));
    is_its_signers(&mut world, Label::Announce, &announcement);
    is_its_signers(&mut world, Label::Hello, &hello);
    is_its_signers(&mut world, Label::Presence, &presence);
    is_its_signers(&mut world, Label::Event, &event);
    is_its_signers(&mut world, Label::Intake, &intake);
    is_its_signers(&mut world, Label::Bridge, &bridge);
    is_its_signers(&mut world, Label::Relay, &status());
}

/// Changes, cuts, extends a message in all places, reads it for other purposes and in the name of others.
fn is_its_signers<T: Wire + Debug + PartialEq>(world: &mut World, label: Label, body: &T) {
    let signer = world.coordinator.node_id();
    let bytes = Signed::seal(&world.coordinator, label, body).unwrap();
    let (ours, other) = (world.coordinator.public(), world.node.public());
    let open = |bytes: &[u8], label| {
        Signed::<T>::open(bytes, label, |node| [ours, other].into_iter().find(|key| key.node_id() == node))
    };
    assert_eq!(open(&bytes, label).map(|signed| signed.body).as_ref(), Ok(body));
    let wrong = Err(SignedError::WrongSignature(signer));
    for index in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[index] ^= world.rng.random_range(1..=255u8);
        match open(&altered, label) {
            Err(SignedError::UnknownSender(named)) => {
                assert!(index < SIGNER_BYTES && named != signer, "{label:?}, byte {index}");
            }
            refused => {
                assert!(index >= SIGNER_BYTES);
                assert_eq!(refused, wrong, "{label:?}, byte {index}");
            }
        }
    }
    for length in 0..bytes.len() {
        let refused = open(&bytes[..length], label);
        if length < SIGNER_BYTES + SIGNATURE_BYTES {
            let is_short = |error: &SignedError| {
                matches!(error, SignedError::Malformed(WireError { fault: Fault::Short, .. }))
            };
            assert!(refused.as_ref().is_err_and(is_short), "{label:?}, {length} bytes: {refused:?}");
        } else {
            assert_eq!(refused, wrong, "{label:?}, {length} bytes");
        }
    }
    assert_eq!(open(&[&bytes[..], &[0]].concat(), label), wrong);
    for purpose in PURPOSES.into_iter().filter(|purpose| *purpose != label) {
        assert_eq!(open(&bytes, purpose), wrong, "{label:?} read as {purpose:?}");
    }
    // In the name of another, with his id and with his signature.
    let mut renamed = bytes.clone();
    renamed[..SIGNER_BYTES].copy_from_slice(&other.node_id().0);
    assert_eq!(open(&renamed, label), Err(SignedError::WrongSignature(other.node_id())));
    let resigned = Signed::seal(&world.node, label, body).unwrap();
    let mut signature = bytes.clone();
    let at = bytes.len() - SIGNATURE_BYTES;
    signature[at..].copy_from_slice(&resigned[at..]);
    assert_eq!(open(&signature, label), wrong);
    are_one_value(&world.coordinator, label, body);
}

/// What a known key signed is read only if it is one whole value.
fn are_one_value<T: Wire + Debug + PartialEq>(identity: &Identity, label: Label, body: &T) {
    let open = |body: &[u8]| {
        let signed = [&identity.node_id().0[..], body].concat();
        let bytes = [&signed[..], &identity.sign(label, &signed).unwrap().0].concat();
        match Signed::<T>::open(&bytes, label, |_| Some(identity.public())) {
            Err(SignedError::Malformed(WireError { fault, .. })) => fault,
            other => panic!("{label:?}: {other:?}"),
        }
    };
    let bytes = encode(body);
    assert_eq!(open(&[&bytes[..], &[0]].concat()), Fault::Trailing);
    for length in 0..bytes.len() {
        assert_eq!(open(&bytes[..length]), Fault::Short, "{label:?}, {length} bytes");
    }
}

#[test]
fn a_message_over_the_limit_is_refused_before_anything_of_it_is_read() {
    let world = World::new(12);
    let bytes = vec![0; MESSAGE_BYTES_MAX + 1];
    let opened = Signed::<RelayStatus>::open(&bytes, Label::Relay, |_| Some(world.node.public()));
    assert_eq!(opened, Err(SignedError::TooLong(MESSAGE_BYTES_MAX + 1)));
}
