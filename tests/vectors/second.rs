//! A second implementation, in Python and from the protocol's text alone: it opens what is sealed here, and makes what
//! is opened here.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use common::crypto::{
    AgreementKey, EpochRoot, Identity, KeyPackage, Kind, Label, Manifest, Opener, PublicIdentity, Scope,
    Sealed, Sealer, Subject, Suite,
};
use common::id::{EpochId, NodeId, RoundId, RunId};
use common::message::Signed;
use common::message::announce::{Announcement, Member, Offer, Request};
use common::message::event::{Event, Fact};
use common::message::forward::{BridgePresence, IntakePresence};
use common::message::presence::{CoordinatorPresence, Mailbox, NodePresence, Standing, VERSION};
use common::message::receipt::{Receipt, Status};
use common::message::relay::RelayStatus;
use common::units::{Millis, Timestamp};
use common::wire::{Wire, decode, encode};
use harness::others::{Need, are_present, script};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{SUITES, subject};

/// Older versions of the first have no ML-KEM.
const NEEDS: [Need; 2] = [
    Need::Python("cryptography.hazmat.primitives.asymmetric.mlkem", "--upgrade cryptography"),
    Need::Python("blake3", "blake3"),
];

/// Lengths at which records and chunks begin and end.
const LENGTHS: [usize; 7] = [0, 1, 16_383, 16_384, 49_152, 49_153, 150_000];

/// The other implementation.
struct Peer {
    process: Process,
    public: PublicIdentity,
    package: KeyPackage,
}

impl Peer {
    fn begin(suite: Suite) -> Self {
        let mut process = Process::begin();
        let begun = process.ask(&json!({ "do": "begin", "suite": encode(&suite)[0] }));
        let public = PublicIdentity::from_bytes(&bytes(&begun["public"]).try_into().unwrap()).unwrap();
        let package: KeyPackage = decode(&bytes(&begun["package"])).unwrap();
        Self { process, public, package }
    }

    fn ask(&mut self, request: &Value) -> Value {
        self.process.ask(request)
    }
}

/// Where it runs; what it drew is printed when a test fails.
struct Process {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Process {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let drawn = File::create(folder.path().join("drawn")).unwrap();
        let mut python = Command::new("python3");
        python.arg(script("vectors/envelope.py"));
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(drawn);
        let mut child = python.spawn().unwrap();
        let ask = child.stdin.take().unwrap();
        let answer = BufReader::new(child.stdout.take().unwrap());
        Self { child, ask, answer, folder }
    }

    fn ask(&mut self, request: &Value) -> Value {
        let mut line = String::new();
        let asked = writeln!(self.ask, "{request}").and_then(|()| self.answer.read_line(&mut line));
        assert!(asked.is_ok() && !line.is_empty(), "no answer to {}: {asked:?}", request["do"]);
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let drawn = std::fs::read_to_string(self.folder.path().join("drawn"));
            println!("the other implementation said, and drew:\n{}", drawn.unwrap_or_default());
        }
    }
}

fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap()).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}

fn chunks(sealed: &Sealed) -> Vec<String> {
    (0..sealed.chunks()).map(|index| hex(sealed.chunk(index).unwrap())).collect()
}

/// What the other implementation sealed, opened.
fn open(mut opener: Opener, chunks: &Value) -> Vec<u8> {
    let mut plain = vec![0; opener.plain_bytes()];
    for (index, chunk) in (0..).zip(chunks.as_array().unwrap()) {
        opener.open_chunk(index, &bytes(chunk), &mut plain).unwrap();
    }
    opener.finish().unwrap();
    plain
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

/// This side: one identity and one agreement key, for whatever it is at the time.
struct Us {
    identity: Identity,
    key: AgreementKey,
}

impl Us {
    fn new(suite: Suite, rng: &mut ChaCha20Rng) -> Self {
        let identity = Identity::generate(rng);
        let key = AgreementKey::generate(suite, identity.node_id(), Timestamp(u64::MAX), rng);
        Self { identity, key }
    }

    fn public(&self) -> String {
        hex(self.identity.public().to_bytes())
    }

    fn sealer(&self, kind: Kind) -> Sealer<'_> {
        Sealer { identity: &self.identity, subject: subject(kind), next_package: None, buffer: Vec::new() }
    }
}

