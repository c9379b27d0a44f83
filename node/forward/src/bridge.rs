//! The bridge's loop: the spool, DDS and the clock around [`Dispatch`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use common::crypto::{CustodyError, Identity, Suite};
use common::id::{BlobId, NodeId};
use common::known::Known;
use common::units::Timestamp;
use dds::{DdsError, Participant, Reader, ReaderAddress, Routes, Sample, Writer, topics};
use edge::{entropy, now};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::dispatch::{Dispatch, Output, Setup};
use crate::feed::Feeds;

/// What forwarding takes.
#[derive(Debug)]
pub struct Bridge {
    /// Who the bridge is.
    pub identity: Identity,
    /// The cryptography of its fleet.
    pub suite: Suite,
    /// Where it meets its nodes.
    pub dds: dds::Config,
    /// The nodes that it may forward to.
    pub nodes: Known,
    /// What is to be sent.
    pub feeds: Feeds,
}

/// Everything on DDS.
struct Link {
    presence: Reader,
    receipts: Reader,
    hello: Writer,
    pieces: Writer,
    /// To nodes behind a relay.
    routes: Routes,
    /// Last, so that readers and writers say goodbye before it.
    domain: Participant,
}

impl Link {
    fn join(config: &dds::Config) -> Result<Self, DdsError> {
        let domain = Participant::new(config)?;
        Ok(Self {
            presence: domain.reader(&topics::INTAKE)?,
            receipts: domain.reader(&topics::RECORD_RECEIPT)?,
            hello: domain.writer(&topics::BRIDGE)?,
            pieces: domain.writer(&topics::RECORD_CHUNK)?,
            routes: Routes::default(),
            domain,
        })
    }
}

/// Something that came in.
enum Event {
    Presence(Sample),
    Receipt(Sample),
    Tick,
}

impl Bridge {
    /// Forwards until told to stop.
    ///
    /// # Errors
    ///
    /// When DDS cannot be joined, or nothing can be signed any more. What is wrong with the spool is told, and tried again.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let Self { identity, suite, dds, nodes, mut feeds } = self;
        let mut link = Link::join(&dds).context("forwarding")?;
        let bridge = identity.node_id();
        let grown = Arc::new(Notify::new());
        let _watching = watch_all(&feeds, &grown);
        let setup = Setup {
            identity,
            suite,
            nodes,
            owners: feeds.owners(),
            receipts: link.receipts.address().0,
            random: entropy()?,
        };
        let mut dispatch = Dispatch::new(setup, now());
        let mut out = Vec::new();
        loop {
            if dispatch.is_deaf(now()) {
                // A participant of RustDDS now and then never matches its peers.
                drop(link);
                link = Link::join(&dds).context("forwarding")?;
                dispatch.on_moved(link.receipts.address().0, now());
            }
            let event = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                sample = link.receipts.next() => believe(sample).map_or(Event::Tick, Event::Receipt),
                sample = link.presence.next() => believe(sample).map_or(Event::Tick, Event::Presence),
                () = grown.notified() => Event::Tick,
                () = wake(dispatch.next_wake()) => Event::Tick,
            };
            match event {
                Event::Presence(Sample { body, writer, .. }) => {
                    if let Some(chunks) = dispatch.on_presence(&body, now(), &mut out) {
                        let (told, topic) = (ReaderAddress(chunks), &topics::RECORD_CHUNK);
                        link.routes.on_hello(&link.domain, topic, told, writer);
                    }
                }
                Event::Receipt(Sample { key, body, .. }) => {
                    if let Some((blob, node)) = key.split_first_chunk::<32>()
                        && let Ok(node) = node.try_into()
                    {
                        dispatch.on_receipt(BlobId(*blob), NodeId(node), &body, now(), &mut out);
                    }
                }
                Event::Tick => (),
            }
            dispatch.on_tick(now(), &mut out);
            // Reading and splitting takes some milliseconds of a core.
            tokio::task::block_in_place(|| carry_out(&mut out, bridge, &mut dispatch, &mut feeds, &link))?;
        }
    }
}

fn carry_out(
    out: &mut Vec<Output>,
    bridge: NodeId,
    dispatch: &mut Dispatch,
    feeds: &mut Feeds,
    link: &Link,
) -> Result<(), CustodyError> {
    while !out.is_empty() {
        for output in std::mem::take(out) {
            let sent = match output {
                Output::Hello(bytes) => link.hello.write(&bridge.0, &bytes),
                Output::Piece(piece) => {
                    let key = [&piece.blob.0[..], &piece.index.to_le_bytes()].concat();
                    let to = link.routes.to(ReaderAddress(piece.to));
                    link.pieces.write_to(to, &key, &piece.bytes)
                }
                Output::Delivered { tenant, node, what } => {
                    let moved = what.mark.map_or(Ok(()), |mark| feeds.delivered(tenant, node, mark));
                    if let Err(error) = moved {
                        tracing::warn!("{error}");
                    }
                    tracing::debug!(?node, parts = what.parts, "delivered");
                    Ok(())
                }
                Output::Wanted(tenant, node) => {
                    match feeds.next_batch(tenant, node, now()) {
                        Ok(Some(batch)) => dispatch.load(tenant, node, batch, now(), out),
                        Ok(None) => (),
                        Err(error) => tracing::warn!("{error}"),
                    }
                    Ok(())
                }
                Output::Unsigned(error) => return Err(error),
                Output::Note(note) => {
                    tracing::info!("{note}");
                    Ok(())
                }
            };
            // What is lost here is sent again: hellos, offers and chunks wait for an answer.
            if let Err(error) = sent {
                tracing::warn!(%error, "not sent");
            }
        }
        for note in feeds.take_notes() {
            tracing::warn!("{note}");
        }
    }
    Ok(())
}

/// Wakes the loop when a log has grown.
fn watch_all(feeds: &Feeds, grown: &Arc<Notify>) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    for spool in feeds.spools() {
        let (mut end, grown) = (spool.end(), Arc::clone(grown));
        watching.spawn(async move {
            while end.changed().await.is_ok() {
                grown.notify_one();
            }
        });
    }
    watching
}

fn believe(sample: Result<Sample, DdsError>) -> Option<Sample> {
    sample.inspect_err(|error| tracing::warn!(%error, "ignored")).ok()
}

async fn wake(at: Timestamp) {
    tokio::time::sleep(Duration::from_micros(at.micros_since(now()))).await;
}
