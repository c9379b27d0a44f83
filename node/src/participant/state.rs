//! The state machine itself: what each input does in each stage.

mod offer;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use common::crypto::{Identity, Keyring, Label, PublicIdentity, Sealer};
use common::id::{BlobId, EpochId, NodeId, RunId, TenantId};
use common::message::announce::{Announcement, Request};
use common::message::presence::{
    Activity, Address, CoordinatorPresence, HANG, HEARTBEAT, Mailbox, NodePresence, SILENCE, VERSION,
};
use common::message::receipt::Status;
use common::message::update::Change;
use common::message::{Signed, SignedError};
use common::model::ParameterVector;
use common::units::{Millis, Timestamp};
use common::upload::{Ended, Upload};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use super::fetching::{Fetched, Fetching, Work};
use super::{Note, Output, Trained};
use crate::outgoing;

/// Chunks kept that came before the announcement which explains them; a window of them and a half.
const STASH_MAX: usize = 48;

/// The first wait before an unanswered hello is repeated; doubled up to a [`HEARTBEAT`].
const HELLO: Millis = Millis(50);

/// Progress is told at most this often.
const PROGRESS: Millis = Millis(250);

/// What a participant is made of.
#[derive(Debug)]
pub struct Setup {
    /// The node's key.
    pub identity: Identity,
    /// The one coordinator it trusts.
    pub coordinator: PublicIdentity,
    /// Whose telemetry this is.
    pub tenant: TenantId,
    /// Where this process reads what is meant for it alone.
    pub mailbox: Mailbox,
    /// The newest epoch of each run that was acted on, as the store has it.
    pub marks: BTreeMap<RunId, EpochId>,
    /// Chunks that may be on their way to this node without a receipt.
    pub window: u32,
    /// Every random choice: keys, nonces, the session.
    pub random: ChaCha20Rng,
}

/// A node in its rounds.
#[derive(Debug)]
pub struct Participant {
    setup: Setup,
    session: u64,
    keyring: Keyring,
    link: Link,
    stage: Stage,
    told: Told,
    /// When training began.
    began: Timestamp,
    /// When the trainer took its last step, or has to have taken the first.
    stepped: Timestamp,
    stash: VecDeque<(BlobId, u32, Vec<u8>)>,
    /// The last model that arrived whole: its sender may have missed the receipt.
    fetched: Option<Work>,
    /// Of the last model or update, for the next: fresh pages are dear.
    buffer: Vec<u8>,
}

/// What is known of the coordinator.
#[derive(Debug)]
struct Link {
    mailbox: Mailbox,
    seq: u64,
    /// When the newest announcement was written, by the coordinator's clock: older ones are replays.
    issued: Timestamp,
    heard: Timestamp,
    answered: bool,
    hello_at: Timestamp,
    hello_after: Millis,
}

/// What presence says.
#[derive(Debug, Default)]
struct Told {
    activity: Activity,
    epoch: EpochId,
    progress: u8,
    at: Timestamp,
}

#[derive(Debug)]
enum Stage {
    Idle,
    Fetching(Fetching),
    Training(Work, Arc<ParameterVector>),
    Uploading(Work, Upload),
}

