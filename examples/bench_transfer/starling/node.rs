//! A node's end: uploads, or fetches a model; the loop is that of its driver.

use std::collections::VecDeque;

use ::node::config::NodeConfig;
use ::node::folder::SAMPLE_CONFIG;
use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use common::blob::{Arrival, Incoming};
use common::crypto::{EpochRoot, Label, MemberKeys, Opener, PairKey, Scope, Sealer};
use common::id::{BlobId, EpochId};
use common::message::Signed;
use common::message::announce::Announcement;
use common::message::presence::Mailbox;
use common::message::receipt::{Receipt, Status};
use common::units::Timestamp;
use common::upload::{Ended, Upload};
use dds::{DdsError, Participant, Reader, ReaderAddress, Sample, Writer, topics};
use edge::{entropy, now};
use rand_chacha::ChaCha20Rng;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Cast, ROUND, RUN, TENANT, TICK, card, chunk_key, dds_config, mailbox, wake};
use crate::blob::{Blob, Noise};
use crate::part::{Order, Part, say, say_done};

/// Chunks kept that came before the announcement which explains them, as in the participant.
const STASH_MAX: usize = 48;

/// Everything on DDS that the program has.
struct Link {
    announcements: Reader,
    hellos: Reader,
    models: Reader,
    receipts: Reader,
    _presence: Writer,
    model_receipts: Writer,
    updates: Writer,
    _domain: Participant,
}

fn join(part: &Part) -> Result<Link> {
    let domain = Participant::new(&dds_config(part))?;
    Ok(Link {
        announcements: domain.reader(&topics::ANNOUNCE)?,
        hellos: domain.reader(&topics::HELLO)?,
        models: domain.reader(&topics::MODEL_CHUNK)?,
        receipts: domain.reader(&topics::UPDATE_RECEIPT)?,
        _presence: domain.writer(&topics::PRESENCE)?,
        model_receipts: domain.writer(&topics::MODEL_RECEIPT)?,
        updates: domain.writer(&topics::UPDATE_CHUNK)?,
        _domain: domain,
    })
}

enum Event {
    Order(Option<Order>),
    Announcement(Sample),
    ModelChunk(Sample),
    Receipt(Sample),
    Nothing,
    Tick,
}

/// A model that is fetched, or was.
struct Work {
    model: BlobId,
    pair: PairKey,
    receipts: u32,
}

enum Stage {
    Idle,
    Fetching(Work, Incoming),
    Fetched(Work),
    Uploading(PairKey, Upload),
}

struct Node<'p> {
    part: &'p Part,
    cast: Cast,
    window: u32,
    coordinator: Mailbox,
    /// The newest epoch acted on.
    mark: EpochId,
    stage: Stage,
    /// What the next upload is sealed to, and the key of its receipts.
    upcoming: Option<MemberKeys>,
    stash: VecDeque<(BlobId, u32, Bytes)>,
    number: u64,
    /// Of the last model or update, to be used again.
    buffer: Vec<u8>,
    noise: Noise,
    random: ChaCha20Rng,
    start: Option<Timestamp>,
    sealed: Option<Timestamp>,
    end: Option<Timestamp>,
}

/// Plays a node's part.
pub(super) async fn run(part: &Part, mut orders: UnboundedReceiver<Order>) -> Result<()> {
    let mut link = join(part)?;
    let mailbox = Mailbox { chunks: link.models.address().0, receipts: link.receipts.address().0 };
    say(&format!("here {}", card(mailbox)));
    let mut node = Node {
        part,
        cast: Cast::new(part.senders.max(part.receivers)),
        window: NodeConfig::parse(SAMPLE_CONFIG)?.transfer.window_chunks,
        coordinator: Mailbox::default(),
        mark: EpochId(0),
        stage: Stage::Idle,
        upcoming: None,
        stash: VecDeque::new(),
        number: 0,
        buffer: Vec::new(),
        noise: Noise::new(),
        random: entropy()?,
        start: None,
        sealed: None,
        end: None,
    };
    let believe =
        |sample: Result<Sample, DdsError>, event: fn(Sample) -> Event| sample.map_or(Event::Nothing, event);
    let mut ticked = Timestamp::default();
    loop {
        let event = tokio::select! {
            biased;
            order = orders.recv() => Event::Order(order),
            sample = link.announcements.next() => believe(sample, Event::Announcement),
            sample = link.hellos.next() => believe(sample, |_| Event::Nothing),
            sample = link.receipts.next() => believe(sample, Event::Receipt),
            sample = link.models.next() => believe(sample, Event::ModelChunk),
            () = wake(node.next_wake()) => Event::Tick,
        };
        let idle = matches!(event, Event::Tick);
        match event {
            Event::Order(None) => return Ok(()),
            Event::Order(Some(order)) => node.obey(order, &link)?,
            Event::Announcement(sample) => node.on_announcement(&sample.body, &link)?,
            Event::ModelChunk(Sample { key, body, .. }) => {
                if let Some((blob, index)) = chunk_key(&key) {
                    node.on_chunk(blob, index, &body, &link)?;
                }
            }
            Event::Receipt(Sample { body, .. }) => node.on_receipt(&body, &link)?,
            Event::Nothing | Event::Tick => (),
        }
        if idle || now() >= ticked + TICK {
            ticked = now();
            node.on_tick(&link);
        }
    }
}

