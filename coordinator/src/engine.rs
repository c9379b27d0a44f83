//! The coordinator as a state machine: bytes, time and randomness in, [`Output`]s out.
//!
//! It joins the rooms beside it: who is there ([`Members`]), and the runs that go on, each with its rounds
//! ([`crate::round`]), the keys and transfers of its epoch ([`crate::exchange`]), and what its updates become
//! ([`crate::strategy`]). A run knows nothing of the others: what comes in goes to the one that it is for.
//! What takes long is a [`Wish`] that the driver has done beside everything else.

mod active;
mod output;
mod reached;
mod share;
mod show;

pub use active::{End, Start};
pub use output::{Answer, Combination, Combined, Output, Values, Wish};
pub use reached::Outdated;

use std::collections::BTreeMap;

use common::crypto::{Holder, Identity, IssueError, Label, Rank, Suite};
use common::id::{BlobId, NodeId, RoundId, RunId, TenantId};
use common::join::Refusal;
use common::limits::OFFER_INDEX;
use common::message::event::{Event, Fact, reason};
use common::message::presence::{Mailbox, SILENCE, Standing};
use common::message::{Signed, SignedError};
use common::roster::Roster;
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;

use crate::config::Transfer;
use crate::exchange::{self, Dispatch};
use crate::members::{Member, Members, PresenceError, Told};
use active::Active;
use reached::Reached;
use share::Share;

/// Results that stay offered to nodes which lack them: of the runs that finished last. A node is offered the newest of
/// those that are for it, so more than one is of use where runs select different nodes.
pub const OFFERED_MAX: usize = 8;

/// Why a node is away that said so itself.
const STOPPED: &str = "it was stopped";

/// What a coordinator is made of.
#[derive(Debug)]
pub struct Setup {
    /// The coordinator's key.
    pub identity: Identity,
    /// The cryptography of its fleet.
    pub suite: Suite,
    /// Whose telemetry it works for.
    pub tenant: TenantId,
    /// Where this process reads updates and receipts.
    pub mailbox: Mailbox,
    /// How much may be on its way, of all runs together.
    pub transfer: Transfer,
    /// Every random choice: keys and salts.
    pub random: ChaCha20Rng,
}

impl Setup {
    /// What tells watchers of it.
    fn event(&self, event: &Event) -> Output {
        let signed = Signed::seal(&self.identity, Label::Event, event);
        signed.map_or_else(Output::Unsigned, Output::Event)
    }
}

/// The coordinator.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
    members: Members,
    /// Those that go on, and finished ones whose results are offered.
    runs: BTreeMap<RunId, Active>,
    /// How far they are.
    reached: Reached,
}

impl Engine {
    /// A coordinator without a run.
    pub fn new(setup: Setup, members: Members) -> Self {
        Self { setup, members, runs: BTreeMap::new(), reached: Reached::default() }
    }

    /// The runs that go on.
    pub fn running(&self) -> impl Iterator<Item = RunId> {
        self.runs.iter().filter(|(_, active)| !active.is_over()).map(|(run, _)| *run)
    }

    /// Whether this run goes on.
    pub fn is_running(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(|active| !active.is_over())
    }

    /// The coordinator's id.
    pub fn id(&self) -> NodeId {
        self.setup.identity.node_id()
    }

    /// The cryptography of its fleet.
    pub fn suite(&self) -> Suite {
        self.setup.suite
    }

    /// The process reads elsewhere now; the next hello says where. What was announced is said again: the writers are
    /// new ones.
    pub fn on_moved(&mut self, mailbox: Mailbox, now: Timestamp, out: &mut Vec<Output>) {
        self.setup.mailbox = mailbox;
        self.on_all(now, out, Active::announce_again);
    }

    /// The nodes.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Starts a run, or goes on with one.
    ///
    /// # Panics
    ///
    /// While that run is going on: ask [`Self::is_running`].
    pub fn start(&mut self, start: Start, now: Timestamp, out: &mut Vec<Output>) {
        let run = start.position.run;
        assert!(!self.is_running(run), "a run goes on once");
        let wanted = self.members.labelled(&start.select);
        let present = wanted.filter(|node| self.members.is_candidate(*node)).collect();
        let share = Share::of(run, &self.runs, self.setup.transfer);
        let Self { setup, members, runs, reached } = self;
        reached.on_start(&start.position);
        let context = &mut Context { setup, members, reached, share, now, out };
        runs.insert(run, Active::begin(start, present, context));
        self.on_over(run, now, out);
    }

