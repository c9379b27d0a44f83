//! Announcements at a node: it acts on those that its coordinator meant for it, once.

use std::collections::BTreeMap;

use common::crypto::{
    AgreementKey, EpochRoot, Identity, KeyPackage, Kind, Label, Manifest, Scope, Sealer, Subject, Suite,
};
use common::id::{EpochId, RoundId, RunId, TenantId};
use common::known::{Labels, Peer};
use common::message::Signed;
use common::message::announce::{Announcement, Member, Offer, Request};
use common::message::presence::{CoordinatorPresence, Mailbox, NodePresence, VERSION};
use common::roster::Roster;
use common::units::{Millis, Timestamp};
use node::participant::{Note, Output, Participant, Setup};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::subject;

const NOW: Timestamp = Timestamp(1_000_000_000);
const SUITE: Suite = Suite::X25519;

/// A node that was not asked anything yet, and whoever may ask it.
struct Hall {
    rng: ChaCha20Rng,
    coordinator: Identity,
    impostor: Identity,
    node: Participant,
    package: KeyPackage,
}

/// What of an announcement and of what it offers is another than it should be.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// What the announcement says.
    about: Subject,
    /// What the offered model says.
    model: Subject,
    /// What the root is wrapped under.
    wrapped: Subject,
}

impl Hall {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(16);
        let [coordinator, impostor, identity] = [(); 3].map(|()| Identity::generate(&mut rng));
        let mut roster = Roster::new("test", *coordinator.public());
        let (name, key, labels) = ("node-1".to_owned(), *identity.public(), Labels::new());
        roster.admit(Peer { name, key, labels });
        let setup = Setup {
            identity,
            suite: SUITE,
            operator: *coordinator.public(),
            roster: Some(roster),
            tenant: subject(Kind::Model).tenant,
            mailbox: Mailbox::default(),
            marks: BTreeMap::new(),
            acted: BTreeMap::new(),
            certified: Timestamp::default(),
            window: 8,
            random: ChaCha20Rng::seed_from_u64(17),
        };
        let mut node = Participant::new(setup, NOW);
        let mut out = Vec::new();
        node.on_leave(NOW, &mut out);
        let Some(Output::Presence(bytes)) = out.pop() else { panic!("it says goodbye") };
        // The body follows the id of the signer.
        let presence: NodePresence = common::wire::decode(&bytes[32..bytes.len() - 64]).unwrap();
        Self { rng, coordinator, impostor, node, package: presence.package }
    }

    /// The offered model, by the coordinator or by another.
    fn model(&mut self, subject: Subject, root: &EpochRoot, is_ours: bool) -> Manifest {
        let identity = if is_ours { &self.coordinator } else { &self.impostor };
        let sealer = Sealer { identity, subject, next_package: None, buffer: Vec::new() };
        sealer.seal_to_group(&[6; 100][..], root, &mut self.rng).unwrap().manifest().clone()
    }

    fn announcement(&mut self, asked: Asked, change: impl FnOnce(&mut Offer, &mut Self)) -> Announcement {
        let Subject { tenant, run, round, epoch, .. } = asked.about;
        let root = EpochRoot::generate(SUITE, &mut self.rng);
        let sender = self.coordinator.node_id();
        let of = asked.wrapped;
        let scope = Scope { tenant: of.tenant, run: of.run, epoch: of.epoch, sender };
        let (wrapped, _) = root.wrap(&self.package, &scope, &mut self.rng).unwrap();
        let member = Member { node: self.node.node(), package: self.package.nonce, root: wrapped };
        let model = self.model(asked.model, &root, true);
        let mut offer = Offer { model, members: vec![member].try_into().unwrap() };
        change(&mut offer, self);
        let (taken_from, issued, deadline) = (epoch, NOW, Millis(10_000));
        let (roster, request) = (1, Request::Train(offer));
        Announcement { tenant, run, round, epoch, taken_from, roster, issued, deadline, request }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<Output> {
        let mut out = Vec::new();
        self.node.on_announcement(bytes, NOW, &mut out);
        out
    }

    /// Why the node does not act on what its coordinator announced.
    fn refusal(&mut self, announcement: &Announcement) -> String {
        let bytes = Signed::seal(&self.coordinator, Label::Announce, announcement).unwrap();
        let out = self.hear(&bytes);
        assert!(!out.iter().any(|output| matches!(output, Output::Mark { .. })), "{out:?}");
        let reason = out.into_iter().find_map(|output| match output {
            Output::Note(Note::Ignored { reason, .. } | Note::Declined { reason, .. }) => Some(reason),
            _ => None,
        });
        reason.expect("it says why")
    }
}

