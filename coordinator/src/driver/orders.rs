//! What operators want of runs: start, pause, resume, stop, extend. The disk has it before they are told that it is done.

use anyhow::{Context, Result, ensure};
use common::id::{NodeId, RunId};
use common::limits::NAME_BYTES_MAX;
use common::message::event::reason;
use common::message::{model, update};
use common::units::ByteCount;
use edge::now;
use rand_chacha::rand_core::Rng;
use tokio::sync::oneshot;

use super::Driver;
use super::works::{Prepare, Prepared};
use crate::archive;
use crate::config::{self, Cohort, RunConfig};
use crate::control::{Asked, Question, Reply, RunOrder};
use crate::engine::{End, Start};
use crate::quota::{self, Taken};
use crate::served::Served;
use crate::store::{RunEntry, RunName, RunStatus, StartKey, Turn};
use crate::view::{self, Order, OrderedRun, RunSize};

/// Why a run failed that was stopped.
const STOPPED: &str = "it was stopped by an operator";

impl Driver {
    /// Answers, or has it wait for its turn: nothing is done with a run while something is done for it, and nothing at
    /// all while a new one is prepared.
    pub(super) fn on_asked(&mut self, asked: Asked) {
        if self.must_wait(&asked.question) {
            return self.waiting.push_back(asked);
        }
        let Asked { question, answer } = asked;
        let (order, dry_run) = match question {
            Question::Do(order) => (order, false),
            Question::Try(order) => (order, true),
            Question::Node { node, order, dry_run } => {
                reply(answer, self.order_node(&node, order, dry_run).map(Reply::Node));
                return self.carry_out();
            }
            Question::Roster { text, dry_run } => {
                reply(answer, self.install(&text, dry_run).map(Reply::Roster));
                return self.carry_out();
            }
            Question::Stored(stored) => {
                let name = |node| self.engine.members().name(node);
                return reply(answer, archive::answer(&self.store, &stored, name));
            }
        };
        let (order, run, turn) = match order {
            RunOrder::Start { config, key } => return self.start(config, key, dry_run, answer),
            RunOrder::Pause { run } => (Order::Pause, run, Turn::Pause),
            RunOrder::Resume { run } => (Order::Resume, run, Turn::Resume),
            RunOrder::Stop { run } => (Order::Stop, run, Turn::Stop(reason(STOPPED))),
            RunOrder::Extend { run, rounds } => (Order::Extend, run, Turn::Extend(rounds)),
        };
        reply(answer, self.turn(order, &run, &turn, dry_run).map(Reply::Done));
        self.carry_out();
    }

    fn must_wait(&self, question: &Question) -> bool {
        let (Question::Do(order) | Question::Try(order)) = question else { return false };
        let run = order.run().and_then(|run| self.shown.find(run).ok());
        self.works.is_preparing() || run.is_some_and(|run| self.works.is_busy(run))
    }

    /// Does with a run what is wanted, after a look at whether it can be done; a dry run is that look.
    fn turn(&mut self, order: Order, run: &str, turn: &Turn, dry_run: bool) -> Result<OrderedRun> {
        let run = self.shown.find(run)?;
        let before = archive::entry(&self.store, run)?;
        let mut after = before.turned(turn)?;
        let begins = before.status != RunStatus::Running && after.status == RunStatus::Running;
        if begins {
            let config = RunConfig::parse(&self.store.state().config(run)?)?;
            self.quota.admit(&self.going_on(), self.need(&config)?)?;
        }
        if !dry_run {
            after = self.store.state().turn_run(run, turn)?;
            self.follow(turn, &after, begins)?;
        }
        Ok(ordered(order, &after, dry_run))
    }

    /// Looks whether a run can be started, and has it prepared beside the loop: a model is drawn or read.
    fn start(&mut self, config: String, key: Option<String>, dry_run: bool, answer: oneshot::Sender<Reply>) {
        match self.startable(config, key, dry_run) {
            Ok(Startable::Told(told)) => reply(answer, Ok(Reply::Done(told))),
            Ok(Startable::New(prepare)) => self.works.prepare(prepare, answer),
            Err(error) => reply(answer, Err(error)),
        }
    }

    fn startable(&mut self, config: String, key: Option<String>, dry_run: bool) -> Result<Startable> {
        let parsed = RunConfig::parse(&config)?;
        let key = key.map(|key| start_key(&key)).transpose()?;
        if let Some(key) = &key
            && let Some(run) = self.store.state().started(key)?
        {
            return self.repeated(run, key, &config, dry_run).map(Startable::Told);
        }
        self.quota.admit(&self.going_on(), self.need(&parsed)?)?;
        self.check_selection(&parsed.cohort)?;
        let name: RunName = parsed.name.as_str().try_into().context("`name`")?;
        let size = self.size(&parsed)?;
        if dry_run {
            let tried = OrderedRun {
                order: Order::Start,
                dry_run,
                run: None,
                name: name.to_string(),
                status: view::RunStatus::Running,
                rounds_done: 0,
                rounds: parsed.rounds,
                repeated: false,
                size: Some(size),
            };
            return Ok(Startable::New(Box::new(move |store| {
                archive::first_named(store, &parsed, &parsed.task)?;
                Ok(Prepared::Tried(tried))
            })));
        }
        let mut id = RunId([0; 16]);
        self.random.fill_bytes(&mut id.0);
        Ok(Startable::New(Box::new(move |store| {
            let (entry, start) = archive::create(store, (config, parsed), (id, key), now())?;
            Ok(Prepared::Created(entry, Box::new(start)))
        })))
    }

