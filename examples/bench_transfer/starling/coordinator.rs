//! The coordinator's end: takes uploads, or sends a model; the loop is that of its driver.

use anyhow::{Result, ensure};
use bytes::Bytes;
use common::crypto::{Label, Sealer};
use common::id::{BlobId, EpochId, NodeId};
use common::message::Signed;
use common::message::announce::{Announcement, Member, Offer, Request};
use common::message::presence::Mailbox;
use common::units::{Millis, Timestamp};
use coordinator::config::{CoordinatorConfig, Transfer};
use coordinator::exchange::{Dispatch, Downlink, Epoch, Step, Uplink};
use coordinator::folder::SAMPLE_CONFIG;
use dds::{DdsError, Participant, Reader, ReaderAddress, Sample, Writer, topics};
use edge::{entropy, now};
use rand_chacha::ChaCha20Rng;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Cast, RUN, TICK, card, chunk_key, dds_config, mailbox, wake};
use crate::blob::{Blob, Noise};
use crate::part::{Order, Part, say, say_done};

/// Everything on DDS that the program has.
struct Link {
    announcements: Writer,
    _hellos: Writer,
    _events: Writer,
    models: Writer,
    receipts: Writer,
    domain: Participant,
}

struct Readers {
    presence: Reader,
    receipts: Reader,
    updates: Reader,
}

fn join(part: &Part) -> Result<(Link, Readers)> {
    let domain = Participant::new(&dds_config(part))?;
    let readers = Readers {
        presence: domain.reader(&topics::PRESENCE)?,
        receipts: domain.reader(&topics::MODEL_RECEIPT)?,
        updates: domain.reader(&topics::UPDATE_CHUNK)?,
    };
    let link = Link {
        announcements: domain.writer(&topics::ANNOUNCE)?,
        _hellos: domain.writer(&topics::HELLO)?,
        _events: domain.writer(&topics::EVENT)?,
        models: domain.writer(&topics::MODEL_CHUNK)?,
        receipts: domain.writer(&topics::UPDATE_RECEIPT)?,
        domain,
    };
    Ok((link, readers))
}

enum Event {
    Order(Option<Order>),
    Receipt(Sample),
    Update(Sample),
    Nothing,
    Tick,
}

impl Readers {
    async fn next(&mut self) -> Event {
        let believe = |sample: Result<Sample, DdsError>, event: fn(Sample) -> Event| {
            sample.map_or(Event::Nothing, event)
        };
        tokio::select! {
            sample = self.presence.next() => believe(sample, |_| Event::Nothing),
            sample = self.receipts.next() => believe(sample, Event::Receipt),
            sample = self.updates.next() => believe(sample, Event::Update),
        }
    }
}

/// What is going on.
enum Exchange {
    Nothing,
    Taking { epoch: Epoch, uplink: Box<Uplink>, arrived: usize },
    Offering { epoch: Epoch, members: Vec<Member> },
    Sending { epoch: Epoch, downlink: Box<Downlink> },
}

struct Coordinator<'p> {
    part: &'p Part,
    cast: Cast,
    transfer: Transfer,
    link: Link,
    nodes: Vec<Mailbox>,
    exchange: Exchange,
    number: u64,
    /// Of the sealed model, to be used again.
    buffer: Vec<u8>,
    noise: Noise,
    random: ChaCha20Rng,
    start: Option<Timestamp>,
    sealed: Option<Timestamp>,
    end: Option<Timestamp>,
    out: Vec<Dispatch>,
}

