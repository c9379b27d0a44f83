//! The node's loop: DDS, the spool and the clock around [`Inbox`].

use std::time::Duration;

use anyhow::{Context, Result};
use common::crypto::{CustodyError, Identity, Suite};
use common::id::{BlobId, NodeId, TenantId};
use common::known::Known;
use common::units::{Millis, Timestamp};
use dds::{DdsError, Participant, Reader, ReaderAddress, Routes, Sample, Writer, topics};
use edge::{entropy, now};
use ingest::spool::{Entry, Refusal, TenantSpool};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::inbox::{Inbox, Output, Setup};

/// A node that no bridge answers for this long joins the domain anew: a participant of RustDDS now and then
/// never matches its peers. Doubled each time, up to [`REJOIN_MAX`].
const REJOIN: Millis = Millis(2500);

/// The longest wait before joining anew.
const REJOIN_MAX: Millis = Millis(60_000);

/// What taking telemetry from bridges takes.
#[derive(Debug)]
pub struct Receiver {
    /// Who the node is.
    pub identity: Identity,
    /// The cryptography of its fleet.
    pub suite: Suite,
    /// Where it meets the bridges.
    pub dds: dds::Config,
    /// Whose telemetry it takes.
    pub tenant: TenantId,
    /// The bridges that it believes.
    pub bridges: Known,
    /// Where it keeps what they send.
    pub spool: TenantSpool,
    /// Chunks that may be on their way without a receipt.
    pub window: u32,
}

struct Link {
    hellos: Reader,
    pieces: Reader,
    presence: Writer,
    receipts: Writer,
    /// To bridges behind a relay.
    routes: Routes,
    /// Last, so that readers and writers say goodbye before it.
    domain: Participant,
}

impl Link {
    fn join(config: &dds::Config) -> Result<Self, DdsError> {
        let domain = Participant::new(config)?;
        Ok(Self {
            hellos: domain.reader(&topics::BRIDGE)?,
            pieces: domain.reader(&topics::RECORD_CHUNK)?,
            presence: domain.writer(&topics::INTAKE)?,
            receipts: domain.writer(&topics::RECORD_RECEIPT)?,
            routes: Routes::default(),
            domain,
        })
    }
}

/// Parts that were stored, or not: from whom, in which blob.
type Stored = (NodeId, BlobId, Result<(), Refusal>);

enum Event {
    Hello(Sample),
    Piece(Sample),
    Stored(Stored),
    Tick,
}

impl Receiver {
    /// Takes telemetry until told to stop.
    ///
    /// # Errors
    ///
    /// When DDS cannot be joined, or nothing can be signed any more.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let Self { identity, suite, dds, tenant, bridges, spool, window } = self;
        let mut link = Link::join(&dds).context("taking telemetry from bridges")?;
        let node = identity.node_id();
        let window = window.min(link.domain.unread_max(&topics::RECORD_CHUNK) as u32).max(1);
        let chunks = link.pieces.address().0;
        let setup = Setup { identity, suite, tenant, bridges, chunks, window, random: entropy()? };
        let mut inbox = Inbox::new(setup, now());
        let mut rejoin_after = REJOIN;
        let mut storing: JoinSet<Stored> = JoinSet::new();
        let mut out = Vec::new();
        loop {
            match inbox.unanswered_since() {
                Some(since) if now() >= since + rejoin_after => {
                    drop(link);
                    link = Link::join(&dds).context("taking telemetry from bridges")?;
                    inbox.on_moved(link.pieces.address().0, now());
                    rejoin_after = Millis(rejoin_after.0 * 2).min(REJOIN_MAX);
                }
                Some(_) => (),
                None => rejoin_after = REJOIN,
            }
            let event = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                sample = link.hellos.next() => believe(sample).map_or(Event::Tick, Event::Hello),
                Some(stored) = storing.join_next() => stored.map_or(Event::Tick, Event::Stored),
                sample = link.pieces.next() => believe(sample).map_or(Event::Tick, Event::Piece),
                () = wake(inbox.next_wake()) => Event::Tick,
            };
            match event {
                Event::Hello(Sample { body, writer, .. }) => {
                    if let Some(receipts) = inbox.on_hello(&body, now(), &mut out) {
                        let (told, topic) = (ReaderAddress(receipts), &topics::RECORD_RECEIPT);
                        link.routes.on_hello(&link.domain, topic, told, writer);
                    }
                }
                Event::Piece(Sample { key, body, .. }) => {
                    if let Some((blob, index)) = key.split_first_chunk::<32>()
                        && let Ok(index) = index.try_into()
                    {
                        let index = u32::from_le_bytes(index);
                        inbox.on_piece(BlobId(*blob), index, &body, now(), &mut out);
                    }
                }
                Event::Stored((bridge, blob, stored)) => {
                    inbox.on_stored(bridge, blob, stored, now(), &mut out);
                }
                Event::Tick => (),
            }
            inbox.on_tick(now(), &mut out);
            carry_out(&mut out, node, &link, &spool, &mut storing)?;
        }
    }
}

fn carry_out(
    out: &mut Vec<Output>,
    node: NodeId,
    link: &Link,
    spool: &TenantSpool,
    storing: &mut JoinSet<Stored>,
) -> Result<(), CustodyError> {
    for output in out.drain(..) {
        let sent = match output {
            Output::Presence(bytes) => link.presence.write(&node.0, &bytes),
            Output::Receipt { to, blob, bytes } => {
                let to = link.routes.to(ReaderAddress(to));
                link.receipts.write_to(to, &[blob.0, node.0].concat(), &bytes)
            }
            Output::Store { bridge, blob, parts } => {
                let spool = spool.clone();
                storing.spawn(async move { (bridge, blob, store(&spool, parts).await) });
                Ok(())
            }
            Output::Unsigned(error) => return Err(error),
            Output::Note(note) => {
                tracing::info!("{note}");
                Ok(())
            }
        };
        // What is lost here is sent again: hellos and receipts are asked for.
        if let Err(error) = sent {
            tracing::warn!(%error, "not sent");
        }
    }
    Ok(())
}

/// All parts or an error: what was stored before it is known by its id when it comes again.
async fn store(spool: &TenantSpool, parts: Vec<Entry>) -> Result<(), Refusal> {
    let mut answers = Vec::with_capacity(parts.len());
    for part in parts {
        answers.push(spool.offer(part)?);
    }
    for answer in answers {
        answer.await.unwrap_or(Err(Refusal::Closing))?;
    }
    Ok(())
}

fn believe(sample: Result<Sample, DdsError>) -> Option<Sample> {
    sample.inspect_err(|error| tracing::warn!(%error, "ignored")).ok()
}

async fn wake(at: Timestamp) {
    tokio::time::sleep(Duration::from_micros(at.micros_since(now()))).await;
}
