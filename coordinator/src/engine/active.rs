//! A run that goes on: its rounds, the exchanges of the epochs whose updates it takes, and what it wants of the disk.

mod files;
mod nodes;
mod opening;

use std::collections::{BTreeMap, BTreeSet};

use common::id::{BlobId, EpochId, ModelHash, NodeId, RoundId, RunId};
use common::known::Labels;
use common::message::announce::{Announcement, Request};
use common::message::event::{Fact, reason};
use common::message::model::Plan;
use common::message::update::UpdateHead;
use common::units::{Millis, Timestamp};

use super::{Context, Output, Wish};
use crate::config::Transfer;
use crate::exchange::{Arrived, Downlink, Epoch, Inadmissible, Step, Uplink};
use crate::round::{self, Arrival, Input, RoundPlan, Run, RunPosition};
use crate::strategy::{Aggregator, Effort, Strategy, UpdateFault};
use files::Awaiting;

/// Parameters of a model whose buffers are given back between their uses; those of a smaller one are kept,
/// since fresh pages are dear.
const LARGE: usize = 2_000_000;

/// A run to be started, or gone on with.
#[derive(Debug)]
pub struct Start {
    /// What every node is told.
    pub plan: Plan,
    /// How its rounds are bounded.
    pub rounds: RoundPlan,
    /// Only nodes with these labels take part.
    pub select: Labels,
    /// How updates become a model.
    pub strategy: Strategy,
    /// Where it stands.
    pub position: RunPosition,
    /// Of each node the last epoch whose model has its update, where nodes keep control variates.
    pub folded: BTreeMap<NodeId, EpochId>,
    /// Its model, if it is at hand; else it is loaded.
    pub model: Option<Vec<f32>>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With this model.
    Finished(ModelHash),
    /// A round could not be done; why.
    Failed(String),
    /// The disk failed; what holds is what it has.
    Halted(String),
    /// An operator paused it; it goes on from what the disk holds when it is resumed.
    Paused,
}

/// A run that goes on, or one that finished and whose model is still offered. It has everything of its own; what it
/// shares with others comes in a [`Context`].
#[derive(Debug)]
pub(super) struct Active {
    pub(super) run: Run,
    pub(super) id: RunId,
    plan: Plan,
    select: Labels,
    parameters: usize,
    updates: Aggregator,
    /// Of each node the last epoch whose model has its update, where nodes keep control variates.
    folded: BTreeMap<NodeId, EpochId>,
    /// The newest model, while it need not be read from the disk.
    fresh: Option<(ModelHash, Vec<f32>)>,
    /// What the files that are being read are for. While there is one, no others are asked for.
    awaiting: Option<Awaiting>,
    /// That of the newest epoch, and of those before it for which nodes still train.
    exchanges: BTreeMap<EpochId, Exchange>,
    pub(super) losses: BTreeMap<NodeId, f32>,
    pub(super) rejected: BTreeMap<NodeId, String>,
    /// Old buffers of updates, to be used again.
    buffers: Vec<Vec<u8>>,
    sealed_buffer: Vec<u8>,
    /// What was announced last.
    announced: Option<Announcement>,
    /// Nodes that do not hold the run's result, once there is one.
    lacking: Option<BTreeSet<NodeId>>,
    /// Whom newer results are for: they are not offered this one.
    newer: Vec<Labels>,
    ended: Option<Timestamp>,
    pub(super) bytes: u64,
}

/// Keys and transfers of one epoch.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) epoch: Epoch,
    pub(super) downlink: Option<Downlink>,
    pub(super) uplink: Uplink,
    train: bool,
}

impl Active {
    pub(super) fn begin(start: Start, present: BTreeSet<NodeId>, context: &mut Context<'_>) -> Self {
        let Start { plan, rounds, select, strategy, position, folded, model } = start;
        let candidates = context.members.labelled(&select).count() as u32;
        let (rounds, strategy) = (rounds.among(candidates), strategy.among(candidates));
        let parameters = plan.task.schema().map_or(0, |schema| schema.parameters());
        let (id, first) = (position.run, position.checkpoint.model);
        let (run, outputs) = Run::begin(rounds, position, present, context.now);
        let mut active = Self {
            run,
            id,
            plan,
            select,
            parameters,
            updates: Aggregator::new(strategy, parameters),
            folded,
            fresh: model.map(|model| (first, model)),
            awaiting: None,
            exchanges: BTreeMap::new(),
            losses: BTreeMap::new(),
            rejected: BTreeMap::new(),
            buffers: Vec::new(),
            sealed_buffer: Vec::new(),
            announced: None,
            lacking: None,
            newer: Vec::new(),
            ended: None,
            bytes: 0,
        };
        active.obey(outputs, context);
        active
    }

