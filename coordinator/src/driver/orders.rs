//! What operators want of runs: start, pause, resume, stop, extend. The disk has it before they are told that it is done.

use anyhow::{Context, Result, bail, ensure};
use common::id::RunId;
use common::message::event::reason;
use edge::now;
use rand_chacha::rand_core::Rng;

use super::{Driver, Served};
use crate::archive;
use crate::config::{Cohort, RunConfig};
use crate::control::{Asked, Question, Reply, RunOrder};
use crate::engine::{End, Start};
use crate::store::{RunEntry, RunStatus, Turn};

/// Why a run failed that was stopped.
const STOPPED: &str = "it was stopped by an operator";

impl Driver {
    pub(super) fn on_asked(&mut self, Asked { question, answer }: Asked) {
        let answered = match question {
            Question::Do(order) => self.obey(order).map(|run| Reply::Done { run: run.to_string() }),
            Question::Stored(stored) => {
                archive::answer(&self.store, &stored, |node| self.engine.members().name(node))
            }
        };
        // Who asked may have hung up; it is done all the same.
        let _ = answer.send(answered.unwrap_or_else(|error| Reply::Refused { reason: format!("{error:#}") }));
        self.carry_out();
    }

    fn obey(&mut self, order: RunOrder) -> Result<RunId> {
        let (run, turn) = match order {
            RunOrder::Start { config } => return self.start(config),
            RunOrder::Pause { run } => (run, Turn::Pause),
            RunOrder::Resume { run } => (run, Turn::Resume),
            RunOrder::Stop { run } => (run, Turn::Stop(reason(STOPPED))),
            RunOrder::Extend { run, rounds } => (run, Turn::Extend(rounds)),
        };
        let run = self.find(&run)?;
        self.turn(run, &turn)?;
        Ok(run)
    }

    fn start(&mut self, config: String) -> Result<RunId> {
        self.check_idle()?;
        let mut id = RunId([0; 16]);
        self.random.fill_bytes(&mut id.0);
        let parsed = RunConfig::parse(&config)?;
        self.check_selection(&parsed.cohort)?;
        let (entry, start) = archive::create(&self.store, (config, parsed), id, now())?;
        self.begin(&entry, start);
        Ok(id)
    }

    /// Does with a run what an operator wants, after a look at whether that can be done.
    fn turn(&mut self, run: RunId, turn: &Turn) -> Result<RunEntry> {
        let before = archive::entry(&self.store, run)?;
        let after = before.turned(turn)?;
        let begins = before.status != RunStatus::Running && after.status == RunStatus::Running;
        if begins {
            self.check_idle()?;
        }
        let after = self.store.state().turn_run(run, turn)?;
        match turn {
            Turn::Extend(more) if !begins => {
                if self.is_serving(run) {
                    self.engine.extend(*more);
                }
                self.shown.on_extended(run, after.rounds);
            }
            Turn::Resume | Turn::Extend(_) => {
                let (entry, start) = archive::resume(&self.store, run)?;
                self.begin(&entry, start);
            }
            Turn::Pause => self.leave(run, End::Paused),
            Turn::Stop(why) => self.leave(run, End::Failed(why.to_string())),
        }
        Ok(after)
    }

    fn find(&self, wanted: &str) -> Result<RunId> {
        self.shown
            .find(wanted)
            .with_context(|| format!("no run `{wanted}`; `coordinator run list` shows them"))
    }

    /// Ends work on a run, if it is the one going on; a paused one is shown anew only.
    fn leave(&mut self, run: RunId, end: End) {
        if self.is_serving(run) {
            self.engine.leave(end, now(), &mut self.fresh);
        } else {
            self.shown.on_end(run, &end);
        }
    }

    fn is_serving(&self, run: RunId) -> bool {
        self.engine.is_busy() && self.served.as_ref().is_some_and(|served| served.run == run)
    }

    fn check_idle(&self) -> Result<()> {
        if self.engine.is_busy() {
            bail!(
                "a run is going on; `coordinator run watch` follows it, `run pause` makes room for another"
            );
        }
        Ok(())
    }

    /// A run of nodes that are not allowed would wait in vain.
    fn check_selection(&self, cohort: &Cohort) -> Result<()> {
        let labelled = self.engine.members().labelled(&cohort.select).count();
        ensure!(
            cohort.select.is_empty() || labelled >= cohort.minimum as usize,
            "`cohort.select` finds {labelled} nodes in `allowed-nodes`, and `cohort.minimum` is {}",
            cohort.minimum
        );
        Ok(())
    }

    /// Goes on with the run that was going on when the coordinator last ended.
    pub(super) fn resume(&mut self) {
        let going_on = archive::going_on(&self.store);
        match going_on.and_then(|run| run.map(|run| archive::resume(&self.store, run)).transpose()) {
            Ok(None) => (),
            Ok(Some((entry, start))) => {
                tracing::info!(run = %entry.run, rounds_done = %entry.rounds_done, "going on with the run");
                self.begin(&entry, start);
                self.carry_out();
            }
            Err(error) => tracing::error!("a run cannot be gone on with: {error:#}"),
        }
    }

    fn begin(&mut self, entry: &RunEntry, start: Start) {
        let schema = start.plan.task.schema().expect("the plan was parsed from a configuration");
        let (run, task) = (entry.run, start.plan.task.clone());
        self.served = Some(Served { run, schema, task, moments: self.store.moments(run) });
        let view = archive::run_view(&self.store, entry, |node| self.engine.members().name(node));
        self.shown.begin(view.unwrap_or_default());
        self.engine.start(start, now(), &mut self.fresh);
    }
}
