//! The coordinator as a state machine: bytes, time and randomness in, [`Output`]s out.
//!
//! It joins the rooms beside it: who is there ([`Members`]), how far the rounds are ([`Run`]), the keys
//! and transfers of the epoch going on ([`crate::exchange`]), and what the updates become
//! ([`crate::strategy`]).
//! What touches the disk is an output that the driver answers.

mod active;
mod show;

pub use active::{End, Start};

use bytes::Bytes;
use common::crypto::{Identity, Label};
use common::id::{BlobId, NodeId, RoundId, RunId, TenantId};
use common::message::Signed;
use common::message::event::{Event, Fact};
use common::message::presence::{Address, Mailbox, SILENCE};
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;

use crate::config::Transfer;
use crate::exchange::Dispatch;
use crate::members::{Members, Told};
use crate::round::{Checkpoint, Input, RoundRecord};
use crate::strategy::Moments;
use active::Active;

/// What a coordinator is made of.
#[derive(Debug)]
pub struct Setup {
    /// The coordinator's key.
    pub identity: Identity,
    /// Whose telemetry it works for.
    pub tenant: TenantId,
    /// Where this process reads updates and receipts.
    pub mailbox: Mailbox,
    /// How much may be on its way.
    pub transfer: Transfer,
    /// Every random choice: keys and salts.
    pub random: ChaCha20Rng,
}

/// What the driver does, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write the coordinator's hello.
    Hello(Vec<u8>),
    /// Write the state of a run.
    Announce {
        /// Which run.
        run: RunId,
        /// The signed announcement.
        bytes: Vec<u8>,
    },
    /// Write a fact.
    Event(Vec<u8>),
    /// Write a chunk of a model, to one node's reader or to all.
    ModelChunk {
        /// Where; everywhere when none.
        to: Option<Address>,
        /// Which blob.
        blob: BlobId,
        /// Which chunk.
        index: u32,
        /// The sealed bytes.
        bytes: Bytes,
    },
    /// Write a receipt for an update, to its node alone: others have no use for it, and each node has many in a
    /// round.
    UpdateReceipt {
        /// Where.
        to: Address,
        /// Which blob.
        blob: BlobId,
        /// Whose.
        node: NodeId,
        /// The sealed receipt.
        bytes: Vec<u8>,
    },
    /// Read these files; answer with [`Engine::on_loaded`].
    Load(Checkpoint),
    /// Write a model, and what the server remembers; answer with [`Engine::on_stored`].
    Store {
        /// The round that made it.
        round: RoundId,
        /// What to write.
        values: Values,
    },
    /// Make a round durable; answer with [`Engine::on_committed`].
    Commit {
        /// Its record.
        record: Box<RoundRecord>,
        /// Epochs before this one are reserved with it.
        epochs_end: common::id::EpochId,
    },
    /// A round ended without a model.
    Aborted(Box<RoundRecord>),
    /// A run is over.
    Ended {
        /// Which.
        run: RunId,
        /// How.
        end: End,
    },
    /// Tell the operator.
    Note(String),
}

/// What the files of a [`Checkpoint`] hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// The model's parameters.
    pub model: Vec<f32>,
    /// What the server remembers.
    pub moments: Moments,
}

/// The coordinator.
#[derive(Debug)]
pub struct Engine {
    setup: Setup,
    members: Members,
    active: Option<Active>,
}

impl Engine {
    /// A coordinator without a run.
    pub fn new(setup: Setup, members: Members) -> Self {
        Self { setup, members, active: None }
    }

    /// Whether a run is going on.
    pub fn is_busy(&self) -> bool {
        self.active.as_ref().is_some_and(|active| !active.is_over())
    }

    /// The coordinator's id.
    pub fn id(&self) -> NodeId {
        self.setup.identity.node_id()
    }

    /// The process reads elsewhere now; the next hello says where.
    pub fn on_moved(&mut self, mailbox: Mailbox) {
        self.setup.mailbox = mailbox;
    }

    /// The nodes.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Starts a run, or goes on with one.
    ///
    /// # Panics
    ///
    /// While another run is going on: ask [`Self::is_busy`].
    pub fn start(&mut self, start: Start, now: Timestamp, out: &mut Vec<Output>) {
        assert!(!self.is_busy(), "one run at a time");
        let wanted = self.members.labelled(&start.select);
        let present = wanted.filter(|node| self.members.present(*node).is_some()).collect();
        self.with_active(now, out, |slot, context| *slot = Some(Active::begin(start, present, context)));
    }

