//! A sealed blob, between the project's `dds` and Cyclone DDS: whoever sends leaves some chunks out at first, and the
//! other end's receipts get them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::blob::{Arrival, Incoming, Outgoing, Send};
use common::crypto::{EpochRoot, Identity, Kind, Label, Manifest, Opener, Sealed, Sealer, Subject, Suite};
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId, TenantId};
use common::limits::OFFER_INDEX;
use common::message::Signed;
use common::message::presence::{CoordinatorPresence, Heard, Mailbox, VERSION};
use common::message::receipt::{Receipt, Status};
use common::units::Timestamp;
use common::wire::{decode, encode};
use dds::{Config, Participant, Reader, ReaderAddress, Sample, Writer, topics};
use edge::now;
use harness::others::{are_here, script};
use harness::programs::{Daemon, wait_until};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{CYCLONE, domain};

/// Chunks that may be unconfirmed.
const WINDOW: u32 = 8;

/// Far longer than a transfer of two megabytes takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the client says of itself; it has no key to sign with.
struct Told {
    session: u64,
    mailbox: Mailbox,
    answered: bool,
}

common::wire_fields!(Told { session, mailbox, answered });

/// A sealed value of 43 chunks, the last one not full, and what opens it.
struct Value {
    identity: Identity,
    root: EpochRoot,
    plain: Vec<u8>,
    sealed: Sealed,
}

fn value(kind: Kind) -> Value {
    let mut random = ChaCha20Rng::seed_from_u64(5);
    let identity = Identity::generate(&mut random);
    let root = EpochRoot::generate(Suite::X25519, &mut random);
    let plain: Vec<u8> = (0..2_100_000_u32).map(|index| (index * 31 % 251) as u8).collect();
    let (tenant, run, round, epoch) = (TenantId([1; 16]), RunId([2; 16]), RoundId(3), EpochId(4));
    let subject = Subject { kind, tenant, run, round, epoch, seq: 1, trace: [0; 16] };
    let sealer = Sealer { identity: &identity, subject, next_package: None, buffer: Vec::new() };
    let sealed = sealer.seal_to_group(&plain[..], &root, &mut random).unwrap();
    Value { identity, root, plain, sealed }
}

impl Value {
    fn chunks(&self) -> Vec<u8> {
        (0..self.sealed.chunks()).flat_map(|index| self.sealed.chunk(index).unwrap()).collect()
    }
}

/// Answers the client's hellos. Every other reader and writer is made before it.
struct Greeting {
    presence: Reader,
    hello: Writer,
    seq: u64,
}

impl Greeting {
    fn new(domain: &Participant) -> Self {
        let (presence, hello) = (domain.reader(&topics::PRESENCE), domain.writer(&topics::HELLO));
        Self { presence: presence.unwrap(), hello: hello.unwrap(), seq: 0 }
    }

    fn answer(&mut self, identity: &Identity, sample: &Sample) -> (NodeId, Told) {
        let node = NodeId(sample.key[..].try_into().unwrap());
        let told: Told = decode(&sample.body).unwrap();
        let heard = vec![Heard { node, session: told.session }].try_into().unwrap();
        self.seq += 1;
        let (seq, mailbox, suite) = (self.seq, Mailbox::default(), Suite::X25519);
        let body = CoordinatorPresence { seq, mailbox, heard, suite, version: VERSION };
        let signed = Signed::seal(identity, Label::Hello, &body).unwrap();
        self.hello.write(&identity.node_id().0, &signed).unwrap();
        (node, told)
    }
}

fn join(domain: u16) -> Participant {
    let interfaces = vec!["127.0.0.1".parse().unwrap()];
    Participant::new(&Config { domain, interfaces, peers: vec![] }).unwrap()
}

fn client(direction: &str, domain: u16, blob: BlobId, file: &Path, log: &Path) -> Daemon {
    let mut command = Command::new("python3");
    command.arg(script("interop/blob.py")).arg(direction).args(["--domain", &domain.to_string()]);
    command.args(["--blob", &blob.to_string(), "--chunks", "43"]).arg("--file").arg(file);
    Daemon::foreign(&mut command, log)
}

async fn wake(at: Option<Timestamp>) {
    match at {
        Some(at) => tokio::time::sleep(Duration::from_micros(at.micros_since(now()))).await,
        None => std::future::pending().await,
    }
}

fn chunk_key(blob: BlobId, index: u32) -> Vec<u8> {
    [&blob.0[..], &index.to_le_bytes()].concat()
}

