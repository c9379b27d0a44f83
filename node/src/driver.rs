//! The one loop that touches DDS, clock, disk and signals: bytes in, [`Output`]s carried out.

pub mod join;
mod tie;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use common::crypto::PublicIdentity;
use common::id::{BlobId, TenantId};
use common::message::presence::Mailbox;
use common::units::{Millis, Timestamp};
use dds::{DdsError, Participant as Dds, Reader, ReaderAddress, Routes, Sample, Writer, topics};
use edge::{Stop, entropy, log_ignored, now};

use crate::config::{NodeConfig, Shutdown};
use crate::drift::Drifted;
use crate::folder::{Folder, Marks, certificate, keep_roster};
use crate::participant::{Note, Output, Participant, Setup};
use crate::trainer::{Report, Trainer, Training};
use tie::Tie;

/// A node that is not answered for this long joins the domain anew: a participant of RustDDS now and
/// then never matches its peers. Doubled each time, up to [`REJOIN_MAX`].
const REJOIN: Millis = Millis(2500);

/// Time is looked at at least this often, however much there is to read.
const TICK: Millis = Millis(100);

/// The longest wait before joining anew.
const REJOIN_MAX: Millis = Millis(60_000);

/// Everything on DDS.
struct Link {
    announcements: Reader,
    hellos: Reader,
    rosters: Reader,
    certificates: Reader,
    models: Reader,
    receipts: Reader,
    presence: Writer,
    model_receipts: Writer,
    updates: Writer,
    /// To a coordinator behind a relay.
    routes: Routes,
    /// Last, so that readers and writers say goodbye before it.
    domain: Dds,
}

impl Link {
    fn join(config: &dds::Config) -> Result<Self, DdsError> {
        let domain = Dds::new(config)?;
        Ok(Self {
            announcements: domain.reader(&topics::ANNOUNCE)?,
            hellos: domain.reader(&topics::HELLO)?,
            rosters: domain.reader(&topics::ROSTER)?,
            certificates: domain.reader(&topics::CERTIFICATE)?,
            models: domain.reader(&topics::MODEL_CHUNK)?,
            receipts: domain.reader(&topics::UPDATE_RECEIPT)?,
            presence: domain.writer(&topics::PRESENCE)?,
            model_receipts: domain.writer(&topics::MODEL_RECEIPT)?,
            updates: domain.writer(&topics::UPDATE_CHUNK)?,
            routes: Routes::default(),
            domain,
        })
    }

    /// The coordinator, which reads there, was believed when this writer wrote its hello.
    fn on_hello(&mut self, mailbox: Mailbox, writer: [u8; 16]) {
        let told = [(topics::UPDATE_CHUNK, mailbox.chunks), (topics::MODEL_RECEIPT, mailbox.receipts)];
        for (topic, told) in told {
            self.routes.on_hello(&self.domain, &topic, ReaderAddress(told), writer);
        }
    }

    fn mailbox(&self) -> Mailbox {
        Mailbox { chunks: self.models.address().0, receipts: self.receipts.address().0 }
    }
}

/// What must be on the disk before what follows it.
struct Kept {
    dir: PathBuf,
    marks: Marks,
    /// The key in this node's place, when it was told that it is not here.
    elsewhere: Option<PublicIdentity>,
}

impl Kept {
    /// Whether the key in this node's place is the next one of its folder.
    fn succeeds(&mut self, successor: Option<PublicIdentity>) -> bool {
        let Some(successor) = successor else { return false };
        let here = custody::next(&self.dir) == Some(successor);
        if !here && self.elsewhere.replace(successor) != Some(successor) {
            let place = self.dir.join(custody::NEXT);
            tracing::error!(
                "the roster has the key {successor} for this node, and {} has not",
                place.display()
            );
        }
        here
    }
}

/// Something that came in.
enum Event {
    Announcement(Sample),
    Hello(Sample),
    Roster(Sample),
    Certificate(Sample),
    ModelChunk(Sample),
    Receipt(Sample),
    Report(Report),
    Severed,
    Tick,
    Stop,
}

/// Why a node takes part no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its process was asked to end.
    Stopped,
    /// It is to go on under the other key of its folder.
    Succeeded,
}