impl Participant {
    /// A participant that has not been heard yet; its first hello is due at once.
    pub fn new(mut setup: Setup, now: Timestamp) -> Self {
        let session = setup.random.next_u64();
        let keyring = Keyring::new(setup.identity.node_id(), now, &mut setup.random);
        let mailbox = Mailbox::default();
        let link = Link {
            mailbox,
            seq: 0,
            issued: Timestamp::default(),
            heard: now,
            answered: false,
            hello_at: now,
            hello_after: HELLO,
        };
        let (told, stash) = (Told::default(), VecDeque::new());
        Self {
            setup,
            session,
            keyring,
            link,
            stage: Stage::Idle,
            told,
            began: now,
            stepped: now,
            stash,
            fetched: None,
            buffer: Vec::new(),
        }
    }

    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.setup.identity.node_id()
    }

    /// Since when the coordinator has not answered; `None` while it does.
    pub fn unanswered_since(&self) -> Option<Timestamp> {
        (!self.link.answered).then_some(self.link.heard)
    }

    /// The process reads elsewhere now: it joined the network anew.
    pub fn on_moved(&mut self, mailbox: Mailbox, now: Timestamp) {
        self.setup.mailbox = mailbox;
        self.link.heard = now;
        self.link.hello_at = now;
        self.link.hello_after = HELLO;
    }

    /// Takes the coordinator's hello; returns where it reads, when that is believed and new.
    pub fn on_coordinator(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) -> Option<Mailbox> {
        let signed = match self.open::<CoordinatorPresence>(bytes, Label::Hello) {
            Ok(presence) => presence,
            Err(error) => {
                out.push(ignored("presence", &error));
                return None;
            }
        };
        if signed.version != VERSION {
            let reason = format!("protocol version {}, this node speaks {VERSION}", signed.version);
            out.push(ignored("presence", &reason));
            return None;
        }
        if signed.seq <= self.link.seq {
            return None;
        }
        self.link.seq = signed.seq;
        // A process that was not heard before believes what answers it.
        let is_new = std::mem::replace(&mut self.link.mailbox, signed.mailbox) != signed.mailbox;
        self.link.heard = now;
        let me = self.node();
        let heard = signed.heard.iter().any(|heard| heard.node == me && heard.session == self.session);
        if heard && !self.link.answered {
            out.push(Output::Note(Note::Connected(self.setup.coordinator.node_id())));
        }
        if !heard {
            self.link.hello_after = HELLO;
            self.link.hello_at = if is_new { now } else { self.link.hello_at.min(self.told.at + HELLO) };
        }
        self.link.answered = heard;
        self.on_tick(now, out);
        Some(signed.mailbox)
    }

    /// Takes an announcement: the coordinator wants something, and no longer what it wanted before.
    pub fn on_announcement(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        let announcement = match self.open::<Announcement>(bytes, Label::Announce) {
            Ok(announcement) => announcement,
            Err(error) => return out.push(ignored("announce", &error)),
        };
        if announcement.tenant != self.setup.tenant {
            return out.push(ignored("announce", &"of another tenant"));
        }
        let mark = self.setup.marks.get(&announcement.run).copied().unwrap_or_default();
        if announcement.epoch <= mark || announcement.issued < self.link.issued {
            return;
        }
        self.link.issued = announcement.issued;
        let me = self.node();
        let offer = announcement.request.offer();
        let member = offer.and_then(|offer| offer.members.iter().find(|member| member.node == me));
        let (Some(offer), Some(member)) = (offer, member) else {
            return self.rest(now, out);
        };
        let opened = match self.open_offer(&announcement, offer, member) {
            Ok(opened) => opened,
            Err(reason) => {
                // It names this node, so it waits for it: it is told that it does so in vain.
                out.push(ignored("announce", &reason));
                return self.say(Activity::Declining, announcement.epoch, now, out);
            }
        };
        let (opener, pair) = opened;
        let used = member.package;
        self.keyring.on_used(&used, now, &mut self.setup.random);
        self.setup.marks.insert(announcement.run, announcement.epoch);
        self.leave(out);
        out.push(Output::Mark { run: announcement.run, epoch: announcement.epoch });
        let work = Work {
            run: announcement.run,
            round: announcement.round,
            epoch: announcement.epoch,
            train: matches!(announcement.request, Request::Train(_)),
            deadline: now + announcement.deadline,
            pair,
            coordinator: offer.package,
            model: offer.model.blob(),
            receipts: 0,
        };
        self.fetch(work, opener, now, out);
    }

    /// Takes a chunk of a model.
    pub fn on_model_chunk(
        &mut self,
        blob: BlobId,
        index: u32,
        sealed: &[u8],
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let node = self.node();
        match &mut self.stage {
            Stage::Fetching(fetching) if fetching.work.model == blob => {
                match fetching.on_chunk(node, index, sealed, now) {
                    Fetched::Waiting(receipt) => out.extend(receipt),
                    Fetched::Complete => self.begin(now, out),
                }
            }
            Stage::Training(work, _) | Stage::Uploading(work, _) if work.model == blob => {
                out.push(work.receipt(node, Status::Complete));
            }
            _ => match &mut self.fetched {
                Some(work) if work.model == blob => out.push(work.receipt(node, Status::Complete)),
                _ => self.keep_for_later(blob, index, sealed),
            },
        }
    }

    /// Takes a receipt of the coordinator for an update.
    pub fn on_receipt(&mut self, blob: BlobId, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        let Stage::Uploading(work, upload) = &mut self.stage else {
            return;
        };
        if upload.blob() != blob {
            return;
        }
        let round = work.round;
        match upload.on_receipt(bytes, &work.pair, now) {
            None => send(upload, self.link.mailbox.chunks, now, out),
            Some(ended) => {
                out.push(Output::Note(match ended {
                    Ended::Delivered => Note::Delivered(round),
                    Ended::Refused => Note::Refused(round),
                }));
                self.rest(now, out);
            }
        }
    }

    /// Training goes on.
    pub fn on_progress(&mut self, epoch: EpochId, percent: u8, now: Timestamp, out: &mut Vec<Output>) {
        let training = matches!(&self.stage, Stage::Training(work, _) if work.epoch == epoch);
        if training {
            self.told.progress = percent;
            if now >= self.told.at + PROGRESS {
                self.tell(now, out);
            }
        }
    }

    /// The trainer took its last step then. Presence is true of the trainer, not only of this process: one that
    /// hangs is said to.
    pub fn on_step(&mut self, at: Timestamp, now: Timestamp, out: &mut Vec<Output>) {
        if at > self.began {
            self.stepped = at;
        }
        let hangs = matches!(self.stage, Stage::Training(..)) && now >= self.stepped + HANG;
        let told = match (self.told.activity, hangs) {
            (Activity::Training, true) => Activity::Hanging,
            (Activity::Hanging, false) => Activity::Training,
            _ => return,
        };
        self.told.activity = told;
        self.tell(now, out);
    }

    /// The coordinator's process has ended; its next one is looked for at once.
    pub fn on_severed(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.link.answered) {
            (self.link.hello_at, self.link.hello_after) = (now, HELLO);
            out.push(Output::Note(Note::Lost));
        }
    }

    /// The process ends.
    pub fn on_leave(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.told = Told { activity: Activity::Leaving, ..Told::default() };
        self.tell(now, out);
    }

    /// Training is done: seal what changed, and offer it.
    pub fn on_trained(&mut self, trained: &Trained, now: Timestamp, out: &mut Vec<Output>) {
        let (work, base) = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Training(work, base) if work.epoch == trained.epoch => (work, base),
            other => {
                self.stage = other;
                return;
            }
        };
        let round = work.round;
        let next = Some(self.keyring.package());
        let subject = outgoing::subject(self.setup.tenant, work.run, round, work.epoch);
        let Trained { samples, steps, loss, .. } = *trained;
        let model = Change { from: base.values(), to: trained.parameters.values() };
        let control = trained.control.as_ref().map(|control| Change { from: &control.from, to: &control.to });
        let head = outgoing::head(samples, steps, loss);
        let buffer = std::mem::take(&mut self.buffer);
        let sealer = Sealer { identity: &self.setup.identity, subject, next_package: next, buffer };
        let (to, random) = (&work.coordinator, &mut self.setup.random);
        let sealed = outgoing::seal(&head, (model, control), sealer, to, random);
        match sealed {
            Ok(sealed) => {
                let coordinator = self.setup.coordinator.node_id();
                self.stage = Stage::Uploading(work, Upload::new(sealed, coordinator, now));
                self.told.activity = Activity::Uploading;
                self.on_tick(now, out);
            }
            Err(error) => self.decline(&work, &error.to_string(), now, out),
        }
    }

    /// The node cannot do what is asked; `reason` is for its own operator.
    pub fn on_declined(&mut self, epoch: EpochId, reason: &str, now: Timestamp, out: &mut Vec<Output>) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Training(work, _) if work.epoch == epoch => self.decline(&work, reason, now, out),
            other => self.stage = other,
        }
    }

    /// Time has passed: hellos, offers, stalled transfers, deadlines.
    pub fn on_tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.link.answered && now >= self.link.heard + SILENCE {
            self.link.answered = false;
            self.link.hello_after = HELLO;
            out.push(Output::Note(Note::Lost));
        }
        self.keyring.refresh(now, &mut self.setup.random);
        if now >= self.hello_due() {
            self.tell(now, out);
        }
        let node = self.node();
        match &mut self.stage {
            Stage::Fetching(fetching) => out.extend(fetching.on_tick(node, now)),
            Stage::Uploading(_, upload) => send(upload, self.link.mailbox.chunks, now, out),
            Stage::Idle | Stage::Training(..) => (),
        }
        if let Some(work) = self.work().filter(|work| now >= work.deadline) {
            out.push(Output::Note(Note::Overdue(work.round)));
            self.rest(now, out);
        }
    }

    /// When [`Self::on_tick`] is due next.
    pub fn next_wake(&self) -> Timestamp {
        let stage = match &self.stage {
            Stage::Fetching(fetching) => Some(fetching.incoming.next_wake()),
            Stage::Uploading(_, upload) => upload.next_wake(),
            Stage::Training(..) if self.told.activity != Activity::Hanging => Some(self.stepped + HANG),
            Stage::Idle | Stage::Training(..) => None,
        };
        let deadline = self.work().map(|work| work.deadline);
        let silence = self.link.answered.then(|| self.link.heard + SILENCE);
        [stage, deadline, silence].into_iter().flatten().fold(self.hello_due(), Timestamp::min)
    }

    fn hello_due(&self) -> Timestamp {
        if self.link.answered { self.told.at + HEARTBEAT } else { self.link.hello_at }
    }

    fn work(&self) -> Option<&Work> {
        match &self.stage {
            Stage::Idle => None,
            Stage::Fetching(fetching) => Some(&fetching.work),
            Stage::Training(work, _) | Stage::Uploading(work, _) => Some(work),
        }
    }

    fn open<T: common::wire::Wire>(&self, bytes: &[u8], label: Label) -> Result<T, SignedError> {
        let coordinator = &self.setup.coordinator;
        let key_of = |signer| (signer == coordinator.node_id()).then_some(coordinator);
        Signed::open(bytes, label, key_of).map(|signed| signed.body)
    }

    /// Leaves the current stage; a training that runs is not wanted any more.
    fn leave(&mut self, out: &mut Vec<Output>) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Training(..) => out.push(Output::Cancel),
            Stage::Uploading(_, upload) => self.buffer = upload.into_buffer(),
            Stage::Idle | Stage::Fetching(_) => (),
        }
        self.fetched = None;
    }

    fn rest(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.leave(out);
        self.say(Activity::Idle, EpochId::default(), now, out);
    }

    /// Tells a change that the coordinator waits for; one it can see for itself waits for the heartbeat.
    fn say(&mut self, activity: Activity, epoch: EpochId, now: Timestamp, out: &mut Vec<Output>) {
        let seen =
            matches!((self.told.activity, activity), (Activity::Uploading | Activity::Idle, Activity::Idle));
        self.told = Told { activity, epoch, progress: 0, at: self.told.at };
        if !seen {
            self.tell(now, out);
        }
    }

    fn tell(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let presence = NodePresence {
            session: self.session,
            seq: now.0,
            answers: self.link.seq,
            package: self.keyring.package(),
            mailbox: self.setup.mailbox,
            activity: self.told.activity,
            epoch: self.told.epoch,
            progress: self.told.progress,
            version: VERSION,
        };
        out.push(Output::Presence(Signed::seal(&self.setup.identity, Label::Presence, &presence)));
        self.told.at = now;
        self.link.hello_at = now + self.link.hello_after;
        self.link.hello_after = Millis(self.link.hello_after.0 * 2).min(HEARTBEAT);
    }

    fn keep_for_later(&mut self, blob: BlobId, index: u32, sealed: &[u8]) {
        if self.stash.len() == STASH_MAX {
            self.stash.pop_front();
        }
        self.stash.push_back((blob, index, sealed.to_vec()));
    }

    /// Where the coordinator reads receipts.
    pub fn receipts_to(&self) -> Address {
        self.link.mailbox.receipts
    }
}

fn ignored(topic: &'static str, reason: &impl ToString) -> Output {
    Output::Note(Note::Ignored { topic, reason: reason.to_string() })
}

/// Writes what may be sent of an update now.
fn send(upload: &mut Upload, to: Address, now: Timestamp, out: &mut Vec<Output>) {
    let blob = upload.blob();
    upload.send(now, |index, bytes| out.push(Output::UpdateChunk { to, blob, index, bytes }));
}