#[test]
fn another_implementation_opens_our_model_and_its_update_opens_here() {
    if are_present(&NEEDS) {
        SUITES.into_iter().for_each(it_is_our_node);
    }
}

fn it_is_our_node(suite: Suite) {
    let rng = &mut ChaCha20Rng::seed_from_u64(21);
    let (us, mut peer) = (Us::new(suite, rng), Peer::begin(suite));
    let Subject { tenant, run, round, epoch, .. } = subject(Kind::Model);
    for plain in LENGTHS.map(text) {
        let root = EpochRoot::generate(suite, rng);
        let scope = Scope { tenant, run, epoch, sender: us.identity.node_id() };
        let mut member = |package: &KeyPackage| {
            let (wrapped, keys) = root.wrap(package, &scope, rng).unwrap();
            (Member { node: package.node, package: package.nonce, root: wrapped }, keys)
        };
        // Its own is the second of two.
        let ((other, _), (own, keys)) = (member(us.key.package()), member(&peer.package));
        let model = us.sealer(Kind::Model).seal_to_group(&plain[..], &root, rng).unwrap();
        let offer = Offer { model: model.manifest().clone(), members: vec![other, own].try_into().unwrap() };
        let (issued, deadline, request) = (Timestamp(5), Millis(6), Request::Train(offer));
        let announcement = Announcement {
            tenant,
            run,
            round,
            epoch,
            taken_from: epoch,
            roster: 1,
            issued,
            deadline,
            request,
        };
        let announced = Signed::seal(&us.identity, Label::Announce, &announcement).unwrap();
        let taken = peer.ask(&json!({
            "do": "take_model", "public": us.public(), "announcement": hex(announced), "chunks": chunks(&model),
        }));
        assert!(bytes(&taken["plain"]) == plain, "{} bytes", plain.len());
        let receipt = Receipt::open(&bytes(&taken["receipt"]), peer.public.node_id(), &keys.pair);
        let blob = model.manifest().blob();
        assert_eq!(receipt, Some(Receipt { blob, seq: 7, status: Status::Complete }));

        let made = peer.ask(&json!({ "do": "make_update", "plain": hex(&plain) }));
        let manifest: Manifest = decode(&bytes(&made["manifest"])).unwrap();
        let manifest = manifest.verify(&peer.public).unwrap();
        assert_eq!(manifest.header.subject, Subject { trace: [0; 16], ..subject(Kind::Update) });
        assert_eq!(manifest.next_package.as_ref(), Some(&peer.package));
        let opener = Opener::for_coordinator(&manifest, us.identity.node_id(), &keys).unwrap();
        assert!(open(opener, &made["chunks"]) == plain, "{} bytes", plain.len());
    }
    let presence = peer.ask(&json!({ "do": "presence" }));
    let presence: Signed<NodePresence> =
        Signed::open(&bytes(&presence["presence"]), Label::Presence, |_| Some(&peer.public)).unwrap();
    assert_eq!((&presence.body.package, presence.body.standing), (&peer.package, Standing::Ready));
}

#[test]
fn a_model_that_another_implementation_offers_opens_here_and_it_opens_what_is_sealed_to_it() {
    if are_present(&NEEDS) {
        SUITES.into_iter().for_each(it_is_our_coordinator);
    }
}