/// Everything as it should be.
fn right() -> Asked {
    let about = subject(Kind::Model);
    Asked { about, model: about, wrapped: about }
}

/// Another tenant, run, round, epoch and kind.
fn others() -> [Subject; 6] {
    let ours = subject(Kind::Model);
    [
        Subject { tenant: TenantId([9; 16]), ..ours },
        Subject { run: RunId([9; 16]), ..ours },
        Subject { epoch: EpochId(3), ..ours },
        Subject { epoch: EpochId(5), ..ours },
        Subject { round: RoundId(9), ..ours },
        Subject { kind: Kind::Update, ..ours },
    ]
}

const OTHER_SUITE: &str = "its suite is \"x-wing\" and here it is \"x25519\"";
const WRONG_KEY: &str = "sealed with another key or under another header";

#[test]
fn a_model_of_another_tenant_run_round_epoch_or_kind_than_its_announcement_is_refused() {
    for model in others() {
        let mut hall = Hall::new();
        let announcement = hall.announcement(Asked { model, ..right() }, |_, _| ());
        assert_eq!(hall.refusal(&announcement), "its model belongs to another announcement", "{model:?}");
    }
}

#[test]
fn a_root_that_was_wrapped_for_another_tenant_run_or_epoch_is_refused() {
    for wrapped in &others()[..4] {
        let mut hall = Hall::new();
        let announcement = hall.announcement(Asked { wrapped: *wrapped, ..right() }, |_, _| ());
        assert_eq!(hall.refusal(&announcement), WRONG_KEY, "{wrapped:?}");
    }
}

#[test]
fn an_announcement_of_another_tenant_is_refused() {
    let mut hall = Hall::new();
    let [about, ..] = others();
    let announcement = hall.announcement(Asked { about, model: about, wrapped: about }, |_, _| ());
    assert_eq!(hall.refusal(&announcement), "of another tenant");
}

/// What of an offer is from elsewhere.
type Change = fn(&mut Offer, &mut Hall);

/// Changes, and why the node refuses what comes of each.
const ELSEWHERE: [(Change, &str); 6] = [
    // Sealed under another root than the one that is wrapped.
    (
        |offer, hall| {
            let root = EpochRoot::generate(SUITE, &mut hall.rng);
            offer.model = hall.model(subject(Kind::Model), &root, true);
        },
        WRONG_KEY,
    ),
    // By another than the one that announced it.
    (
        |offer, hall| {
            let root = EpochRoot::generate(SUITE, &mut hall.rng);
            offer.model = hall.model(subject(Kind::Model), &root, false);
        },
        "as its sender",
    ),
    // To the node alone: models are for the group.
    (
        |offer, hall| {
            let (identity, subject) = (&hall.coordinator, subject(Kind::Model));
            let sealer = Sealer { identity, subject, next_package: None, buffer: Vec::new() };
            let sealed = sealer.seal_to_one(&[6; 100][..], &hall.package, &mut hall.rng);
            offer.model = sealed.unwrap().0.manifest().clone();
        },
        "sealed to another recipient",
    ),
    // Another node's root in the name of this one.
    (
        |offer, hall| {
            let other =
                AgreementKey::generate(SUITE, hall.impostor.node_id(), NOW + Millis(1), &mut hall.rng);
            let Subject { tenant, run, epoch, .. } = subject(Kind::Model);
            let scope = Scope { tenant, run, epoch, sender: hall.coordinator.node_id() };
            let root = EpochRoot::generate(SUITE, &mut hall.rng);
            let mut members = offer.members.to_vec();
            members[0].root = root.wrap(other.package(), &scope, &mut hall.rng).unwrap().0;
            offer.members = members.try_into().unwrap();
        },
        WRONG_KEY,
    ),
    // To a package that the node never told of, or has erased.
    (
        |offer, _| {
            let mut members = offer.members.to_vec();
            members[0].package = [9; 16];
            offer.members = members.try_into().unwrap();
        },
        "its keys are wrapped to a package that was erased",
    ),
    // Sealed in another suite.
    (
        |offer, hall| {
            let root = EpochRoot::generate(Suite::XWing, &mut hall.rng);
            offer.model = hall.model(subject(Kind::Model), &root, true);
        },
        OTHER_SUITE,
    ),
];