/// Plays the coordinator's part.
pub(super) async fn run(part: &Part, mut orders: UnboundedReceiver<Order>) -> Result<()> {
    let (link, mut readers) = join(part)?;
    let mut transfer = CoordinatorConfig::parse(SAMPLE_CONFIG)?.transfer;
    transfer.window_chunks = transfer.window_chunks.min(link.domain.unread_max(&topics::UPDATE_CHUNK) as u32);
    let mailbox = Mailbox { chunks: readers.updates.address().0, receipts: readers.receipts.address().0 };
    say(&format!("here {}", card(mailbox)));
    let mut coordinator = Coordinator {
        part,
        cast: Cast::new(part.senders.max(part.receivers)),
        transfer,
        link,
        nodes: Vec::new(),
        exchange: Exchange::Nothing,
        number: 0,
        buffer: Vec::new(),
        noise: Noise::new(),
        random: entropy()?,
        start: None,
        sealed: None,
        end: None,
        out: Vec::new(),
    };
    let mut ticked = Timestamp::default();
    loop {
        let event = tokio::select! {
            biased;
            order = orders.recv() => Event::Order(order),
            event = readers.next() => event,
            () = wake(coordinator.next_wake()) => Event::Tick,
        };
        let idle = matches!(event, Event::Tick);
        match event {
            Event::Order(None) => return Ok(()),
            Event::Order(Some(order)) => coordinator.obey(order)?,
            Event::Receipt(sample) => coordinator.on_receipt(&sample),
            Event::Update(sample) => coordinator.on_update(&sample)?,
            Event::Nothing | Event::Tick => (),
        }
        if idle || now() >= ticked + TICK {
            ticked = now();
            coordinator.on_tick();
        }
        coordinator.carry_out();
    }
}