    /// Ends a run before its time: paused, or failed because somebody wants that.
    pub fn leave(&mut self, run: RunId, end: End, now: Timestamp, out: &mut Vec<Output>) {
        self.on_run(run, now, out, |active, context| {
            if !active.is_over() {
                active.end(end, context);
            }
        });
    }

    /// Adds rounds to a run that goes on; its nodes are told with the next model.
    pub fn extend(&mut self, run: RunId, more: u32) {
        if let Some(active) = self.runs.get_mut(&run).filter(|active| !active.is_over()) {
            active.extend(more);
        }
    }

    /// An operator takes a node out of selection, or back in. It goes on with the rounds that it is in.
    pub fn drain(&mut self, node: NodeId, drained: bool, now: Timestamp, out: &mut Vec<Output>) {
        self.members.drain(node, drained);
        self.on_all(now, out, |active, context| active.on_candidacy(node, context));
    }

    /// Another roster counts from now on: who is no member any more is away at once, with all that it was sending; who is
    /// one under another key ends what it began; who is new is let in when it says that it is there.
    pub fn on_roster(&mut self, roster: Roster, now: Timestamp, out: &mut Vec<Output>) {
        for (node, why) in self.members.on_roster(roster) {
            self.lose(node, &why, now, out);
        }
        let former: Vec<NodeId> = self.members.roster().former.keys().copied().collect();
        self.on_all(now, out, |active, context| {
            active.on_roster(context);
            for node in &former {
                active.on_candidacy(*node, context);
            }
        });
    }

    /// Takes what a node says of itself; returns where it reads, when that is believed and new.
    pub fn on_presence(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) -> Option<Mailbox> {
        let told = match self.members.on_presence(bytes, now) {
            Ok(told) => told,
            Err(PresenceError::Signed(SignedError::UnknownSender(node))) => {
                self.refuse(node, now, out);
                return None;
            }
            Err(error) => {
                out.push(Output::Ignored(format!("ignored presence: {error}")));
                return None;
            }
        };
        let node = match told {
            Told::Stale | Told::Hangs(_) => return None,
            Told::Left(node) => {
                self.lose(node, STOPPED, now, out);
                return None;
            }
            Told::Arrived(node) | Told::Returned(node) | Told::Goes(node) => node,
        };
        if told != Told::Goes(node) {
            out.push(Output::Note(format!("node {} is there", self.members.name(node))));
        }
        if let Some(run) = self.members.present(node).and_then(Member::drifted_now) {
            out.push(Output::Note(format!(
                "node {} says that its telemetry drifted from the model of run {run}: `coordinator run start` begins a new run",
                self.members.name(node)
            )));
        }
        let Member { mailbox, roster, ref acted, .. } = *self.members.present(node)?;
        let own = self.setup.identity.public();
        if let Some(point) = acted.as_ref().and_then(|acted| self.reached.behind(acted, own)) {
            let outdated = Outdated { node: self.members.name(node), point };
            out.push(Output::Outdated(Box::new(outdated)));
            return None;
        }
        let version = self.members.roster().version;
        if roster > version && told != Told::Goes(node) {
            out.push(Output::Note(format!(
                "node {} holds version {roster} of the roster, this coordinator version {version}: was an older folder \
                 put back? `coordinator roster install` takes a newer one",
                self.members.name(node)
            )));
        }
        self.certify(node, now, out);
        self.on_all(now, out, |active, context| active.on_presence(node, told, context));
        self.greet(now, out);
        Some(mailbox)
    }

    /// An operator wants that a node has another certificate, even if its last one ended.
    pub fn renew(&mut self, node: NodeId) {
        self.members.renew(node);
    }

    /// Issues the next certificate of a node that is there, if it needs one.
    fn certify(&mut self, node: NodeId, now: Timestamp, out: &mut Vec<Output>) {
        if let Some((until, der)) = self.issue(node, now, out) {
            out.push(Output::Certificate { node, until, der });
        }
    }

