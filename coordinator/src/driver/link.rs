//! The coordinator's readers and writers.

use std::collections::BTreeMap;

use bytes::Bytes;
use common::id::{BlobId, NodeId, RunId, TenantId};
use common::message::presence::Mailbox;
use common::units::{Millis, Timestamp};
use dds::{DdsError, Participant, Reader, ReaderAddress, Routes, Sample, Writer, prefix_of, topics};

use super::chunk_key;
use crate::engine::Output;

/// Hellos are a second apart: whoever misses ten of its own is not heard by anybody.
const MUTE: Millis = Millis(10_000);

/// The writers.
pub(super) struct Link {
    coordinator: NodeId,
    announcements: Writer,
    hellos: Writer,
    events: Writer,
    rosters: Writer,
    certificates: Writer,
    models: Writer,
    receipts: Writer,
    /// Announcements that could not be written yet, the newest of each run.
    unsent: BTreeMap<RunId, Vec<u8>>,
    /// A roster that could not be written yet.
    roster_unsent: Option<(TenantId, String)>,
    /// When this participant last heard its own hello; never, where the network does not carry that.
    echoed: Option<Timestamp>,
    /// To nodes behind a relay.
    routes: Routes,
    /// Last, so that the writers say goodbye before it.
    domain: Participant,
}

/// The readers.
pub(super) struct Readers {
    presence: Reader,
    receipts: Reader,
    updates: Reader,
    hellos: Reader,
}

/// Something that came in.
pub(super) enum Incoming {
    /// What a node says of itself, and the GUID of the writer it came from.
    Presence { body: Bytes, writer: [u8; 16] },
    /// What a node is said to have of a model.
    Receipt { blob: BlobId, node: NodeId, body: Bytes },
    /// A piece of an update.
    Update { blob: BlobId, index: u32, body: Bytes },
    /// The coordinator's own hello.
    Echo,
    /// Not a sample of its topic.
    Nothing,
}

impl Link {
    pub(super) fn join(config: &dds::Config, coordinator: NodeId) -> Result<(Self, Readers), DdsError> {
        let domain = Participant::new(config)?;
        let readers = Readers {
            presence: domain.reader(&topics::PRESENCE)?,
            receipts: domain.reader(&topics::MODEL_RECEIPT)?,
            updates: domain.reader(&topics::UPDATE_CHUNK)?,
            hellos: domain.reader(&topics::HELLO)?,
        };
        let link = Self {
            coordinator,
            announcements: domain.writer(&topics::ANNOUNCE)?,
            hellos: domain.writer(&topics::HELLO)?,
            events: domain.writer(&topics::EVENT)?,
            rosters: domain.writer(&topics::ROSTER)?,
            certificates: domain.writer(&topics::CERTIFICATE)?,
            models: domain.writer(&topics::MODEL_CHUNK)?,
            receipts: domain.writer(&topics::UPDATE_RECEIPT)?,
            unsent: BTreeMap::new(),
            roster_unsent: None,
            echoed: None,
            routes: Routes::default(),
            domain,
        };
        Ok((link, readers))
    }

    /// Joins the domain anew. What late joiners have to find there is written again by who knows it. The old participant goes first: on a host
    /// without multicast its number is one of those that nodes look at.
    pub(super) fn rejoin(self, readers: Readers, config: &dds::Config) -> Result<(Self, Readers), DdsError> {
        let coordinator = self.coordinator;
        drop((self, readers));
        Self::join(config, coordinator)
    }

    /// This participant heard itself, or its process was held up and could not.
    pub(super) fn on_echo(&mut self, now: Timestamp) {
        self.echoed = Some(now);
    }

    /// Time in which the process did not listen is not the participant's silence.
    pub(super) fn on_held_up(&mut self, now: Timestamp) {
        self.echoed = self.echoed.map(|_| now);
    }

    /// Whether nothing that is written leaves any more. The sending side of a participant of RustDDS was seen to
    /// fall silent for good when its socket was full.
    pub(super) fn is_mute(&self, now: Timestamp) -> bool {
        self.echoed.is_some_and(|echoed| now >= echoed + MUTE)
    }

    /// Chunks that this host's buffers hold unread.
    pub(super) fn unread_max(&self) -> u32 {
        self.domain.unread_max(&topics::UPDATE_CHUNK) as u32
    }