#[test]
fn an_offer_with_a_model_a_root_or_a_package_from_elsewhere_is_refused() {
    for (change, expected) in ELSEWHERE {
        let mut hall = Hall::new();
        let announcement = hall.announcement(right(), change);
        let reason = hall.refusal(&announcement);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn an_announcement_of_another_signer_or_with_any_byte_changed_is_refused() {
    let mut hall = Hall::new();
    let announcement = hall.announcement(right(), |_, _| ());
    let unknown = Signed::seal(&hall.impostor, Label::Announce, &announcement).unwrap();
    let bytes = Signed::seal(&hall.coordinator, Label::Announce, &announcement).unwrap();
    let reason_of = |out: Vec<Output>| match &out[..] {
        [Output::Note(Note::Ignored { topic: "announce", reason })] => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert!(reason_of(hall.hear(&unknown)).starts_with("unknown sender "));
    for index in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[index] ^= 1 + (index % 255) as u8;
        let reason = reason_of(hall.hear(&altered));
        let expected = if index < 32 { "unknown sender " } else { "wrong signature in the name of " };
        assert!(reason.starts_with(expected), "byte {index}: {reason}");
    }
    assert!(hall.hear(&bytes).iter().any(|output| matches!(output, Output::Mark { .. })), "the right one");
}

#[test]
fn an_announcement_takes_effect_once_and_an_older_one_never_after_it() {
    let mut hall = Hall::new();
    let announcement = hall.announcement(right(), |_, _| ());
    let earlier = Subject { epoch: EpochId(3), ..subject(Kind::Model) };
    let older = Asked { about: earlier, model: earlier, wrapped: earlier };
    let older = hall.announcement(older, |_, _| ());
    let [newest, older] = [&announcement, &older]
        .map(|announcement| Signed::seal(&hall.coordinator, Label::Announce, announcement).unwrap());
    let acts = |out: Vec<Output>| out.iter().any(|output| matches!(output, Output::Mark { .. }));
    assert!(acts(hall.hear(&newest)));
    for replayed in [&newest, &older] {
        assert!(hall.hear(replayed).is_empty(), "it is as if it had not come");
    }
}

#[test]
fn a_hello_of_another_suite_is_not_believed_whoever_signed_it_and_told_of_once() {
    let mut hall = Hall::new();
    let of = |suite, seq| CoordinatorPresence {
        seq,
        mailbox: Mailbox { chunks: [1; 16], receipts: [2; 16] },
        heard: Vec::new().try_into().unwrap(),
        suite,
        version: VERSION,
    };
    let other = Signed::seal(&hall.coordinator, Label::Hello, &of(Suite::XWing, 1)).unwrap();
    let ours = Signed::seal(&hall.coordinator, Label::Hello, &of(SUITE, 2)).unwrap();
    let mut out = Vec::new();
    for mut hello in [other.clone(), other] {
        // Nobody looks at the signature.
        *hello.last_mut().unwrap() ^= 1;
        assert_eq!(hall.node.on_coordinator(&hello, NOW, &mut out), None);
    }
    let [Output::Note(note @ Note::Elsewhere(_))] = &out[..] else { panic!("{out:?}") };
    assert!(note.to_string().contains(OTHER_SUITE) && note.to_string().contains("`suite = "), "{note}");
    assert!(hall.node.on_coordinator(&ours, NOW, &mut out).is_some(), "the right one");
}