    pub(super) fn extend(&mut self, more: u32) {
        self.run.extend(more);
        self.plan.rounds = self.run.rounds();
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Which nodes it selects from.
    pub(super) fn select(&self) -> &Labels {
        &self.select
    }

    /// When it came to its result, if it did.
    pub(super) fn finished_at(&self) -> Option<Timestamp> {
        self.ended.filter(|_| self.lacking.is_some())
    }

    /// The epoch for which it sends a model with this blob.
    pub(super) fn sends(&self, blob: BlobId) -> Option<EpochId> {
        self.find(|exchange| exchange.downlink.as_ref().is_some_and(|downlink| downlink.blob() == blob))
    }

    /// The epoch in which an update with this blob was offered to it.
    pub(super) fn receives(&self, blob: BlobId) -> Option<EpochId> {
        self.find(|exchange| exchange.uplink.knows(blob))
    }

    /// Whether a node still lacks a piece of its model.
    pub(super) fn is_sending(&self) -> bool {
        self.find(|exchange| exchange.downlink.is_some()).is_some()
    }

    /// Whether an update is on its way to it.
    pub(super) fn is_receiving(&self) -> bool {
        self.find(|exchange| exchange.uplink.is_busy()).is_some()
    }

    fn find(&self, is_meant: impl Fn(&Exchange) -> bool) -> Option<EpochId> {
        self.exchanges.iter().find(|(_, exchange)| is_meant(exchange)).map(|(epoch, _)| *epoch)
    }

    /// The newest exchange with a node.
    pub(super) fn exchange_with(&self, node: NodeId) -> Option<&Exchange> {
        self.exchanges.values().rev().find(|exchange| exchange.epoch.keys.contains_key(&node))
    }

    pub(super) fn on_input(&mut self, input: Input, context: &mut Context<'_>) {
        let outputs = self.run.on_input(input, context.now);
        self.obey(outputs, context);
    }

    /// Writes a fact about the round going on.
    fn tell(&self, fact: Fact, context: &mut Context<'_>) {
        if !self.is_over() {
            context.event(self.id, RoundId(self.run.rounds_done().0 + 1), fact);
        }
    }

    /// Takes a receipt for the model that it sends in this epoch.
    pub(super) fn on_model_receipt(
        &mut self,
        epoch: EpochId,
        node: NodeId,
        bytes: &[u8],
        context: &mut Context<'_>,
    ) {
        // Who was taken out may still have the keys of this epoch: nobody waits for what he does with the model.
        if context.members.peer(node).is_none() {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(&epoch) else { return };
        let Some(downlink) = &mut exchange.downlink else { return };
        let window = context.share.down_chunks;
        if downlink.on_receipt(&exchange.epoch, node, bytes, window, context.now) {
            self.has_model(epoch, node, context);
        }
        self.send(context);
    }

    /// A node has the whole model of this epoch.
    fn has_model(&mut self, epoch: EpochId, node: NodeId, context: &mut Context<'_>) {
        let Some(exchange) = self.exchanges.get(&epoch) else { return };
        if exchange.train {
            self.on_input(Input::ModelReceived { node, epoch }, context);
        } else if let Some(lacking) = &mut self.lacking {
            lacking.remove(&node);
        }
    }

    pub(super) fn on_update(&mut self, id: EpochId, piece: (BlobId, u32, &[u8]), context: &mut Context<'_>) {
        // What comes between two rounds is sent again, and taken by the next.
        if !self.run.is_open() {
            return;
        }
        self.share_uploads(context);
        let Some(exchange) = self.exchanges.get_mut(&id).filter(|exchange| exchange.train) else { return };
        self.bytes += piece.2.len() as u64;
        let mut sent = Vec::new();
        let members = &*context.members;
        let step = exchange.uplink.on_piece(
            &exchange.epoch,
            |node| members.key(node),
            piece,
            context.now,
            &mut sent,
        );
        context.dispatch(sent);
        match step {
            Ok(Step::Quiet) => (),
            Ok(Step::Offered(node, next)) => {
                if let Some(package) = next {
                    context.members.on_package(node, package, context.now);
                }
                if let Some(downlink) = &mut exchange.downlink {
                    downlink.on_complete(node);
                }
                self.has_model(id, node, context);
                self.send(context);
            }
            Ok(Step::Arrived(arrived)) => self.fold(id, arrived, context),
            Err((node, fault)) => self.on_inadmissible(id, node, &fault, context),
        }
    }

    /// A whole, authentic update: taken, or refused by the round.
    fn fold(&mut self, epoch: EpochId, arrived: Arrived, context: &mut Context<'_>) {
        let Some(exchange) = self.exchanges.get_mut(&epoch) else { return };
        let node = arrived.node;
        let (arrival, values, effort) = Arrival::read(node, epoch, &arrived.plain);
        let loss = arrival.head.as_ref().map_or(f32::NAN, |head| head.loss);
        let updates = &mut self.updates;
        let fold = |staleness| updates.fold(node, values, Effort { staleness, ..effort });
        let outputs = self.run.on_update(arrival, context.now, fold);
        let taken =
            outputs.iter().any(|output| matches!(output, round::Output::Folded(folded) if *folded == node));
        if taken {
            self.losses.insert(node, loss);
        }
        let mut sent = Vec::new();
        exchange.uplink.conclude(&exchange.epoch, arrived, taken, context.now, &mut sent);
        context.dispatch(sent);
        self.obey(outputs, context);
    }

    /// An offer or upload that is no update of this round. When it is certain whose it is, that node
    /// loses its slot, as for any other fault of an update.
    fn on_inadmissible(
        &mut self,
        epoch: EpochId,
        node: Option<NodeId>,
        fault: &Inadmissible,
        context: &mut Context<'_>,
    ) {
        let Some(node) = node else {
            return context.out.push(Output::Ignored(format!("ignored an update: {fault}")));
        };
        let refusal = match fault {
            Inadmissible::WrongSize { found, expected } => Some(UpdateFault::WrongShape {
                expected_bytes: *expected as usize,
                found_bytes: *found as usize,
            }),
            _ => None,
        };
        context.out.push(Output::Note(format!("update of {} refused: {fault}", context.members.name(node))));
        let outputs = match refusal {
            Some(refusal) => {
                let head = Ok(UpdateHead { weight: 1, steps: 1, loss: 0.0 });
                self.run.on_update(Arrival { node, epoch, head }, context.now, |_| Err(refusal))
            }
            // A second offer takes nothing from the first.
            None if matches!(fault, Inadmissible::Duplicate(_)) => Vec::new(),
            None => self.run.on_input(Input::Declined { node, epoch }, context.now),
        };
        self.rejected.insert(node, fault.to_string());
        self.obey(outputs, context);
    }

    pub(super) fn on_tick(&mut self, context: &mut Context<'_>) {
        self.share_uploads(context);
        for Exchange { epoch, uplink, .. } in self.exchanges.values_mut() {
            let mut sent = Vec::new();
            uplink.on_tick(epoch, context.now, &mut sent);
            context.dispatch(sent);
        }
        self.send(context);
        if self.run.next_deadline().is_some_and(|deadline| context.now >= deadline) {
            self.on_input(Input::Tick, context);
        }
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let exchanges = self.exchanges.values().flat_map(|exchange| {
            [exchange.downlink.as_ref().and_then(Downlink::next_wake), exchange.uplink.next_wake()]
        });
        exchanges.chain([self.run.next_deadline()]).flatten().min()
    }

    /// Sends what the window allows. A model that everybody has is not kept: its memory is wanted for the sum.
    fn send(&mut self, context: &mut Context<'_>) {
        for Exchange { downlink, .. } in self.exchanges.values_mut() {
            let mut sent = Vec::new();
            self.bytes += downlink.as_mut().map_or(0, |downlink| downlink.send(context.now, &mut sent));
            context.dispatch(sent);
            if let Some(done) = downlink.take_if(|downlink| downlink.is_complete()) {
                self.sealed_buffer = small(done.into_buffer());
            }
        }
    }

    fn obey(&mut self, outputs: Vec<round::Output>, context: &mut Context<'_>) {
        for output in outputs {
            self.obey_one(output, context);
        }
    }

    fn obey_one(&mut self, output: round::Output, context: &mut Context<'_>) {
        match output {
            round::Output::PhaseBegan { .. } | round::Output::Folded(_) => (),
            round::Output::Publish { round, model } => {
                let updates = self.losses.len() as u32;
                context.event(self.id, round, Fact::RoundClosed { model, updates });
            }
            round::Output::Announce(announce) => {
                self.updates.reset();
                self.losses.clear();
                self.rejected.clear();
                self.bytes = 0;
                self.want(Awaiting::Announce(announce), context);
            }
            round::Output::Rejected(rejection) => {
                let why = rejection.fault.to_string();
                let round = self.run.rounds_done();
                let fact = Fact::UpdateRejected { node: rejection.node, reason: reason(&why) };
                context.event(self.id, RoundId(round.0 + 1), fact);
                context.out.push(Output::Note(format!(
                    "update of {} refused: {why}",
                    context.members.name(rejection.node)
                )));
                self.rejected.insert(rejection.node, why);
            }
            round::Output::Aggregate { .. } => {
                self.close_exchanges();
                self.combine(context);
            }
            round::Output::Commit { record, epochs_end } => {
                // Told with the next model, which is sent only when this is durable.
                if self.plan.control {
                    self.folded.extend(record.asked_in());
                }
                self.wish(Wish::Commit { record, epochs_end }, context);
            }
            round::Output::RoundAborted(record) => {
                if let round::RoundOutcome::Aborted(why) = &record.outcome {
                    context
                        .out
                        .push(Output::Note(format!("round {} ended without a model: {why}", record.round)));
                    context.event(self.id, record.round, Fact::RoundAborted { reason: why.clone() });
                }
                self.close_exchanges();
                self.wish(Wish::Keep(record), context);
            }
            round::Output::RunFinished { model } => {
                self.end(End::Finished(model), context);
                self.lacking = Some(context.members.labelled(&self.select).collect());
                self.offer(context);
            }
            round::Output::RunFailed(failure) => self.end(End::Failed(failure.to_string()), context),
            round::Output::Halted(halt) => self.end(End::Halted(halt.to_string()), context),
        }
    }

    pub(super) fn end(&mut self, end: End, context: &mut Context<'_>) {
        self.ended = Some(context.now);
        self.run.leave();
        self.close_exchanges();
        self.updates.release();
        self.buffers.clear();
        let round = self.run.rounds_done();
        let fact = match &end {
            End::Finished(_) => Fact::RunFinished,
            End::Failed(why) | End::Halted(why) => Fact::RunFailed { reason: reason(why) },
            End::Paused => Fact::RoundAborted { reason: reason("the run was paused") },
        };
        if !matches!(end, End::Finished(_)) {
            self.rest(context);
        }
        context.out.push(Output::Ended { run: self.id, end });
        context.event(self.id, round, fact);
    }

    /// Nothing more is asked of nodes, and its result is offered no more.
    pub(super) fn rest(&mut self, context: &mut Context<'_>) {
        let (round, epoch) = (self.run.rounds_done(), self.run.next_epoch());
        self.announce(Request::Rest, (round, epoch, Millis(0)), epoch, context);
    }

    /// All uploads together have the run's share on their way.
    fn share_uploads(&mut self, context: &Context<'_>) {
        let busy = self.exchanges.values().filter(|exchange| exchange.uplink.is_busy()).count().max(1);
        let Transfer { window_chunks, uploads_bytes } = context.share.up;
        for exchange in self.exchanges.values_mut() {
            let window = (window_chunks / busy as u32).max(1);
            exchange.uplink.limit(window, uploads_bytes / busy as u64);
        }
    }

    /// Erases the keys of the epochs of which no update may come any more, and keeps their buffers.
    fn close_exchanges(&mut self) {
        let (kept, closed) = std::mem::take(&mut self.exchanges)
            .into_iter()
            .partition(|(epoch, exchange)| exchange.train && self.run.awaits(*epoch));
        self.exchanges = kept;
        for Exchange { downlink, uplink, .. } in closed.into_values() {
            let buffers = uplink.into_buffers().into_iter().map(small);
            self.buffers.extend(buffers.filter(|buffer| buffer.capacity() > 0));
            if let Some(downlink) = downlink {
                self.sealed_buffer = small(downlink.into_buffer());
            }
        }
    }
}

/// A buffer worth keeping for the next round; a large one is given back, its pages are dear.
fn small(buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() <= LARGE * 5 { buffer } else { Vec::new() }
}