    /// A node, which reads there, was believed when this writer wrote its hello.
    pub(super) fn on_hello(&mut self, mailbox: Mailbox, writer: [u8; 16]) {
        let told = [(topics::MODEL_CHUNK, mailbox.chunks), (topics::UPDATE_RECEIPT, mailbox.receipts)];
        for (topic, told) in told {
            self.routes.on_hello(&self.domain, &topic, ReaderAddress(told), writer);
        }
    }

    /// Writes who belongs to the tenant; late joiners find it there.
    pub(super) fn tell_roster(&mut self, tenant: TenantId, text: &str) {
        let written = self.rosters.write(&tenant.0, text.as_bytes());
        self.roster_unsent = written.err().map(|_| (tenant, text.to_owned()));
    }

    /// Writes what a reader behind kept from being written; nothing else repeats it.
    pub(super) fn retry(&mut self) {
        if let Some((tenant, text)) = self.roster_unsent.take() {
            self.tell_roster(tenant, &text);
        }
        let announcements = &self.announcements;
        self.unsent.retain(|run, bytes| announcements.write(&run.0, bytes).is_err());
    }

    /// Writes what the engine wants written. What is lost here is sent again: hellos, receipts and
    /// chunks are repeated until they are answered.
    pub(super) fn send(&mut self, message: Output) {
        let sent = match message {
            Output::Hello(bytes) => self.hellos.write(&self.coordinator.0, &bytes),
            Output::Announce { run, bytes } => {
                self.unsent.remove(&run);
                self.announcements.write(&run.0, &bytes).inspect_err(|_| drop(self.unsent.insert(run, bytes)))
            }
            Output::Certificate { node, der, .. } => self.certificates.write(&node.0, &der),
            Output::Event(bytes) => self.events.write(&self.coordinator.0, &bytes),
            Output::ModelChunk { to, blob, index, bytes } => {
                let key = [&blob.0[..], &index.to_le_bytes()].concat();
                match to {
                    None => self.models.write(&key, &bytes),
                    Some(address) => {
                        self.models.write_to(self.routes.to(ReaderAddress(address)), &key, &bytes)
                    }
                }
            }
            Output::UpdateReceipt { to, blob, node, bytes } => {
                let reader = self.routes.to(ReaderAddress(to));
                self.receipts.write_to(reader, &[blob.0, node.0].concat(), &bytes)
            }
            other => unreachable!("{other:?} is for the disk or the operator"),
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "not sent");
        }
    }
}

impl Readers {
    pub(super) fn mailbox(&self) -> Mailbox {
        Mailbox { chunks: self.updates.address().0, receipts: self.receipts.address().0 }
    }

    /// The next sample of any topic. Safe to cancel.
    pub(super) async fn next(&mut self) -> Incoming {
        let incoming = tokio::select! {
            sample = self.presence.next() => believe(sample).map(presence),
            sample = self.receipts.next() => believe(sample).and_then(receipt),
            sample = self.updates.next() => believe(sample).and_then(update),
            sample = self.hellos.next() => believe(sample).and_then(|sample| self.echo(&sample)),
        };
        incoming.unwrap_or(Incoming::Nothing)
    }
}

impl Readers {
    /// What this participant wrote itself; other hellos are of other coordinators, or carried by a relay.
    fn echo(&self, sample: &Sample) -> Option<Incoming> {
        let own = prefix_of(self.updates.address().0) == prefix_of(sample.writer);
        own.then_some(Incoming::Echo)
    }
}

fn believe(sample: Result<Sample, DdsError>) -> Option<Sample> {
    sample.inspect_err(|error| tracing::warn!(%error, "ignored")).ok()
}

fn presence(Sample { body, writer, .. }: Sample) -> Incoming {
    Incoming::Presence { body, writer }
}

fn receipt(Sample { key, body, .. }: Sample) -> Option<Incoming> {
    let (blob, node) = key.split_first_chunk::<32>()?;
    Some(Incoming::Receipt { blob: BlobId(*blob), node: NodeId(node.try_into().ok()?), body })
}

fn update(Sample { key, body, .. }: Sample) -> Option<Incoming> {
    let (blob, index) = chunk_key(&key)?;
    Some(Incoming::Update { blob, index, body })
}