fn it_is_our_coordinator(suite: Suite) {
    let rng = &mut ChaCha20Rng::seed_from_u64(22);
    let (us, mut peer) = (Us::new(suite, rng), Peer::begin(suite));
    let Subject { tenant, run, .. } = subject(Kind::Model);
    for plain in LENGTHS.map(text) {
        let made = peer.ask(&json!({
            "do": "announce", "package": hex(encode(us.key.package())), "tenant": hex(tenant.0),
            "run": hex(run.0), "plain": hex(&plain),
        }));
        let announcement: Signed<Announcement> =
            Signed::open(&bytes(&made["announcement"]), Label::Announce, |_| Some(&peer.public)).unwrap();
        let Request::Train(offer) = announcement.body.request else { panic!("it asks to train") };
        let scope = Scope { tenant, run, epoch: EpochId(4), sender: peer.public.node_id() };
        let (root, keys) = EpochRoot::unwrap(&offer.members[0].root, &us.key, &scope).unwrap();
        let manifest = offer.model.verify(&peer.public).unwrap();
        let opener = Opener::for_group(&manifest, &root).unwrap();
        assert!(open(opener, &made["chunks"]) == plain, "{} bytes", plain.len());

        // An update, and records from a bridge.
        let answer =
            us.sealer(Kind::Update).seal_to_coordinator(&plain[..], scope.sender, &keys, rng).unwrap();
        let (records, pair) = us.sealer(Kind::Records).seal_to_one(&plain[..], &peer.package, rng).unwrap();
        for (sealed, pair) in [(answer, keys.pair), (records, pair)] {
            let taken = peer.ask(&json!({
                "do": "take_sealed", "public": us.public(), "manifest": hex(encode(sealed.manifest())),
                "chunks": chunks(&sealed),
            }));
            assert!(bytes(&taken["plain"]) == plain, "{} bytes", plain.len());
            let receipt = Receipt::open(&bytes(&taken["receipt"]), peer.public.node_id(), &pair);
            let blob = sealed.manifest().blob();
            assert_eq!(receipt, Some(Receipt { blob, seq: 7, status: Status::Complete }));
        }
    }
}

#[test]
fn another_implementation_verifies_what_is_signed_here() {
    if !are_present(&NEEDS) {
        return;
    }
    let suite = Suite::XWing;
    let (us, mut peer) = (Us::new(suite, &mut ChaCha20Rng::seed_from_u64(23)), Peer::begin(suite));
    let (seq, mailbox, version) = (8, Mailbox::default(), VERSION);
    let presence = NodePresence {
        session: 7,
        seq,
        answers: 9,
        roster: 1,
        acted: None,
        certified: Timestamp::default(),
        package: us.key.package().clone(),
        mailbox,
        standing: Standing::Ready,
        works: Vec::new().try_into().unwrap(),
        drifted: Some(RunId([2; 16])),
        version,
    };
    let hello = CoordinatorPresence { seq, mailbox, heard: Vec::new().try_into().unwrap(), suite, version };
    let intake =
        IntakePresence { session: 7, seq, package: us.key.package().clone(), chunks: [1; 16], version };
    let heard = Vec::new().try_into().unwrap();
    let bridge = BridgePresence { seq, receipts: [1; 16], heard, suite, version };
    let fact = Fact::NodeBack { node: NodeId([3; 32]) };
    let event = Event { run: RunId([2; 16]), round: RoundId(3), at: Timestamp(4), fact };
    let status = RelayStatus {
        at: Timestamp(5),
        name: "hub".try_into().unwrap(),
        peers: Vec::new().try_into().unwrap(),
    };
    verifies(&us, &mut peer, Label::Presence, &presence);
    verifies(&us, &mut peer, Label::Hello, &hello);
    verifies(&us, &mut peer, Label::Intake, &intake);
    verifies(&us, &mut peer, Label::Bridge, &bridge);
    verifies(&us, &mut peer, Label::Event, &event);
    verifies(&us, &mut peer, Label::Relay, &status);
}

/// It finds the body, and nothing under another label or with the last bit of the body changed.
fn verifies(us: &Us, peer: &mut Peer, label: Label, body: &impl Wire) {
    let message = Signed::seal(&us.identity, label, body).unwrap();
    let mut altered = message.clone();
    altered[message.len() - 65] ^= 1;
    let mut check = |label: &str, message: &[u8]| {
        let request =
            json!({ "do": "check", "public": us.public(), "label": hex(label), "message": hex(message) });
        bytes(&peer.ask(&request)["body"])
    };
    assert_eq!(check(label.as_str(), &message), encode(body));
    assert!(check(label.as_str(), &altered).is_empty() && check("starling v1 manifest", &message).is_empty());
}