    /// A member came with a token; it is given its certificate, if it needs one. One whose last one ended is let in again
    /// only if it is to be renewed.
    ///
    /// # Errors
    ///
    /// [`Refusal::Lapsed`].
    pub fn on_admitted(
        &mut self,
        node: NodeId,
        renew: bool,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if self.members.leases().expired(node, now).is_some() {
            if !renew {
                return Err(Refusal::Lapsed);
            }
            self.members.renew(node);
        }
        let issued = self.issue(node, now, out);
        Ok(issued.map(|(until, der)| {
            out.push(Output::Certificate { node, until, der: der.clone() });
            der
        }))
    }

    fn issue(&mut self, node: NodeId, now: Timestamp, out: &mut Vec<Output>) -> Option<(Timestamp, Vec<u8>)> {
        let identity = &self.setup.identity;
        let is_issuer = |key| key == identity.public();
        if !self.members.roster().authority.as_ref().is_some_and(|above| is_issuer(above.coordinator.key())) {
            return None;
        }
        let until = self.members.grant(node, now)?;
        let (roster, peer) = (self.members.roster(), self.members.peer(node)?);
        let holder = Holder { tenant: &roster.tenant, rank: Rank::Node(&peer.name), key: peer.key };
        out.push(match holder.certify(identity, now, Some(until)) {
            Ok(certificate) => return Some((until, certificate.der().to_vec())),
            Err(IssueError::Custody(error)) => Output::Unsigned(error),
            Err(error) => Output::Note(format!("node {}: {error}", peer.name)),
        });
        None
    }

    /// The tether ended of a process of this host that had given this presence.
    pub fn on_severed(&mut self, presence: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        if let Some((node, standing)) = self.members.on_severed(presence) {
            let meant = standing == Standing::Leaving;
            self.lose(node, if meant { STOPPED } else { "its process ended" }, now, out);
        }
    }

    /// Somebody says that he is there who is not let in; who watches is told so.
    fn refuse(&mut self, node: NodeId, now: Timestamp, out: &mut Vec<Output>) {
        let Some(why) = self.members.refuse(node, now) else { return };
        out.push(Output::Note(format!("node {node} is not let in: {why}")));
        self.tell_refused(node, &why, now, out);
    }

    /// Somebody came with a token and waits for approval; who watches is told so.
    pub fn on_applicant(&mut self, node: NodeId, name: &str, now: Timestamp, out: &mut Vec<Output>) {
        let why = format!("it waits for approval as `{name}`");
        out.push(Output::Note(format!("node {node} joins with a token: {why} (`coordinator node approve`)")));
        self.tell_refused(node, &why, now, out);
    }

    /// Tells who watches, whichever run, that a node is not let in.
    fn tell_refused(&self, node: NodeId, why: &str, now: Timestamp, out: &mut Vec<Output>) {
        let fact = Fact::NodeRefused { node, reason: reason(why) };
        out.push(self.setup.event(&Event { run: RunId([0; 16]), round: RoundId(0), at: now, fact }));
    }

    fn lose(&mut self, node: NodeId, why: &str, now: Timestamp, out: &mut Vec<Output>) {
        out.push(Output::Note(format!("node {} is away: {why}", self.members.name(node))));
        self.on_all(now, out, |active, context| active.on_gone(node, why, context));
    }

    /// Takes a receipt that `node` wrote for a model, if it did.
    pub fn on_model_receipt(
        &mut self,
        blob: BlobId,
        node: NodeId,
        bytes: &[u8],
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let sent = self.runs.iter().find_map(|(run, active)| Some((*run, active.sends(blob)?)));
        if let Some((run, epoch)) = sent {
            self.on_run(run, now, out, |active, context| {
                active.on_model_receipt(epoch, node, bytes, context);
            });
        }
    }

    /// Takes a piece of an update. Who offers one says of which run it is; the rest is known by its blob.
    pub fn on_update(
        &mut self,
        blob: BlobId,
        index: u32,
        bytes: &[u8],
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let known = self.runs.iter().find_map(|(run, active)| Some((*run, active.receives(blob)?)));
        let (run, epoch) = match known {
            Some(known) => known,
            None if index != OFFER_INDEX => return,
            None => match exchange::claimed(bytes) {
                Ok(claimed) => claimed,
                Err(fault) => return out.push(Output::Ignored(format!("ignored an update: {fault}"))),
            },
        };
        let piece = (blob, index, bytes);
        self.on_run(run, now, out, |active, context| active.on_update(epoch, piece, context));
    }

