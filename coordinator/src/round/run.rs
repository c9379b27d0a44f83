//! A run: its rounds one after the other, each tried a bounded number of times.

use std::collections::BTreeSet;

use common::id::{EpochId, ModelHash, NodeId, RoundId, RunId};
use common::units::Timestamp;

use super::phase::Phase;
use super::{
    Arrival, Checkpoint, Cohort, Fault, Halt, HaltCause, Input, Log, Output, PhaseName, Rejection,
    ReservedEpochs, Round, RoundPlan, RunFailure, Settled,
};
use crate::strategy::{Folded, UpdateFault};

/// A run that goes on, or is over.
#[derive(Debug)]
pub struct Run {
    plan: RoundPlan,
    id: RunId,
    rounds_done: RoundId,
    checkpoint: Checkpoint,
    epochs: ReservedEpochs,
    /// Attempts at the round going on, this one included.
    attempt: u32,
    /// Who could be selected now.
    present: BTreeSet<NodeId>,
    state: State,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
enum State {
    Round(Round),
    Over,
}

/// Where a run stands between two rounds: what the store holds of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPosition {
    /// Which run.
    pub run: RunId,
    /// Rounds committed.
    pub rounds_done: RoundId,
    /// What the last one left behind; the first model when there is none.
    pub checkpoint: Checkpoint,
    /// Reserved on disk for this process, at least [`EPOCHS_AHEAD`](super::EPOCHS_AHEAD) of them.
    pub epochs: ReservedEpochs,
}

/// The attempt going on, to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'r> {
    /// Which round.
    pub round: RoundId,
    /// Its key epoch.
    pub epoch: EpochId,
    /// Which attempt at the round, from 1.
    pub attempt: u32,
    /// Its phase.
    pub phase: PhaseName,
    /// When the round began.
    pub began: Timestamp,
    /// When the phase began.
    pub phase_began: Timestamp,
    /// When the phase ends at the latest.
    pub deadline: Timestamp,
    /// Nodes that could be selected now.
    pub present: usize,
    /// The selected nodes; none during selection and once committing.
    pub cohort: Option<&'r Cohort>,
}

impl ReservedEpochs {
    /// What the commit of a round with this epoch reserves.
    pub(super) fn end_after(epoch: EpochId) -> EpochId {
        EpochId(epoch.0 + 1 + super::EPOCHS_AHEAD)
    }
}

impl Run {
    /// Begins, or goes on after a restart, with these nodes there.
    pub fn begin(
        plan: RoundPlan,
        position: RunPosition,
        present: BTreeSet<NodeId>,
        now: Timestamp,
    ) -> (Self, Vec<Output>) {
        let RunPosition { run, rounds_done, checkpoint, epochs } = position;
        let mut run =
            Self { plan, id: run, rounds_done, checkpoint, epochs, attempt: 0, present, state: State::Over };
        let mut out = Vec::new();
        run.next_round(Cohort::default(), now, &mut out);
        run.settle(now, &mut out);
        (run, out)
    }

    /// Takes one input.
    pub fn on_input(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        // What the store says holds, however late it says it; nodes must be in time.
        if !matches!(input, Input::Aggregated(_) | Input::Committed | Input::StoreFailed(_)) {
            self.settle(now, &mut out);
        }
        self.apply(input, now, &mut out);
        self.settle(now, &mut out);
        out
    }

    /// Takes one update. `fold` adds its values to the strategy's sum, and is told how many rounds ago the update's
    /// model was the newest; it is called once if the round waits for this update, and not at all otherwise. What it refuses costs the sender its
    /// slot. Among the outputs is either [`Output::Folded`] or [`Output::Rejected`].
    pub fn on_update(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        fold: impl FnOnce(u32) -> Result<Folded, UpdateFault>,
    ) -> Vec<Output> {
        let mut out = Vec::new();
        self.settle(now, &mut out);
        let node = arrival.node;
        out.push(match self.try_update(arrival, now, fold) {
            Ok(()) => Output::Folded(node),
            Err(fault) => Output::Rejected(Rejection { node, fault }),
        });
        self.settle(now, &mut out);
        out
    }

    /// Nothing more comes of it in this process: it goes on from what the disk holds, or not at all.
    pub fn leave(&mut self) {
        self.state = State::Over;
    }

    /// So many rounds more. One that has ended does not go on by this.
    pub fn extend(&mut self, more: u32) {
        self.plan.extend(more);
    }