/// Takes part in rounds until SIGTERM or Ctrl-C, or until the operator gave its place to the next key of its folder; and
/// then until those that it is in are done, or it has waited for that as long as it may. Its presence says what `drifted` does.
///
/// # Errors
///
/// When DDS cannot be joined, a mark cannot be written, or nothing can be signed: then nothing may take effect any more.
pub async fn run(folder: Folder, trainer: impl Trainer, drifted: Drifted, stop: &mut Stop) -> Result<Ended> {
    let mut link = Link::join(&folder.config.dds)?;
    let (mut training, mut reports) = Training::start(trainer, now).context("cannot start a thread")?;
    let mut tie = Tie::default();
    let (mut participant, config, mut kept) = begin(folder, link.mailbox())?;
    tracing::info!(node = %participant.node(), name = config.name, domain = config.dds.domain, "looking for the coordinator");
    let mut rejoin_after = REJOIN;
    let (mut out, mut ends, mut ended) = (Vec::new(), None, Ended::Stopped);
    let mut ticked = Timestamp::default();
    while ends.is_none_or(|ends| now() < ends && !participant.is_idle()) {
        if participant.unanswered_since().is_some_and(|since| now() >= since + rejoin_after) {
            // The old one leaves first, so that the coordinator hears its goodbye before the new hello.
            drop(link);
            link = Link::join(&config.dds)?;
            participant.on_moved(link.mailbox(), now());
            rejoin_after = Millis(rejoin_after.0 * 2).min(REJOIN_MAX);
            tracing::debug!(again_in = %rejoin_after, "no answer: joined the domain anew");
            continue;
        }
        if participant.unanswered_since().is_none() {
            rejoin_after = REJOIN;
        }
        let event = tokio::select! {
            biased;
            () = stop.asked() => Event::Stop,
            sample = link.announcements.next() => believe(sample).map_or(Event::Tick, Event::Announcement),
            sample = link.hellos.next() => believe(sample).map_or(Event::Tick, Event::Hello),
            sample = link.rosters.next() => believe(sample).map_or(Event::Tick, Event::Roster),
            sample = link.certificates.next() => believe(sample).map_or(Event::Tick, Event::Certificate),
            sample = link.receipts.next() => believe(sample).map_or(Event::Tick, Event::Receipt),
            sample = link.models.next() => believe(sample).map_or(Event::Tick, Event::ModelChunk),
            Some(report) = reports.recv() => Event::Report(report),
            () = tie.severed() => Event::Severed,
            () = wake(participant.next_wake().min(ends.unwrap_or(Timestamp(u64::MAX)))) => Event::Tick,
        };
        let idle = matches!(event, Event::Tick);
        if matches!(event, Event::Stop) {
            // Asked again, it ends at once.
            ends = Some(ends.map_or_else(|| drain(config.shutdown, &mut participant, &mut out), |_| now()));
        }
        take(event, &mut participant, &mut link, &mut out);
        participant.on_drift(drifted.run());
        participant.on_step(training.stepped(), now(), &mut out);
        // Whether a transfer stalls is asked when nothing is left to read; under a flood, now and then.
        if idle || now() >= ticked + TICK {
            ticked = now();
            participant.on_tick(ticked, &mut out);
            if ended == Ended::Stopped && kept.succeeds(participant.successor()) {
                (ended, ends) = (Ended::Succeeded, Some(ends.unwrap_or(ticked)));
            }
        }
        // Before the operator is told of the connection, so that it holds from then on.
        tie.keep(participant.answering()).await;
        carry_out(&mut out, &participant, &link, &mut training, &mut kept, &mut tie)?;
    }
    tracing::info!("stopping");
    training.cancel();
    participant.on_leave(now(), &mut out);
    carry_out(&mut out, &participant, &link, &mut training, &mut kept, &mut tie)?;
    tie.leave().await;
    Ok(ended)
}

/// What a folder holds begins to take part, reading there.
fn begin(folder: Folder, mailbox: Mailbox) -> Result<(Participant, NodeConfig, Kept)> {
    let Folder { dir, config, identity, operator, roster, marks, certified, .. } = folder;
    let (tenant, window) = (TenantId::of_name(&config.tenant), config.transfer.window_chunks);
    let (known, acted, random) = (marks.all().clone(), marks.models().clone(), entropy()?);
    // No news of the network will say so of a roster that is known already.
    let refusal = roster.as_ref().and_then(|roster| roster.membership(identity.node_id()).refusal());
    if let Some(reason) = refusal {
        tracing::warn!("{}", Note::NoMember(reason));
    }
    let setup = Setup {
        identity,
        suite: config.suite,
        operator,
        roster,
        tenant,
        mailbox,
        marks: known,
        acted,
        certified,
        window,
        random,
    };
    Ok((Participant::new(setup, now()), config, Kept { dir, marks, elsewhere: None }))
}