impl Coordinator<'_> {
    fn obey(&mut self, order: Order) -> Result<()> {
        match order {
            Order::Meet(cards) => {
                self.nodes =
                    self.part.others(&cards)?.iter().map(|card| mailbox(card)).collect::<Result<_>>()?;
                say("ready");
            }
            Order::Prepare(number) => {
                self.prepare(number);
                say("ready");
            }
            Order::Go => {
                self.start = Some(now());
                self.offer()?;
                self.say_done();
            }
            Order::Check => say("ok"),
        }
        Ok(())
    }

    fn prepare(&mut self, number: u64) {
        (self.number, self.start, self.end) = (number, None, None);
        let (epoch, members) = self.cast.epoch(number);
        let last = std::mem::replace(&mut self.exchange, Exchange::Nothing);
        if let Exchange::Sending { downlink, .. } = last {
            self.buffer = downlink.into_buffer();
            self.exchange = Exchange::Offering { epoch, members };
        } else if self.part.sends {
            self.exchange = Exchange::Offering { epoch, members };
        } else {
            let buffers =
                if let Exchange::Taking { uplink, .. } = last { uplink.into_buffers() } else { Vec::new() };
            let Transfer { window_chunks, uploads_bytes, .. } = self.transfer;
            let bytes = self.part.bytes as u64;
            let uplink = Uplink::new(EpochId(number), bytes, window_chunks, uploads_bytes, buffers);
            let uplink = Box::new(uplink);
            self.exchange = Exchange::Taking { epoch, uplink, arrived: 0 };
        }
    }

    /// Seals the model, announces it and begins to send it.
    fn offer(&mut self) -> Result<()> {
        let (epoch, members) = match std::mem::replace(&mut self.exchange, Exchange::Nothing) {
            Exchange::Offering { epoch, members } => (epoch, members),
            other => {
                self.exchange = other;
                return Ok(());
            }
        };
        let subject = epoch.model_subject();
        let buffer = std::mem::take(&mut self.buffer);
        let sealer = Sealer { identity: &self.cast.coordinator, subject, next_package: None, buffer };
        let blob = Blob { number: self.number, sender: 0, bytes: self.part.bytes };
        let sealed = sealer.seal_to_group(&self.noise.plain(blob), &epoch.root, &mut self.random)?;
        self.sealed = Some(now());
        let members = members.try_into().map_err(|_| anyhow::anyhow!("too many nodes"))?;
        let offer = Offer { model: sealed.manifest().clone(), members };
        let announcement = Announcement {
            tenant: epoch.tenant,
            run: epoch.run,
            round: epoch.round,
            epoch: epoch.id,
            taken_from: epoch.id,
            roster: 0,
            issued: now(),
            deadline: Millis(60_000),
            request: Request::Train(offer),
        };
        let announcement = Signed::seal(&self.cast.coordinator, Label::Announce, &announcement)?;
        self.link.announcements.write(&RUN.0, &announcement)?;
        let downlink = Box::new(Downlink::new(sealed, &epoch, self.transfer.window_chunks, now()));
        self.exchange = Exchange::Sending { epoch, downlink };
        self.send();
        Ok(())
    }

    /// A receipt that a node is said to have written.
    fn on_receipt(&mut self, Sample { key, body, .. }: &Sample) {
        let Exchange::Sending { epoch, downlink } = &mut self.exchange else { return };
        let Some((_, node)) = key.split_first_chunk::<32>() else { return };
        let Ok(node) = node.try_into().map(NodeId) else { return };
        downlink.on_receipt(epoch, node, body, self.transfer.window_chunks, now());
        self.send();
    }

    /// A piece of an upload.
    fn on_update(&mut self, Sample { key, body, .. }: &Sample) -> Result<()> {
        let Exchange::Taking { epoch, uplink, arrived } = &mut self.exchange else { return Ok(()) };
        let Some((blob, index)) = chunk_key(key) else { return Ok(()) };
        let (cast, out) = (&self.cast, &mut self.out);
        let step = uplink.on_piece(epoch, |node| cast.key_of(node), (blob, index, body), now(), out);
        // What a late repeat of the transfer before does is nobody's concern.
        let Ok(Step::Arrived(whole)) = step else { return Ok(()) };
        *arrived += 1;
        if *arrived == self.part.senders {
            self.end = Some(now());
        }
        // The signed hash has shown that it is whole; a look shows that it is the one that was meant.
        let sender = cast.index_of(whole.node).unwrap_or(usize::MAX);
        let expected = Blob { number: self.number, sender, bytes: self.part.bytes };
        ensure!(self.noise.begins(&expected, &whole.plain), "another blob arrived");
        uplink.conclude(epoch, whole, true, now(), out);
        self.say_done();
        Ok(())
    }

    fn on_tick(&mut self) {
        if let Exchange::Taking { epoch, uplink, .. } = &mut self.exchange {
            uplink.on_tick(epoch, now(), &mut self.out);
        }
        self.send();
    }

    fn next_wake(&self) -> Timestamp {
        let next = match &self.exchange {
            Exchange::Taking { uplink, .. } => uplink.next_wake(),
            Exchange::Sending { downlink, .. } => downlink.next_wake(),
            Exchange::Nothing | Exchange::Offering { .. } => None,
        };
        next.unwrap_or_else(|| now() + TICK)
    }

    /// Sends what the window allows.
    fn send(&mut self) {
        let Exchange::Sending { downlink, .. } = &mut self.exchange else { return };
        downlink.send(now(), &mut self.out);
        if downlink.is_complete() && self.end.is_none() {
            self.end = Some(now());
            self.say_done();
        }
    }

    /// Once the order was given, and all is done.
    fn say_done(&mut self) {
        if let (Some(start), Some(end)) = (self.start, self.end) {
            say_done(start, end, self.sealed);
            self.start = None;
        }
    }

    fn carry_out(&mut self) {
        for dispatch in std::mem::take(&mut self.out) {
            // What is lost here is sent again.
            let _ = match dispatch {
                Dispatch::ModelChunk { to, blob, index, bytes } => self.send_chunk(to, blob, index, &bytes),
                Dispatch::Receipt { blob, node, bytes } => {
                    self.link.receipts.write(&[blob.0, node.0].concat(), &bytes)
                }
            };
        }
    }

    fn send_chunk(
        &self,
        to: Option<NodeId>,
        blob: BlobId,
        index: u32,
        bytes: &Bytes,
    ) -> Result<(), DdsError> {
        let key = [&blob.0[..], &index.to_le_bytes()].concat();
        match to.and_then(|node| self.nodes.get(self.cast.index_of(node)?)) {
            None => self.link.models.write(&key, bytes),
            Some(node) => self.link.models.write_to(ReaderAddress(node.chunks), &key, bytes),
        }
    }
}
