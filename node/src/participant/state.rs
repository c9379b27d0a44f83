//! The state machine itself: what each input does in each stage.

mod certificate;
mod offer;
mod roster;
mod turn;

use std::collections::{BTreeMap, VecDeque};

use common::crypto::{Identity, Keyring, Label, Manifest, PublicIdentity, Suite};
use common::id::{BlobId, EpochId, NodeId, RunId, TenantId};
use common::message::announce::{Announcement, Request};
use common::message::presence::{
    self, Address, CoordinatorPresence, HEARTBEAT, Mailbox, NodePresence, SILENCE, Standing, VERSION,
};
use common::message::receipt::Status;
use common::message::{Signed, SignedError};
use common::roster::Roster;
use common::units::{Millis, Timestamp};
use common::upload::{Ended, Upload};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use super::announced::Announced;
use super::work::{Asked, Channel, Fetched, Stage, Work};
use super::{Note, Output};

/// Chunks kept that came before the announcement which explains them; a window of them and a half.
const STASH_MAX: usize = 48;

/// Old buffers that are kept to be used again, for the next model and the next update: fresh pages are dear.
const BUFFERS_MAX: usize = 2;

/// The first wait before an unanswered hello is repeated; doubled up to a [`HEARTBEAT`].
const HELLO: Millis = Millis(50);

/// Progress is told at most this often.
const PROGRESS: Millis = Millis(250);

/// What a participant is made of.
#[derive(Debug)]
pub struct Setup {
    /// The node's key.
    pub identity: Identity,
    /// The cryptography of its fleet.
    pub suite: Suite,
    /// Who says which coordinator it trusts, and who its members are.
    pub operator: PublicIdentity,
    /// What was said last, as the store has it.
    pub roster: Option<Roster>,
    /// Whose telemetry this is.
    pub tenant: TenantId,
    /// Where this process reads what is meant for it alone.
    pub mailbox: Mailbox,
    /// The newest epoch of each run that was acted on, as the store has it.
    pub marks: BTreeMap<RunId, EpochId>,
    /// The models of these, as far as the store has them.
    pub acted: BTreeMap<RunId, Manifest>,
    /// Until when the certificate is good that the store has from this coordinator, 0 when it has none.
    pub certified: Timestamp,
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
    announced: Announced,
    /// Announcements that were made from a roster which is still to come.
    ahead: BTreeMap<RunId, Vec<u8>>,
    /// What each run had asked for last, and how far that is.
    works: BTreeMap<RunId, Work>,
    /// Models that came and were to be trained on: the order in which they are.
    turns: u64,
    /// When the result that is kept was announced, by the coordinator's clock: an older one is not kept after it.
    kept: Timestamp,
    /// Nothing new is taken: the process ends.
    draining: bool,
    /// From which run's model the node's telemetry drifted.
    drifted: Option<RunId>,
    /// When presence was told last.
    told_at: Timestamp,
    stash: VecDeque<(BlobId, u32, Vec<u8>)>,
    buffers: Vec<Vec<u8>>,
}

/// What is known of the coordinator.
#[derive(Debug)]
struct Link {
    mailbox: Mailbox,
    seq: u64,
    heard: Timestamp,
    answered: bool,
    hello_at: Timestamp,
    hello_after: Millis,
    /// Whether it was told that the coordinator uses another suite.
    elsewhere: bool,
}

