//! Rounds as a state machine: no socket, no clock, no disk.
//!
//! A [`Run`] takes rounds one after the other. The driver tells it what came about ([`Input`],
//! [`Arrival`]) and at what time; it answers with what is to be done ([`Output`]), and with the
//! time at which it must be asked again ([`Run::next_deadline`]).
//!
//! ```text
//! selection > configuration > reporting > aggregation > committing > next round, or the run is finished
//!     |             |             |            |             |
//!     +-------------+-------------+            +-------------+
//!        Abort: nodes are missing;                Halt: our disk fails;
//!        tried again, then the run fails          restart goes on from what it holds
//! ```
//!
//! The phases and their names follow Bonawitz et al. 2019, "Towards federated learning at scale".
//! Four kinds of failure, four types: a [`Rejection`] costs a node its slot, an [`Abort`] costs
//! an attempt at a round, a [`Halt`] stops the coordinator, and a panic is a bug here.

mod abort;
mod checkpoint;
mod cohort;
mod input;
mod output;
pub mod phase;
mod plan;
mod record;
mod rejection;
mod run;

pub use abort::Abort;
pub use checkpoint::Checkpoint;
pub use cohort::{Cohort, Slot};
pub use input::{Arrival, Input};
pub use output::{Announce, Halt, HaltCause, Output, RunFailure};
pub use plan::{Close, CohortSize, Deadlines, EPOCHS_AHEAD, PlanError, ReservedEpochs, RoundPlan};
pub use record::{
    Base, CodeVersion, MemberOutcome, MemberRecord, PhaseBegan, PhaseName, Report, RoundOutcome, RoundRecord,
    code_version,
};
pub use rejection::{Fault, Rejection};
pub use run::{Progress, Run, RunPosition};

use std::collections::BTreeSet;

use common::id::{EpochId, ModelHash, NodeId, RoundId, RunId};
use common::message::event::reason;
use common::units::Timestamp;
use phase::Phase;
use phase::aggregation::{self, Aggregation};
use phase::committing;
use phase::configuration::{self, Configuration};
use phase::reporting::{self, Reporting};
use phase::selection::{self, Selection};

/// One attempt at one round.
#[derive(Debug)]
struct Round {
    log: Log,
    phase: Phase,
}

/// Which attempt this is, and what it went through.
#[derive(Debug)]
struct Log {
    run: RunId,
    round: RoundId,
    epoch: EpochId,
    attempt: u32,
    /// The model that the nodes train from.
    model: ModelHash,
    candidates: u32,
    phases: Vec<PhaseBegan>,
}

/// Where a round stands after it looked at its inputs.
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Settled {
    /// It waits.
    On(Round),
    /// It ended without a model.
    Aborted(Box<RoundRecord>, Abort),
    /// The coordinator cannot go on.
    Halted(Halt),
}

impl Log {
    /// What its cohort trains from.
    fn base(&self) -> Base {
        Base { epoch: self.epoch, round: self.round }
    }

    fn enter(&mut self, phase: PhaseName, deadline: Timestamp, now: Timestamp, out: &mut Vec<Output>) {
        self.phases.push(PhaseBegan { phase, at: now });
        out.push(Output::PhaseBegan { phase, deadline });
    }

    fn record(&self, members: Vec<MemberRecord>, outcome: RoundOutcome, now: Timestamp) -> Box<RoundRecord> {
        Box::new(RoundRecord {
            run: self.run,
            round: self.round,
            epoch: self.epoch,
            attempt: self.attempt,
            model: self.model,
            candidates: self.candidates,
            phases: self.phases.clone().try_into().expect("there are five phases"),
            closed: now,
            members: members.try_into().expect("the plan bounds the cohort"),
            outcome,
            code: code_version(),
        })
    }

    fn aborted(&self, abort: Abort, cohort: Option<&Cohort>, now: Timestamp) -> Settled {
        let members = cohort.map_or_else(Vec::new, |cohort| cohort.members(&Cohort::default()));
        let outcome = RoundOutcome::Aborted(reason(&abort.to_string()));
        Settled::Aborted(self.record(members, outcome, now), abort)
    }

    fn halted(&self, phase: PhaseName, cause: HaltCause) -> Settled {
        Settled::Halted(Halt { round: self.round, phase, cause })
    }