    /// What a run wanted was done, or could not be.
    pub fn on_answer(&mut self, run: RunId, answer: Answer, now: Timestamp, out: &mut Vec<Output>) {
        if let Answer::Committed(record, Ok(())) = &answer {
            self.reached.on_committed(run, record.round);
        }
        self.on_run(run, now, out, |active, context| active.on_answer(answer, context));
    }

    /// Time has passed: hellos, silent nodes, stalled transfers, deadlines.
    pub fn on_tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for node in self.members.on_tick(now) {
            self.lose(node, &format!("not heard for {SILENCE}"), now, out);
        }
        self.greet(now, out);
        self.on_all(now, out, Active::on_tick);
    }

    /// When [`Self::on_tick`] is due next.
    pub fn next_wake(&self) -> Timestamp {
        let wakes = self.runs.values().filter_map(Active::next_wake);
        wakes.fold(self.members.next_wake(), Timestamp::min)
    }

    fn greet(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let hello = self.members.hello(&self.setup.identity, self.setup.mailbox, now);
        out.extend(hello.map(|hello| hello.map_or_else(Output::Unsigned, Output::Hello)));
    }

    fn on_all(
        &mut self,
        now: Timestamp,
        out: &mut Vec<Output>,
        mut act: impl FnMut(&mut Active, &mut Context<'_>),
    ) {
        let runs: Vec<RunId> = self.runs.keys().copied().collect();
        for run in runs {
            self.on_run(run, now, out, &mut act);
        }
    }

    fn on_run(
        &mut self,
        run: RunId,
        now: Timestamp,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Active, &mut Context<'_>),
    ) {
        let share = Share::of(run, &self.runs, self.setup.transfer);
        let Self { setup, members, runs, reached } = self;
        let Some(active) = runs.get_mut(&run) else { return };
        let was_over = active.is_over();
        act(active, &mut Context { setup, members, reached, share, now, out });
        if active.is_over() && !was_over {
            self.on_over(run, now, out);
        }
    }

    /// A run may be over. It is forgotten, unless it has one of the newest results; a node keeps one of these, so those
    /// before it are not offered to its nodes any more.
    fn on_over(&mut self, run: RunId, now: Timestamp, out: &mut Vec<Output>) {
        self.runs.retain(|_, active| !active.is_over() || active.finished_at().is_some());
        let mut results: Vec<_> =
            self.runs.iter().filter_map(|(run, active)| Some((active.finished_at()?, *run))).collect();
        results.sort_unstable();
        if results.iter().any(|(_, result)| *result == run) {
            let select = self.runs[&run].select().clone();
            for (_, older) in results.iter().filter(|(_, other)| *other != run) {
                self.on_run(*older, now, out, |active, context| active.on_newer(&select, context));
            }
        }
        for (_, old) in results.iter().rev().skip(OFFERED_MAX) {
            self.on_run(*old, now, out, Active::rest);
            self.runs.remove(old);
        }
    }
}

/// What a run needs from around it to take one step.
struct Context<'e> {
    setup: &'e mut Setup,
    members: &'e mut Members,
    reached: &'e mut Reached,
    /// Its part of what may be on its way.
    share: Share,
    now: Timestamp,
    out: &'e mut Vec<Output>,
}

impl Context<'_> {
    /// Turns transfers into outputs: a node's id into the address of its reader.
    fn dispatch(&mut self, dispatches: Vec<Dispatch>) {
        for dispatch in dispatches {
            // A node that left is not sent anything; it asks again when it is back.
            let mailbox = |node| self.members.present(node).map(|member| member.mailbox);
            let output = match dispatch {
                Dispatch::Receipt { blob, node, bytes } => mailbox(node)
                    .map(|mailbox| Output::UpdateReceipt { to: mailbox.receipts, blob, node, bytes }),
                Dispatch::ModelChunk { to: None, blob, index, bytes } => {
                    Some(Output::ModelChunk { to: None, blob, index, bytes })
                }
                Dispatch::ModelChunk { to: Some(node), blob, index, bytes } => mailbox(node)
                    .map(|mailbox| Output::ModelChunk { to: Some(mailbox.chunks), blob, index, bytes }),
            };
            self.out.extend(output);
        }
    }

    fn event(&mut self, run: RunId, round: RoundId, fact: Fact) {
        self.out.push(self.setup.event(&Event { run, round, at: self.now, fact }));
    }
}