impl Participant {
    /// A participant that has not been heard yet; its first hello is due at once.
    pub fn new(mut setup: Setup, now: Timestamp) -> Self {
        let session = setup.random.next_u64();
        let keyring = Keyring::new(setup.suite, setup.identity.node_id(), now, &mut setup.random);
        let (marks, acted) = (std::mem::take(&mut setup.marks), std::mem::take(&mut setup.acted));
        let announced = Announced::new(marks, acted);
        let (mailbox, hello_after) = (Mailbox::default(), HELLO);
        let (seq, heard, answered, hello_at, elsewhere) = (0, now, false, now, false);
        let link = Link { mailbox, seq, heard, answered, hello_at, hello_after, elsewhere };
        let (ahead, works, stash, buffers) = Default::default();
        let (turns, draining, kept, told_at) = (0, false, Timestamp::default(), Timestamp::default());
        Self {
            setup,
            session,
            keyring,
            link,
            announced,
            ahead,
            works,
            turns,
            kept,
            draining,
            drifted: None,
            told_at,
            stash,
            buffers,
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

    /// The node's telemetry drifted from the model of this run that it keeps, or it did not; told with the next presence.
    pub fn on_drift(&mut self, drifted: Option<RunId>) {
        self.drifted = drifted;
    }

    /// Takes the coordinator's hello; returns where it reads, when that is believed and new.
    pub fn on_coordinator(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) -> Option<Mailbox> {
        if !self.claims_our_suite(bytes, out) {
            return None;
        }
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
        self.link.elsewhere = false;
        // A process that was not heard before believes what answers it.
        let is_new = std::mem::replace(&mut self.link.mailbox, signed.mailbox) != signed.mailbox;
        self.link.heard = now;
        let me = self.node();
        let heard = signed.heard.iter().any(|heard| heard.node == me && heard.session == self.session);
        if heard && !self.link.answered {
            out.extend(self.coordinator().map(|key| Output::Note(Note::Connected(key.node_id()))));
        }
        if !heard {
            self.link.hello_after = HELLO;
            self.link.hello_at = if is_new { now } else { self.link.hello_at.min(self.told_at + HELLO) };
        }
        self.link.answered = heard;
        self.on_tick(now, out);
        Some(signed.mailbox)
    }

    /// Looks at the suite that a hello claims, before its signature. That it is another one is told once.
    fn claims_our_suite(&mut self, bytes: &[u8], out: &mut Vec<Output>) -> bool {
        let claimed = Signed::<CoordinatorPresence>::claimed(bytes).ok();
        let coordinator = self.coordinator().map(PublicIdentity::node_id);
        let Some(hello) = claimed.filter(|hello| Some(hello.signer) == coordinator) else { return true };
        let Err(other) = self.setup.suite.require(hello.body.suite) else { return true };
        if !std::mem::replace(&mut self.link.elsewhere, true) {
            out.push(Output::Note(Note::Elsewhere(other)));
        }
        false
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
        if !self.knows_roster_of(&announcement, bytes) {
            return;
        }
        let Announcement { run, round, epoch, .. } = announcement;
        if !self.announced.take(&announcement, |run| self.works.contains_key(&run)) {
            return;
        }
        let me = self.node();
        let offer = announcement.request.offer();
        let member = offer.and_then(|offer| offer.members.iter().find(|member| member.node == me));
        let (Some(offer), Some(member)) = (offer, member) else {
            return self.go_on(&announcement, now, out);
        };
        let train = matches!(announcement.request, Request::Train(_));
        let Announcement { issued, deadline, .. } = announcement;
        let asked = Asked { run, round, epoch, issued, deadline: now + deadline };
        if self.draining && !train {
            // The next process is given the result.
            return self.rest(run, now, out);
        }
        if !self.has_room_for(run) {
            return out.push(ignored("announce", &"this node works on as many runs as it can"));
        }
        let opened = if self.draining {
            Err("this node is asked to end, and takes nothing new".to_owned())
        } else {
            self.knows_all(offer).and_then(|()| self.open_offer(&announcement, offer, member))
        };
        let (opener, keys) = match opened {
            Ok(opened) => opened,
            Err(reason) => {
                // It names this node, so it waits for it: it is told that it does so in vain.
                self.leave(run, now, out);
                return self.decline(asked, &reason, now, out);
            }
        };
        let used = member.package;
        self.keyring.on_used(&used);
        self.announced.mark(run, epoch, offer.model.clone());
        self.leave(run, now, out);
        out.push(Output::Mark { run, epoch, model: Box::new(offer.model.clone()) });
        let (coordinator, model) = (offer.model.claimed_header().sender, offer.model.blob());
        let channel = Channel { keys, coordinator, model, receipts: 0 };
        self.fetch(asked, (channel, train), opener, now, out);
    }

    /// Others are asked. What this node trains for the run is still wanted, or not.
    fn go_on(&mut self, announcement: &Announcement, now: Timestamp, out: &mut Vec<Output>) {
        let Announcement { run, taken_from, deadline, .. } = *announcement;
        let wanted = |work: &&mut Work| work.goes_on() && work.asked.epoch >= taken_from;
        match self.works.get_mut(&run).filter(wanted) {
            Some(work) => work.asked.deadline = now + deadline,
            None => self.rest(run, now, out),
        }
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
        let is_of = |work: &mut Work| work.stage.channel().is_some_and(|channel| channel.model == blob);
        let Some(work) = self.works.values_mut().find_map(|work| is_of(work).then_some(work)) else {
            return self.keep_for_later(blob, index, sealed);
        };
        let run = work.asked.run;
        match &mut work.stage {
            Stage::Fetching(fetching) => match fetching.on_chunk(node, index, sealed, now) {
                Fetched::Waiting(receipt) => out.extend(receipt),
                Fetched::Complete => self.begin(run, now, out),
            },
            stage => out.extend(stage.channel().map(|channel| channel.receipt(node, Status::Complete))),
        }
    }

    /// Takes a receipt of the coordinator for an update.
    pub fn on_receipt(&mut self, blob: BlobId, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        let mut ended = None;
        for Work { asked, stage } in self.works.values_mut() {
            if let Stage::Uploading(channel, upload) = stage
                && upload.blob() == blob
            {
                match upload.on_receipt(bytes, &channel.keys.pair, now) {
                    None => send(upload, self.link.mailbox.chunks, now, out),
                    Some(how) => ended = Some((*asked, how)),
                }
            }
        }
        if let Some((Asked { run, round, .. }, how)) = ended {
            out.push(Output::Note(match how {
                Ended::Delivered => Note::Delivered { run, round },
                Ended::Refused => Note::Refused { run, round },
            }));
            self.rest(run, now, out);
        }
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
        self.say(Standing::Leaving, Vec::new(), now, out);
    }

    /// The process ends as soon as what it works on is done: it takes nothing new.
    pub fn on_drain(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.draining = true;
        self.tell(now, out);
    }

    /// Whether nothing is still to be done for any run.
    pub fn is_idle(&self) -> bool {
        !self.works.values().any(Work::goes_on)
    }

    /// Time has passed: hellos, offers, stalled transfers, deadlines.
    pub fn on_tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.link.answered && now >= self.link.heard + SILENCE {
            self.link.answered = false;
            self.link.hello_after = HELLO;
            out.push(Output::Note(Note::Lost));
        }
        self.on_expiry(now, out);
        self.keyring.refresh(now, &mut self.setup.random);
        if now >= self.hello_due() {
            self.tell(now, out);
        }
        let node = self.node();
        for work in self.works.values_mut() {
            match &mut work.stage {
                Stage::Fetching(fetching) => out.extend(fetching.on_tick(node, now)),
                Stage::Uploading(_, upload) => send(upload, self.link.mailbox.chunks, now, out),
                Stage::Waiting(..) | Stage::Training(..) | Stage::Kept(_) | Stage::Declining => (),
            }
        }
        let overdue = self.works.values().filter(|work| work.is_overdue(now));
        let overdue: Vec<(Asked, bool)> = overdue.map(|work| (work.asked, work.goes_on())).collect();
        for (Asked { run, round, .. }, went_on) in overdue {
            if went_on {
                out.push(Output::Note(Note::Overdue { run, round }));
            }
            self.rest(run, now, out);
        }
    }

    /// When [`Self::on_tick`] is due next.
    pub fn next_wake(&self) -> Timestamp {
        let works = self.works.values().filter_map(Work::next_wake);
        let silence = self.link.answered.then(|| self.link.heard + SILENCE);
        works.chain(silence).fold(self.hello_due(), Timestamp::min)
    }

    fn hello_due(&self) -> Timestamp {
        if self.link.answered { self.told_at + HEARTBEAT } else { self.link.hello_at }
    }

    fn open<T: common::wire::Wire>(&self, bytes: &[u8], label: Label) -> Result<T, SignedError> {
        let key_of = |signer| self.coordinator().filter(|coordinator| signer == coordinator.node_id());
        Signed::open(bytes, label, key_of).map(|signed| signed.body)
    }

    /// Leaves what goes on for a run; a training that runs is not wanted any more, and another run has its turn.
    fn leave(&mut self, run: RunId, now: Timestamp, out: &mut Vec<Output>) {
        match self.works.remove(&run).map(|work| work.stage) {
            Some(Stage::Training(..)) => {
                out.push(Output::Cancel);
                self.train_next(now, out);
            }
            Some(Stage::Uploading(_, upload)) => self.give_back(upload.into_buffer()),
            _ => (),
        }
    }

    /// Nothing more is asked for a run. A change that the coordinator waits for is told; one that it can see for
    /// itself waits for the heartbeat.
    fn rest(&mut self, run: RunId, now: Timestamp, out: &mut Vec<Output>) {
        let seen = |work: &Work| matches!(work.stage, Stage::Uploading(..) | Stage::Kept(_));
        let is_seen = self.works.get(&run).is_none_or(seen);
        self.leave(run, now, out);
        if !is_seen {
            self.tell(now, out);
        }
    }

    fn tell(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let works = self.works.values().filter_map(Work::told).collect();
        let standing = if self.draining { Standing::Draining } else { Standing::Ready };
        self.say(standing, works, now, out);
    }

    fn say(&mut self, standing: Standing, works: Vec<presence::Work>, now: Timestamp, out: &mut Vec<Output>) {
        // While an update is still to come, the memory holds no key of the next epoch.
        if !self.works.values().any(Work::owes_update) {
            self.keyring.renew(now, &mut self.setup.random);
        }
        let presence = NodePresence {
            session: self.session,
            seq: now.0,
            answers: self.link.seq,
            roster: self.roster_version(),
            acted: self.announced.shown().cloned(),
            certified: self.setup.certified,
            package: self.keyring.package(),
            mailbox: self.setup.mailbox,
            standing,
            works: works.try_into().expect("no more runs are worked on than can be told"),
            drifted: self.drifted,
            version: VERSION,
        };
        let signed = Signed::seal(&self.setup.identity, Label::Presence, &presence);
        out.push(signed.map_or_else(Output::Unsigned, Output::Presence));
        self.told_at = now;
        self.link.hello_at = now + self.link.hello_after;
        self.link.hello_after = Millis(self.link.hello_after.0 * 2).min(HEARTBEAT);
    }

    fn give_back(&mut self, buffer: Vec<u8>) {
        if self.buffers.len() < BUFFERS_MAX {
            self.buffers.push(buffer);
        }
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