/// Sends all chunks to one reader, directed at it; how many it had to be sent again.
async fn deliver(value: &Value, domain: &Participant) -> usize {
    let chunks = domain.writer(&topics::MODEL_CHUNK).unwrap();
    let mut receipts = domain.reader(&topics::MODEL_RECEIPT).unwrap();
    let mut greeting = Greeting::new(domain);
    let blob = value.sealed.manifest().blob();
    let (mut outgoing, mut heard, mut sent) = (None, 0, vec![0_usize; value.sealed.chunks() as usize]);
    loop {
        let due = outgoing.as_ref().and_then(|(_, outgoing): &(_, Outgoing)| outgoing.next_wake());
        tokio::select! {
            sample = greeting.presence.next() => {
                let (node, told) = greeting.answer(&value.identity, &sample.unwrap());
                if told.answered && outgoing.is_none() {
                    let address = ReaderAddress(told.mailbox.chunks);
                    outgoing = Some((address, Outgoing::new(value.sealed.chunks(), [node], WINDOW, now())));
                }
            }
            sample = receipts.next() => {
                let Sample { key, body, .. } = sample.unwrap();
                let Receipt { blob: named, seq, status } = decode(&body).unwrap();
                assert_eq!((named, &key[..32]), (blob, &blob.0[..]));
                let node = NodeId(key[32..].try_into().unwrap());
                match (&mut outgoing, status) {
                    (_, Status::Complete) => return sent.iter().map(|times| times - 1).sum(),
                    (Some((_, outgoing)), Status::Open(standing)) if seq > heard => {
                        heard = seq;
                        outgoing.on_receipt(node, &standing, now());
                    }
                    _ => (),
                }
            }
            () = wake(due) => (),
        }
        let Some((address, outgoing)) = &mut outgoing else { continue };
        while let Some(Send::To(_, index) | Send::ToAll(index)) = outgoing.next(now()) {
            sent[index as usize] += 1;
            // Some are left out the first time, as a network would.
            if sent[index as usize] > 1 || index % 5 != 2 {
                let bytes = value.sealed.chunk(index).unwrap();
                chunks.write_to(*address, &chunk_key(blob, index), &bytes).unwrap();
            }
        }
    }
}

/// Takes what the client offers and sends; the opened plaintext.
async fn accept(value: &Value, domain: &Participant) -> Vec<u8> {
    let mut chunks = domain.reader(&topics::UPDATE_CHUNK).unwrap();
    let receipts = domain.writer(&topics::UPDATE_RECEIPT).unwrap();
    let mut greeting = Greeting::new(domain);
    let blob = value.sealed.manifest().blob();
    let (mut sender, mut seq, mut incoming) = (NodeId::default(), 0, None::<Incoming>);
    loop {
        let mut due = None;
        tokio::select! {
            sample = greeting.presence.next() => {
                sender = greeting.answer(&value.identity, &sample.unwrap()).0;
            }
            sample = chunks.next() => {
                let Sample { key, body, .. } = sample.unwrap();
                let index = u32::from_le_bytes(key[32..].try_into().unwrap());
                match &mut incoming {
                    None if index == OFFER_INDEX => {
                        let offered: Manifest = decode(&body).unwrap();
                        let manifest = offered.verify(value.identity.public()).unwrap();
                        let opener = Opener::for_group(&manifest, &value.root).unwrap();
                        incoming = Some(Incoming::new(opener, Vec::new(), WINDOW, now()));
                        due = Some(incoming.as_ref().unwrap().standing(false));
                    }
                    Some(incoming) if index != OFFER_INDEX => {
                        match incoming.on_chunk(index, &body, now()).unwrap() {
                            Arrival::Stored(standing) => due = standing,
                            Arrival::Duplicate => (),
                            Arrival::Complete => break,
                        }
                    }
                    _ => (),
                }
            }
            () = wake(incoming.as_ref().map(Incoming::next_wake)) => (),
        }
        let Some(incoming) = &mut incoming else { continue };
        if let Some(standing) = due.or_else(|| incoming.on_tick(now())) {
            seq += 1;
            let body = encode(&Receipt { blob, seq, status: Status::Open(standing) });
            receipts.write(&[blob.0, sender.0].concat(), &body).unwrap();
        }
    }
    let body = encode(&Receipt { blob, seq: seq + 1, status: Status::Complete });
    receipts.write(&[blob.0, sender.0].concat(), &body).unwrap();
    incoming.unwrap().finish().unwrap()
}

#[tokio::test]
async fn cyclone_dds_puts_a_sealed_blob_together_and_its_receipts_get_what_was_lost() {
    if !are_here(&[CYCLONE]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("blob"), dir.path().join("log"));
    let (value, domain) = (value(Kind::Model), domain(1));
    let participant = join(domain);
    let mut client = client("receive", domain, value.sealed.manifest().blob(), &file, &log);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let again = tokio::time::timeout(PATIENCE, deliver(&value, &participant)).await;
    let again = again.unwrap_or_else(|_| panic!("no receipt says that it is complete: {}", said()));
    wait_until(|| !client.is_running(), said);
    assert!(fs::read(&file).unwrap() == value.chunks(), "the sealed bytes are the same: {}", said());
    assert!(again >= 8, "{again} chunks were sent again, of 9 that were left out: {}", said());
}

#[tokio::test]
async fn a_sealed_blob_that_cyclone_dds_sends_opens_and_its_repairs_follow_our_receipts() {
    if !are_here(&[CYCLONE]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("blob"), dir.path().join("log"));
    let (value, domain) = (value(Kind::Update), domain(2));
    fs::write(&file, value.chunks()).unwrap();
    fs::write(dir.path().join("blob.manifest"), encode(value.sealed.manifest())).unwrap();
    let participant = join(domain);
    let mut client = client("send", domain, value.sealed.manifest().blob(), &file, &log);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let opened = tokio::time::timeout(PATIENCE, accept(&value, &participant)).await;
    let opened = opened.unwrap_or_else(|_| panic!("not all chunks came: {}", said()));
    assert!(opened == value.plain, "the plaintext is the same: {}", said());
    wait_until(|| !client.is_running(), said);
    assert!(said().contains("delivered"), "{}", said());
}