/// The process is asked to end: it takes nothing new. Returns when it ends at the latest.
fn drain(Shutdown { drain_ms }: Shutdown, participant: &mut Participant, out: &mut Vec<Output>) -> Timestamp {
    let now = now();
    if drain_ms > 0 && !participant.is_idle() {
        tracing::info!("ending with the rounds that go on, within {}; again ends at once", Millis(drain_ms));
        participant.on_drain(now, out);
    }
    now + Millis(drain_ms)
}

/// A sample as it came; one that is not a sample of its topic is dropped with a word.
fn believe(sample: Result<Sample, DdsError>) -> Option<Sample> {
    sample.inspect_err(|error| tracing::warn!(%error, "ignored")).ok()
}

async fn wake(at: Timestamp) {
    tokio::time::sleep(Duration::from_micros(at.micros_since(now()))).await;
}

fn take(event: Event, participant: &mut Participant, link: &mut Link, out: &mut Vec<Output>) {
    let now = now();
    match event {
        Event::Announcement(sample) => participant.on_announcement(&sample.body, now, out),
        Event::Roster(sample) => participant.on_roster(&sample.body, now, out),
        // Most are of others.
        Event::Certificate(sample) if *sample.key == participant.node().0 => {
            participant.on_certificate(&sample.body, now, out);
        }
        Event::Hello(Sample { body, writer, .. }) => {
            if let Some(mailbox) = participant.on_coordinator(&body, now, out) {
                link.on_hello(mailbox, writer);
            }
        }
        Event::ModelChunk(Sample { key, body, .. }) => {
            if let Some((blob, index)) = chunk_key(&key) {
                participant.on_model_chunk(blob, index, &body, now, out);
            }
        }
        Event::Receipt(Sample { key, body, .. }) => {
            if let Some((blob, _)) = key.split_first_chunk::<32>() {
                participant.on_receipt(BlobId(*blob), &body, now, out);
            }
        }
        Event::Report(Report::Progress(of, percent)) => participant.on_progress(of, percent, now, out),
        Event::Report(Report::Trained(trained)) => participant.on_trained(&trained, now, out),
        Event::Report(Report::Declined(of, reason)) => participant.on_declined(of, &reason, now, out),
        Event::Report(Report::Kept(what)) => tracing::info!("{what}"),
        Event::Report(Report::NotKept(reason)) => tracing::error!("the model was not kept: {reason}"),
        Event::Severed => participant.on_severed(now, out),
        Event::Certificate(_) | Event::Tick | Event::Stop => (),
    }
}

/// The key of a chunk: blob, then index, little-endian as CDR has it.
fn chunk_key(key: &Bytes) -> Option<(BlobId, u32)> {
    let (blob, index) = key.split_first_chunk::<32>()?;
    Some((BlobId(*blob), u32::from_le_bytes(index.try_into().ok()?)))
}

fn carry_out(
    out: &mut Vec<Output>,
    participant: &Participant,
    link: &Link,
    training: &mut Training,
    kept: &mut Kept,
    tie: &mut Tie,
) -> Result<()> {
    let node = participant.node();
    for output in out.drain(..) {
        let sent = match output {
            Output::Presence(bytes) => {
                tie.on_presence(&bytes);
                link.presence.write(&node.0, &bytes)
            }
            Output::Receipt { blob, bytes } => {
                let to = link.routes.to(ReaderAddress(participant.receipts_to()));
                link.model_receipts.write_to(to, &[blob.0, node.0].concat(), &bytes)
            }
            Output::UpdateChunk { to, blob, index, bytes } => {
                let key = [&blob.0[..], &index.to_le_bytes()].concat();
                link.updates.write_to(link.routes.to(ReaderAddress(to)), &key, &bytes)
            }
            Output::Mark { run, epoch, model } => {
                kept.marks.set(run, epoch, *model)?;
                Ok(())
            }
            Output::Roster { text, operator } => {
                keep_roster(&kept.dir, &text, &operator)?;
                Ok(())
            }
            Output::Certificate { certificate, authority } => {
                certificate::keep(&kept.dir, &certificate, &authority)?;
                Ok(())
            }
            Output::Train(assignment) => {
                tracing::info!(run = %assignment.run, round = %assignment.round, "training");
                training.train(assignment);
                Ok(())
            }
            Output::Cancel => {
                training.cancel();
                Ok(())
            }
            Output::Keep(assignment) => {
                training.keep(assignment);
                Ok(())
            }
            Output::Unsigned(error) => return Err(error.into()),
            Output::Note(note @ Note::Ignored { .. }) => {
                log_ignored(note);
                Ok(())
            }
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
    Ok(())
}