impl Node<'_> {
    fn obey(&mut self, order: Order, link: &Link) -> Result<()> {
        match order {
            Order::Meet(cards) => {
                self.coordinator = mailbox(self.part.others(&cards)?.first().context("no coordinator")?)?;
                say("ready");
            }
            Order::Prepare(number) => {
                (self.number, self.start, self.end) = (number, None, None);
                if self.part.sends {
                    let (mut epoch, _) = self.cast.epoch(number);
                    let me = self.cast.nodes[self.part.index].0.node_id();
                    self.upcoming = Some(epoch.keys.remove(&me).context("no keys")?);
                }
                say("ready");
            }
            Order::Go => {
                self.start = Some(now());
                if self.part.sends {
                    self.upload(link)?;
                }
                self.say_done();
            }
            Order::Check => say("ok"),
        }
        Ok(())
    }

    /// Seals a blob to the coordinator and offers it.
    fn upload(&mut self, link: &Link) -> Result<()> {
        let keys = self.upcoming.take().context("nothing was prepared")?;
        let subject = ::node::outgoing::subject(TENANT, RUN, ROUND, EpochId(self.number));
        let identity = &self.cast.nodes[self.part.index].0;
        let buffer = std::mem::take(&mut self.buffer);
        let sealer = Sealer { identity, subject, next_package: None, buffer };
        let blob = Blob { number: self.number, sender: self.part.index, bytes: self.part.bytes };
        let coordinator = self.cast.coordinator.node_id();
        let random = &mut self.random;
        let sealed = sealer.seal_to_coordinator(&self.noise.plain(blob), coordinator, &keys, random)?;
        self.sealed = Some(now());
        let upload = Upload::new(sealed, coordinator, now());
        self.stage = Stage::Uploading(keys.pair, upload);
        self.on_tick(link);
        Ok(())
    }

    /// A receipt for an upload.
    fn on_receipt(&mut self, body: &[u8], link: &Link) -> Result<()> {
        let Stage::Uploading(pair, upload) = &mut self.stage else { return Ok(()) };
        match upload.on_receipt(body, pair, now()) {
            None => send(upload, self.coordinator, link),
            Some(Ended::Refused) => bail!("the upload was refused"),
            Some(Ended::Delivered) => {
                if let Stage::Uploading(_, upload) = std::mem::replace(&mut self.stage, Stage::Idle) {
                    self.buffer = upload.into_buffer();
                }
                self.end = Some(now());
                self.say_done();
            }
        }
        Ok(())
    }

    /// The coordinator has a model.
    fn on_announcement(&mut self, body: &[u8], link: &Link) -> Result<()> {
        let coordinator = self.cast.coordinator.public();
        let key_of = |signer| (signer == coordinator.node_id()).then_some(coordinator);
        let announced: Announcement = Signed::open(body, Label::Announce, key_of)?.body;
        if announced.epoch <= self.mark {
            return Ok(());
        }
        self.mark = announced.epoch;
        let (identity, key) = &self.cast.nodes[self.part.index];
        let offer = announced.request.offer().context("nothing is offered")?;
        let member = offer.members.iter().find(|member| member.node == identity.node_id());
        let member = member.context("it is for others")?;
        let Announcement { tenant, run, epoch, .. } = announced;
        let scope = Scope { tenant, run, epoch, sender: coordinator.node_id() };
        let (root, MemberKeys { pair, .. }) = EpochRoot::unwrap(&member.root, key, &scope)?;
        let manifest = offer.model.verify(coordinator)?;
        let opener = Opener::for_group(&manifest, &root)?;
        let model = offer.model.blob();
        let incoming = Incoming::new(opener, std::mem::take(&mut self.buffer), self.window, now());
        self.stage = Stage::Fetching(Work { model, pair, receipts: 0 }, incoming);
        for (blob, index, sealed) in std::mem::take(&mut self.stash) {
            self.on_chunk(blob, index, &sealed, link)?;
        }
        Ok(())
    }

    /// A chunk of a model.
    fn on_chunk(&mut self, blob: BlobId, index: u32, sealed: &Bytes, link: &Link) -> Result<()> {
        let incoming = match &mut self.stage {
            Stage::Fetching(work, incoming) if work.model == blob => incoming,
            Stage::Fetched(work) if work.model == blob => {
                self.write(Status::Complete, link);
                return Ok(());
            }
            _ => {
                if self.stash.len() == STASH_MAX {
                    self.stash.pop_front();
                }
                self.stash.push_back((blob, index, sealed.clone()));
                return Ok(());
            }
        };
        match incoming.on_chunk(index, sealed, now()) {
            Ok(Arrival::Complete) => self.finish(link),
            Ok(Arrival::Stored(due)) => {
                if let Some(standing) = due {
                    self.write(Status::Open(standing), link);
                }
                Ok(())
            }
            Ok(Arrival::Duplicate) | Err(_) => Ok(()),
        }
    }

    /// All chunks of a model are here.
    fn finish(&mut self, link: &Link) -> Result<()> {
        let Stage::Fetching(work, incoming) = std::mem::replace(&mut self.stage, Stage::Idle) else {
            return Ok(());
        };
        let plain =
            incoming.finish().map_err(|error| anyhow!("not the model that was announced: {error}"))?;
        self.end = Some(now());
        self.stage = Stage::Fetched(work);
        self.write(Status::Complete, link);
        // The signed hash has shown that it is whole; a look shows that it is the one that was meant.
        let expected = Blob { number: self.number, sender: 0, bytes: self.part.bytes };
        ensure!(self.noise.begins(&expected, &plain), "another blob arrived");
        self.buffer = plain;
        self.say_done();
        Ok(())
    }

    fn on_tick(&mut self, link: &Link) {
        match &mut self.stage {
            Stage::Fetching(_, incoming) => {
                if let Some(standing) = incoming.on_tick(now()) {
                    self.write(Status::Open(standing), link);
                }
            }
            Stage::Uploading(_, upload) => send(upload, self.coordinator, link),
            Stage::Idle | Stage::Fetched(_) => (),
        }
    }

    fn next_wake(&self) -> Timestamp {
        let next = match &self.stage {
            Stage::Fetching(_, incoming) => Some(incoming.next_wake()),
            Stage::Uploading(_, upload) => upload.next_wake(),
            Stage::Idle | Stage::Fetched(_) => None,
        };
        next.unwrap_or_else(|| now() + TICK)
    }

    /// Writes a receipt for a model.
    fn write(&mut self, status: Status, link: &Link) {
        let (Stage::Fetching(work, _) | Stage::Fetched(work)) = &mut self.stage else { return };
        work.receipts += 1;
        let receipt = Receipt { blob: work.model, seq: work.receipts, status };
        let me = self.cast.nodes[self.part.index].0.node_id();
        let to = ReaderAddress(self.coordinator.receipts);
        let bytes = receipt.seal(me, &work.pair);
        // A receipt that is lost is repeated.
        let _ = link.model_receipts.write_to(to, &[work.model.0, me.0].concat(), &bytes);
    }

    /// Once the order was given, and all is done.
    fn say_done(&mut self) {
        if let (Some(start), Some(end)) = (self.start, self.end) {
            say_done(start, end, self.sealed);
            self.start = None;
        }
    }
}

/// Writes what may be sent of an upload now.
fn send(upload: &mut Upload, to: Mailbox, link: &Link) {
    let blob = upload.blob();
    upload.send(now(), |index, bytes| {
        let key = [&blob.0[..], &index.to_le_bytes()].concat();
        // What is lost here is sent again.
        let _ = link.updates.write_to(ReaderAddress(to.chunks), &key, &bytes);
    });
}
