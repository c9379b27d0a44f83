//! What operators want of runs: start, pause, resume, stop, extend. The disk has it before they are told that it is done.

use anyhow::{Context, Result, bail, ensure};
use common::id::{NodeId, RunId};
use common::limits::NAME_BYTES_MAX;
use common::message::event::reason;
use common::message::{model, update};
use edge::now;
use rand_chacha::rand_core::Rng;

use super::Driver;
use crate::archive;
use crate::config::{self, Cohort, RunConfig};
use crate::control::{Asked, Question, Reply, RunOrder};
use crate::engine::{End, Start};
use crate::served::Served;
use crate::store::{RunEntry, RunName, RunStatus, StartKey, Turn};
use crate::view::{self, Order, OrderedRun, RunSize};

/// Why a run failed that was stopped.
const STOPPED: &str = "it was stopped by an operator";

impl Driver {
    pub(super) fn on_asked(&mut self, Asked { question, answer }: Asked) {
        let answered = match question {
            Question::Do(order) => self.obey(order, false).map(Reply::Done),
            Question::Try(order) => self.obey(order, true).map(Reply::Done),
            Question::Stored(stored) => {
                archive::answer(&self.store, &stored, |node| self.engine.members().name(node))
            }
        };
        // Who asked may have hung up; it is done all the same.
        let _ = answer.send(answered.unwrap_or_else(|error| Reply::Refused { reason: format!("{error:#}") }));
        self.carry_out();
    }

    /// Does what is wanted, after a look at whether it can be done; a dry run is that look.
    fn obey(&mut self, order: RunOrder, dry_run: bool) -> Result<OrderedRun> {
        let (order, run, turn) = match order {
            RunOrder::Start { config, key } => return self.start(config, key, dry_run),
            RunOrder::Pause { run } => (Order::Pause, run, Turn::Pause),
            RunOrder::Resume { run } => (Order::Resume, run, Turn::Resume),
            RunOrder::Stop { run } => (Order::Stop, run, Turn::Stop(reason(STOPPED))),
            RunOrder::Extend { run, rounds } => (Order::Extend, run, Turn::Extend(rounds)),
        };
        let run = self.find(&run)?;
        let before = archive::entry(&self.store, run)?;
        let mut after = before.turned(&turn)?;
        let begins = before.status != RunStatus::Running && after.status == RunStatus::Running;
        if begins {
            self.check_idle()?;
        }
        if !dry_run {
            after = self.store.state().turn_run(run, &turn)?;
            self.follow(&turn, &after, begins)?;
        }
        Ok(ordered(order, &after, dry_run))
    }

    fn start(&mut self, config: String, key: Option<String>, dry_run: bool) -> Result<OrderedRun> {
        let parsed = RunConfig::parse(&config)?;
        let key = key.map(|key| start_key(&key)).transpose()?;
        if let Some(key) = &key
            && let Some(run) = self.store.state().started(key)?
        {
            return self.repeated(run, key, &config, dry_run);
        }
        self.check_idle()?;
        self.check_selection(&parsed.cohort)?;
        let name: RunName = parsed.name.as_str().try_into().context("`name`")?;
        let size = self.size(&parsed)?;
        if dry_run {
            archive::first_named(&self.store, &parsed, &parsed.plan()?.task)?;
            return Ok(OrderedRun {
                order: Order::Start,
                dry_run,
                run: None,
                name: name.to_string(),
                status: view::RunStatus::Running,
                rounds_done: 0,
                rounds: parsed.rounds,
                repeated: false,
                size: Some(size),
            });
        }
        let mut id = RunId([0; 16]);
        self.random.fill_bytes(&mut id.0);
        let (entry, start) = archive::create(&self.store, (config, parsed), (id, key), now())?;
        self.begin(&entry, start);
        Ok(ordered(Order::Start, &entry, dry_run))
    }

    /// The run that was started with this key: told of again, if it is the one that is wanted.
    fn repeated(&self, run: RunId, key: &StartKey, config: &str, dry_run: bool) -> Result<OrderedRun> {
        ensure!(
            config::says_the_same(config, &self.store.state().config(run)?),
            "the idempotency key `{key}` is of run {run}, which was started with another configuration; `coordinator \
             run list` shows it; take another key"
        );
        let entry = archive::entry(&self.store, run)?;
        Ok(OrderedRun { repeated: true, ..ordered(Order::Start, &entry, dry_run) })
    }

    fn size(&self, config: &RunConfig) -> Result<RunSize> {
        let (plan, rounds, _) = archive::plans(config)?;
        let parameters = plan.task.schema()?.parameters();
        let nodes: Vec<NodeId> = self.engine.members().labelled(&config.cohort.select).collect();
        let present = nodes.iter().filter(|node| self.engine.members().present(**node).is_some());
        let selected = rounds.nodes_wanted() as u64;
        let update_bytes = update::plain_bytes(plan.values(parameters));
        let model_bytes = model::plain_bytes(&plan.into(), parameters);
        Ok(RunSize {
            minimum: config.cohort.minimum,
            goal: config.cohort.goal,
            selected: selected as u32,
            nodes_allowed: nodes.len() as u32,
            nodes_present: present.count() as u32,
            parameters: parameters as u64,
            model_bytes,
            update_bytes,
            round_bytes: model_bytes + selected * update_bytes,
        })
    }

    /// The disk has it: now this process does it too.
    fn follow(&mut self, turn: &Turn, after: &RunEntry, begins: bool) -> Result<()> {
        let run = after.run;
        match turn {
            Turn::Extend(more) if !begins => {
                if self.is_serving(run) {
                    self.engine.extend(more.get());
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
        Ok(())
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

    /// Goes on with the run that was going on when the coordinator last ended; or offers the newest result again.
    pub(super) fn resume(&mut self) {
        let to_serve = archive::to_serve(&self.store);
        match to_serve.and_then(|run| run.map(|run| archive::resume(&self.store, run)).transpose()) {
            Ok(None) => (),
            Ok(Some((entry, start))) => {
                tracing::info!(run = %entry.run, rounds_done = %entry.rounds_done, "serving the run");
                self.begin(&entry, start);
                self.carry_out();
            }
            Err(error) => tracing::error!("a run cannot be gone on with: {error:#}"),
        }
    }

    fn begin(&mut self, entry: &RunEntry, start: Start) {
        self.served = Some(Served::new(&self.store, entry.run, &start.plan.task));
        let view = archive::run_view(&self.store, entry, |node| self.engine.members().name(node));
        self.shown.begin(view.unwrap_or_default());
        self.engine.start(start, now(), &mut self.fresh);
    }
}

/// What is told of an order.
fn ordered(order: Order, entry: &RunEntry, dry_run: bool) -> OrderedRun {
    OrderedRun {
        order,
        dry_run,
        run: Some(entry.run.to_string()),
        name: entry.name.to_string(),
        status: archive::standing(&entry.status).0,
        rounds_done: entry.rounds_done.0,
        rounds: entry.rounds,
        repeated: false,
        size: None,
    }
}

fn start_key(text: &str) -> Result<StartKey> {
    let long = || format!("an idempotency key has at most {NAME_BYTES_MAX} bytes, this one {}", text.len());
    ensure!(!text.is_empty(), "the idempotency key is empty");
    StartKey::try_from(text).ok().with_context(long)
}