    fn announce(&self, configuration: &Configuration) -> Output {
        Output::Announce(Announce {
            run: self.run,
            round: self.round,
            epoch: self.epoch,
            model: self.model,
            cohort: configuration.cohort.asked(self.epoch),
            taken_from: configuration.cohort.oldest().unwrap_or(self.epoch),
            deadline: configuration.reporting_deadline,
        })
    }
}

impl Round {
    fn begin(mut log: Log, plan: &RoundPlan, carried: Cohort, now: Timestamp, out: &mut Vec<Output>) -> Self {
        let selection = Selection::begin(plan, (log.base(), log.attempt), carried, now);
        log.enter(PhaseName::Selection, selection.deadline, now, out);
        Self { log, phase: Phase::Selection(selection) }
    }

    /// Goes through as many phases as the inputs so far and the time allow.
    fn settle(
        mut self,
        plan: &RoundPlan,
        present: &BTreeSet<NodeId>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> Settled {
        let log = &mut self.log;
        loop {
            self.phase = match self.phase {
                Phase::Selection(phase) => match phase.settle(present, now) {
                    selection::Transition::Stay(phase) => return on(self.log, Phase::Selection(phase)),
                    selection::Transition::Abort(abort) => return log.aborted(abort, None, now),
                    selection::Transition::Configure(cohort) => {
                        let next = Configuration::begin(cohort, &plan.deadlines, now);
                        log.enter(PhaseName::Configuration, next.deadline, now, out);
                        out.push(log.announce(&next));
                        Phase::Configuration(next)
                    }
                },
                Phase::Configuration(phase) => match phase.settle(now) {
                    configuration::Transition::Stay(phase) => {
                        return on(self.log, Phase::Configuration(phase));
                    }
                    configuration::Transition::Abort(abort, cohort) => {
                        return log.aborted(abort, Some(&cohort), now);
                    }
                    configuration::Transition::Report(phase) => {
                        let next = Reporting::begin(phase);
                        log.enter(PhaseName::Reporting, next.deadline, now, out);
                        Phase::Reporting(next)
                    }
                },
                Phase::Reporting(phase) => match phase.settle(now) {
                    reporting::Transition::Stay(phase) => return on(self.log, Phase::Reporting(phase)),
                    reporting::Transition::Abort(abort, cohort) => {
                        return log.aborted(abort, Some(&cohort), now);
                    }
                    reporting::Transition::Aggregate(cohort) => {
                        let (updates, weight_total) = (cohort.reported(), cohort.weight_total());
                        let carried = cohort.carried(RoundId(log.round.0 + 1), plan.cohort.staleness_max);
                        let next = Aggregation::begin(cohort, carried, plan.deadlines.committing, now);
                        log.enter(PhaseName::Aggregation, next.deadline, now, out);
                        out.push(Output::Aggregate { updates, weight_total });
                        Phase::Aggregation(next)
                    }
                },
                Phase::Aggregation(phase) => {
                    return match phase.settle(now) {
                        aggregation::Transition::Stay(phase) => on(self.log, Phase::Aggregation(phase)),
                        aggregation::Transition::Halt(cause) => log.halted(PhaseName::Aggregation, cause),
                    };
                }
                Phase::Committing(phase) => {
                    return match phase.settle(now) {
                        committing::Transition::Stay(phase) => on(self.log, Phase::Committing(phase)),
                        committing::Transition::Halt(cause) => log.halted(PhaseName::Committing, cause),
                    };
                }
            };
        }
    }

    /// The model is stored: asks for the commit. In any other phase nothing changes.
    fn on_aggregated(mut self, made: Checkpoint, now: Timestamp, out: &mut Vec<Output>) -> Self {
        let Phase::Aggregation(phase) = self.phase else { return self };
        let (next, cohort) = phase.on_aggregated(made.clone());
        self.log.enter(PhaseName::Committing, next.deadline, now, out);
        let members = cohort.members(&next.carried);
        let record = self.log.record(members, RoundOutcome::Committed(made), now);
        out.push(Output::Commit { record, epochs_end: ReservedEpochs::end_after(self.log.epoch) });
        self.phase = Phase::Committing(next);
        self
    }

    /// The newest epoch that nodes were told of.
    fn announced(&self) -> EpochId {
        match self.phase {
            Phase::Selection(_) => EpochId(self.log.epoch.0.saturating_sub(1)),
            _ => self.log.epoch,
        }
    }
}

fn on(log: Log, phase: Phase) -> Settled {
    Settled::On(Round { log, phase })
}

#[cfg(test)]
mod tests;