    /// When [`Input::Tick`] is due at the latest; `None` once the run is over.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Round(round) => Some(round.phase.next_deadline()),
            State::Over => None,
        }
    }

    /// Whether nothing will come of this run any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether updates are taken now: not between two rounds.
    pub fn is_open(&self) -> bool {
        matches!(&self.state, State::Round(round) if round.phase.is_open())
    }

    /// Whether an update that was asked for in this epoch may still come, in this round or a later one.
    pub fn awaits(&self, epoch: EpochId) -> bool {
        matches!(&self.state, State::Round(round) if round.phase.waits_for().awaits_of(epoch))
    }

    /// The number that [`Self::take_epoch`] or the next attempt will use.
    pub fn next_epoch(&self) -> EpochId {
        self.epochs.next
    }

    /// An epoch for an announcement that is not of a round: no other announcement has it. `None` when all
    /// that the last commit reserved are used up.
    pub fn take_epoch(&mut self) -> Option<EpochId> {
        let epoch = self.epochs.next;
        (epoch < self.epochs.end).then(|| {
            self.epochs.next = EpochId(epoch.0 + 1);
            epoch
        })
    }

    /// The updates without which the round fails, and those that close it.
    pub fn updates_wanted(&self) -> (u32, u32) {
        let cohort = self.progress().and_then(|progress| progress.cohort);
        cohort
            .map_or((self.plan.cohort.minimum, self.plan.cohort.goal), |cohort| (cohort.minimum, cohort.goal))
    }

    /// The newest committed model.
    pub fn model(&self) -> ModelHash {
        self.checkpoint.model
    }

    /// What the next round starts from.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Rounds committed.
    pub fn rounds_done(&self) -> RoundId {
        self.rounds_done
    }

    /// Rounds planned.
    pub fn rounds(&self) -> u32 {
        self.plan.rounds()
    }

    /// The attempt going on; `None` once the run is over.
    pub fn progress(&self) -> Option<Progress<'_>> {
        let State::Round(Round { log, phase }) = &self.state else { return None };
        Some(Progress {
            round: log.round,
            epoch: log.epoch,
            attempt: log.attempt,
            phase: phase.name(),
            began: log.phases[0].at,
            phase_began: log.phases[log.phases.len() - 1].at,
            deadline: phase.deadline(),
            present: self.present.len(),
            cohort: phase.cohort(),
        })
    }

    fn apply(&mut self, input: Input, now: Timestamp, out: &mut Vec<Output>) {
        match input {
            Input::Tick => (),
            Input::NodeReady(node) => {
                self.present.insert(node);
                self.in_cohort(|cohort| cohort.on_ready(node));
            }
            Input::NodeDrains(node) => {
                self.present.remove(&node);
                self.in_cohort(|cohort| cohort.on_ready(node));
            }
            Input::NodeGone(node) => {
                self.present.remove(&node);
                self.in_cohort(|cohort| cohort.on_gone(node, now));
            }
            Input::ModelReceived { node, epoch } => {
                self.in_cohort(|cohort| cohort.on_model_received(node, epoch));
            }
            Input::Declined { node, epoch } => self.in_cohort(|cohort| cohort.on_declined(node, epoch)),
            Input::Aggregated(made) => {
                self.state = match std::mem::replace(&mut self.state, State::Over) {
                    State::Round(round) => State::Round(round.on_aggregated(made, now, out)),
                    State::Over => State::Over,
                };
            }
            Input::Committed => self.on_committed(now, out),
            Input::StoreFailed(error) => self.on_store_failed(error, out),
        }
    }

    fn on_committed(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Round(Round { log, phase: Phase::Committing(phase) }) => {
                let (checkpoint, carried) = phase.on_committed();
                self.checkpoint = checkpoint;
                self.rounds_done = log.round;
                self.epochs.end = ReservedEpochs::end_after(log.epoch);
                self.attempt = 0;
                out.push(Output::Publish { round: log.round, model: self.model() });
                self.next_round(carried, now, out);
            }
            other => self.state = other,
        }
    }

    fn on_store_failed(&mut self, error: String, out: &mut Vec<Output>) {
        match &self.state {
            State::Round(Round { log, phase: phase @ (Phase::Aggregation(_) | Phase::Committing(_)) }) => {
                let cause = HaltCause::StoreFailed(error);
                out.push(Output::Halted(Halt { round: log.round, phase: phase.name(), cause }));
                self.state = State::Over;
            }
            State::Round(_) | State::Over => (),
        }
    }

    fn in_cohort(&mut self, change: impl FnOnce(&mut Cohort)) {
        if let State::Round(Round { phase, .. }) = &mut self.state {
            change(phase.waits_for_mut());
        }
    }

    fn try_update(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        fold: impl FnOnce(u32) -> Result<Folded, UpdateFault>,
    ) -> Result<(), Fault> {
        let found = arrival.epoch;
        let announced = match &self.state {
            State::Round(round) => round.announced(),
            State::Over => EpochId(self.epochs.next.0.saturating_sub(1)),
        };
        if found > announced {
            return Err(Fault::WrongEpoch { announced, found });
        }
        match &mut self.state {
            State::Round(Round { log, phase }) => match phase.open_cohort() {
                Some(cohort) => cohort.on_update(arrival, log.base(), now, fold),
                None => Err(Fault::Late(found)),
            },
            State::Over => Err(Fault::Late(found)),
        }
    }

    /// Goes as far as the inputs so far and the time allow.
    fn settle(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        // Each pass that goes on uses up an attempt.
        while let State::Round(round) = std::mem::replace(&mut self.state, State::Over) {
            match round.settle(&self.plan, &self.present, now, out) {
                Settled::On(round) => {
                    self.state = State::Round(round);
                    return;
                }
                Settled::Halted(halt) => out.push(Output::Halted(halt)),
                Settled::Aborted(record, last) => {
                    let (round, attempts) = (record.round, self.attempt);
                    out.push(Output::RoundAborted(record));
                    if attempts < self.plan.attempts {
                        self.next_round(Cohort::default(), now, out);
                    } else {
                        out.push(Output::RunFailed(RunFailure { round, attempts, last }));
                    }
                }
            }
        }
    }

    /// Begins the next attempt, under an epoch of its own, with who trains on from the last; or ends the run.
    fn next_round(&mut self, carried: Cohort, now: Timestamp, out: &mut Vec<Output>) {
        if self.rounds_done.0 >= self.plan.rounds {
            out.push(Output::RunFinished { model: self.model() });
            return;
        }
        let epoch = self.take_epoch().expect("each commit reserves more epochs than a round has attempts");
        self.attempt += 1;
        let log = Log {
            run: self.id,
            round: RoundId(self.rounds_done.0 + 1),
            epoch,
            attempt: self.attempt,
            model: self.model(),
            candidates: self.plan.candidates,
            phases: Vec::new(),
        };
        self.state = State::Round(Round::begin(log, &self.plan, carried, now, out));
    }
}