    /// A run was prepared: it begins, if that was wanted.
    pub(super) fn on_prepared(&mut self, prepared: Result<Prepared>, answer: oneshot::Sender<Reply>) {
        let done = prepared.and_then(|prepared| match prepared {
            Prepared::Tried(tried) => Ok(tried),
            Prepared::Created(entry, start) => {
                self.begin(&entry, *start)?;
                Ok(ordered(Order::Start, &entry, false))
            }
        });
        reply(answer, done.map(Reply::Done));
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
        let present = nodes.iter().filter(|node| self.engine.members().is_candidate(**node));
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
            memory_bytes: self.need(config)?.0,
        })
    }

    /// The disk has it: now this process does it too.
    fn follow(&mut self, turn: &Turn, after: &RunEntry, begins: bool) -> Result<()> {
        let run = after.run;
        match turn {
            Turn::Extend(more) if !begins => {
                self.engine.extend(run, more.get());
                self.shown.on_extended(run, after.rounds);
            }
            Turn::Resume | Turn::Extend(_) => {
                let (entry, start) = archive::resume(&self.store, run)?;
                self.begin(&entry, start)?;
            }
            Turn::Pause => self.leave(run, End::Paused),
            Turn::Stop(why) => self.leave(run, End::Failed(why.to_string())),
        }
        Ok(())
    }

    /// Ends work on a run, if it goes on; a paused one is shown anew only.
    fn leave(&mut self, run: RunId, end: End) {
        if self.engine.is_running(run) {
            self.engine.leave(run, end, now(), &mut self.fresh);
        } else {
            self.shown.on_end(run, &end);
        }
    }

    /// The runs that go on, and what they take.
    fn going_on(&self) -> Vec<Taken> {
        self.engine.running().filter_map(|run| self.works.taken(run).cloned()).collect()
    }

    /// What a run takes: no more nodes are selected than may be.
    fn need(&self, config: &RunConfig) -> Result<ByteCount> {
        let (plan, rounds, strategy) = archive::plans(config)?;
        let nodes = self.engine.members().labelled(&config.cohort.select).count();
        Ok(quota::need(plan.task.schema()?.parameters(), rounds.nodes_wanted().min(nodes), &strategy))
    }

    /// A run of nodes that are not allowed would wait in vain.
    fn check_selection(&self, cohort: &Cohort) -> Result<()> {
        let labelled = self.engine.members().labelled(&cohort.select).count();
        ensure!(
            cohort.select.is_empty() || labelled >= cohort.minimum as usize,
            "`cohort.select` finds {labelled} nodes on the roster, and `cohort.minimum` is {}",
            cohort.minimum
        );
        let (suite, selected) = (self.engine.suite(), f64::from(cohort.goal) * cohort.over_selection);
        ensure!(
            selected <= suite.cohort_max() as f64,
            "`cohort.goal` times `cohort.over_selection` is over {}, the most nodes in a round with `suite = \"{suite}\"`: \
             lower one of them",
            suite.cohort_max()
        );
        Ok(())
    }

    /// Goes on with the runs that went on when the coordinator last ended, and offers the newest results again. One
    /// that cannot be gone on with keeps no other from it.
    pub(super) fn resume(&mut self) {
        let runs = archive::to_serve(&self.store).unwrap_or_else(|error| {
            tracing::error!("no run can be gone on with: {error:#}");
            Vec::new()
        });
        for run in runs {
            let served = archive::resume(&self.store, run).and_then(|(entry, start)| {
                tracing::info!(%run, rounds_done = %entry.rounds_done, "serving the run");
                self.serve(&entry, start)
            });
            if let Err(error) = served {
                tracing::error!(%run, "the run cannot be gone on with: {error:#}");
            }
        }
        let (going_on, at_once) = (self.engine.running().count(), self.quota.at_once as usize);
        if going_on > at_once {
            tracing::warn!(
                "{going_on} runs go on, more than the {at_once} of `runs.at_once`: none is started"
            );
        }
        self.carry_out();
    }

    fn begin(&mut self, entry: &RunEntry, start: Start) -> Result<()> {
        let view = archive::run_view(&self.store, entry, |node| self.engine.members().name(node));
        self.shown.begin(view.unwrap_or_default());
        self.serve(entry, start)
    }

    fn serve(&mut self, entry: &RunEntry, start: Start) -> Result<()> {
        let (run, name) = (entry.run, entry.name.to_string());
        let config = RunConfig::parse(&self.store.state().config(run)?)?;
        let taken = Taken { run, name, memory: self.need(&config)? };
        self.works.open(Served::new(&self.store, run, &start.plan.task), taken);
        self.engine.start(start, now(), &mut self.fresh);
        Ok(())
    }
}

/// A start that nothing is against.
enum Startable {
    /// It was done before, and this is told of it.
    Told(OrderedRun),
    /// This prepares it.
    New(Prepare),
}

/// Who asked may have hung up; it is done all the same.
fn reply(answer: oneshot::Sender<Reply>, answered: Result<Reply>) {
    let _ = answer.send(answered.unwrap_or_else(|error| Reply::Refused { reason: format!("{error:#}") }));
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