    /// Ends the run going on before its time: paused, or failed because somebody wants that.
    pub fn leave(&mut self, end: End, now: Timestamp, out: &mut Vec<Output>) {
        self.on_active(now, out, |active, context| {
            if !active.is_over() {
                active.end(end, context);
            }
        });
    }

    /// Adds rounds to the run going on; its nodes are told with the next model.
    pub fn extend(&mut self, more: u32) {
        if let Some(active) = self.active.as_mut().filter(|active| !active.is_over()) {
            active.extend(more);
        }
    }

    /// Takes what a node says of itself; returns where it reads, when that is believed and new.
    pub fn on_presence(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) -> Option<Mailbox> {
        let told = match self.members.on_presence(bytes, now) {
            Ok(told) => told,
            Err(error) => {
                out.push(Output::Note(format!("ignored presence: {error}")));
                return None;
            }
        };
        let node = match told {
            Told::Stale | Told::Hangs(_) => return None,
            Told::Left(node) => {
                self.lose(node, "it was stopped", now, out);
                return None;
            }
            Told::Arrived(node) | Told::Returned(node) | Told::Goes(node) => node,
        };
        if told != Told::Goes(node) {
            out.push(Output::Note(format!("node {} is there", self.members.name(node))));
        }
        let mailbox = self.members.present(node)?.mailbox;
        self.on_active(now, out, |active, context| active.on_presence(node, told, context));
        self.greet(now, out);
        Some(mailbox)
    }

    /// The tether ended of a process of this host that had given this presence.
    pub fn on_severed(&mut self, presence: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        if let Some(node) = self.members.on_severed(presence) {
            self.lose(node, "its process ended", now, out);
        }
    }

    fn lose(&mut self, node: NodeId, why: &str, now: Timestamp, out: &mut Vec<Output>) {
        out.push(Output::Note(format!("node {} is away: {why}", self.members.name(node))));
        self.on_active(now, out, |active, context| active.on_gone(node, why, context));
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
        self.on_active(now, out, |active, context| active.on_model_receipt(blob, node, bytes, context));
    }

    /// Takes a piece of an update.
    pub fn on_update(
        &mut self,
        blob: BlobId,
        index: u32,
        bytes: &[u8],
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        self.on_active(now, out, |active, context| active.on_update(blob, index, bytes, context));
    }

    /// Files were read.
    pub fn on_loaded(&mut self, values: Result<Values, String>, now: Timestamp, out: &mut Vec<Output>) {
        self.on_active(now, out, |active, context| active.on_loaded(values, context));
    }

    /// Files were written. The model comes back: it is sent next.
    pub fn on_stored(
        &mut self,
        stored: Result<(Checkpoint, Vec<f32>), String>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        self.on_active(now, out, |active, context| active.on_stored(stored, context));
    }

    /// A round was made durable.
    pub fn on_committed(&mut self, committed: Result<(), String>, now: Timestamp, out: &mut Vec<Output>) {
        let input = committed.map_or_else(Input::StoreFailed, |()| Input::Committed);
        self.on_active(now, out, |active, context| active.on_input(input, context));
    }

    /// Time has passed: hellos, silent nodes, stalled transfers, deadlines.
    pub fn on_tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for node in self.members.on_tick(now) {
            self.lose(node, &format!("not heard for {SILENCE}"), now, out);
        }
        self.greet(now, out);
        self.on_active(now, out, Active::on_tick);
    }

    /// When [`Self::on_tick`] is due next.
    pub fn next_wake(&self) -> Timestamp {
        let active = self.active.as_ref().and_then(Active::next_wake);
        active.map_or(self.members.next_wake(), |wake| wake.min(self.members.next_wake()))
    }

    fn greet(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let hello = self.members.hello(&self.setup.identity, self.setup.mailbox, now);
        out.extend(hello.map(Output::Hello));
    }

    fn on_active(
        &mut self,
        now: Timestamp,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Active, &mut Context<'_>),
    ) {
        self.with_active(now, out, |slot, context| {
            if let Some(active) = slot {
                act(active, context);
            }
        });
    }

    fn with_active(
        &mut self,
        now: Timestamp,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Option<Active>, &mut Context<'_>),
    ) {
        let Self { setup, members, active } = self;
        act(active, &mut Context { setup, members, now, out });
    }
}

/// What a run needs from around it to take one step.
struct Context<'e> {
    setup: &'e mut Setup,
    members: &'e mut Members,
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
        let event = Event { run, round, at: self.now, fact };
        self.out.push(Output::Event(Signed::seal(&self.setup.identity, Label::Event, &event)));
    }
}
