//! Between the store and those who ask: starting and resuming runs, and the view of what is stored.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use common::id::{EpochId, NodeId, RoundId, RunId};
use common::message::model::Plan;
use common::model::Task;
use common::units::{Millis, Timestamp};

use crate::config::RunConfig;
use crate::control::{Reply, Stored};
use crate::engine::{OFFERED_MAX, Start};
use crate::registry::{self, First};
use crate::round::{CohortSize, Deadlines, RoundPlan, RoundRecord};
use crate::store::{About, NewRun, RunEntry, RunStatus, StartKey, Store};
use crate::strategy::Strategy;
use crate::view::{self, AttemptView, RoundView, RunView, View};

/// How long a selected node may be away before its round stops counting on it.
const REJOIN: Millis = Millis(2000);

/// Stores a new run, given by the text of its configuration and what that says, with its first model. By its key it is
/// found again.
///
/// # Errors
///
/// A configuration that cannot be used, or a disk that does not take it.
pub fn create(
    store: &Store,
    (config, parsed): (String, RunConfig),
    (run, key): (RunId, Option<StartKey>),
    now: Timestamp,
) -> Result<(RunEntry, Start)> {
    let (plan, rounds, strategy) = plans(&parsed)?;
    let named = first_named(store, &parsed, &plan.task)?;
    let (model, values) = if let Some(First::Stored(model, values)) = named {
        (model, values)
    } else {
        let mut first = plan.task.initial(plan.seed)?;
        if let Some(First::Parameters(values)) = named {
            first.values_mut().copy_from_slice(&values);
        }
        let about = About { round: RoundId(0), task: &plan.task };
        (store.models().save(&about, first.schema(), first.values())?, first.into_values())
    };
    let name = parsed.name.as_str().try_into().context("`name`")?;
    let new = NewRun { run, name, config, rounds: parsed.rounds, model, created: now, key };
    if strategy.remembers() > 0 {
        store.prepare_moments(run, &[])?;
    }
    let position = store.state().create_run(new)?;
    let (select, model, folded) = (parsed.cohort.select, Some(values), BTreeMap::new());
    let start = Start { plan, rounds, select, strategy, position, folded, model };
    Ok((entry(store, run)?, start))
}

/// The model that a run begins with, if its configuration names one.
///
/// # Errors
///
/// As [`registry::first_of`].
pub fn first_named(store: &Store, config: &RunConfig, task: &Task) -> Result<Option<First>> {
    let Some(from) = &config.from else { return Ok(None) };
    registry::first_of(store, from, task, &task.schema()?).map(Some).context("`from`")
}

/// The runs that a coordinator serves when it begins: those that finished last, in the order in which they did, whose
/// results some node may not have yet, and those that were going on when it last ended.
///
/// # Errors
///
/// When the store cannot be read.
pub fn to_serve(store: &Store) -> Result<Vec<RunId>> {
    let runs = store.state().runs()?;
    let of = |status| runs.iter().filter(move |entry| entry.status == status);
    let result = |entry: &RunEntry| {
        let attempts = store.state().attempts(entry.run, entry.rounds_done)?;
        Ok((attempts.last().map(|record| record.closed), entry.run))
    };
    let mut finished = of(RunStatus::Finished).map(result).collect::<Result<Vec<_>>>()?;
    finished.sort_unstable();
    let offered = finished.len().saturating_sub(OFFERED_MAX);
    let finished = finished[offered..].iter().map(|(_, run)| *run);
    Ok(finished.chain(of(RunStatus::Running).map(|entry| entry.run)).collect())
}

/// A run from where the store has it.
///
/// # Errors
///
/// When the store cannot be read.
pub fn resume(store: &Store, run: RunId) -> Result<(RunEntry, Start)> {
    let mut config = RunConfig::parse(&store.state().config(run)?)?;
    // It may have been extended since it was started.
    config.rounds = entry(store, run)?.rounds;
    let (plan, rounds, strategy) = plans(&config)?;
    let position = store.state().resume_run(run)?;
    if strategy.remembers() > 0 {
        // A kill between writing and committing leaves more.
        store.prepare_moments(run, &position.checkpoint.moments)?;
    }
    let folded = if plan.control { last_folded(store, run)? } else { BTreeMap::new() };
    let select = config.cohort.select;
    Ok((entry(store, run)?, Start { plan, rounds, select, strategy, position, folded, model: None }))
}

/// Of each node the last epoch whose model has its update.
fn last_folded(store: &Store, run: RunId) -> Result<BTreeMap<NodeId, EpochId>> {
    let records = store.state().rounds(run)?;
    let committed = records.iter().filter(|record| record.made().is_some());
    Ok(committed.flat_map(RoundRecord::asked_in).collect())
}

/// What the store holds of one run.
///
/// # Errors
///
/// When it is not there, or the store cannot be read.
pub fn entry(store: &Store, run: RunId) -> Result<RunEntry> {
    store.state().runs()?.into_iter().find(|entry| entry.run == run).context("the run is not in the state")
}

/// What a configuration says to nodes, to rounds and to their updates.
///
/// # Errors
///
/// A configuration that cannot be used.
pub fn plans(config: &RunConfig) -> Result<(Plan, RoundPlan, Strategy)> {
    let crate::config::Cohort { minimum, goal, over_selection, close, staleness_max, .. } = config.cohort;
    let from = config.deadlines;
    let deadlines = Deadlines {
        selection: Millis(from.selection_ms),
        configuration: Millis(from.configuration_ms),
        reporting: Millis(from.reporting_ms),
        committing: Millis(from.committing_ms),
        rejoin: REJOIN,
    };
    let size = CohortSize { minimum, goal, over_selection, close, staleness_max };
    let rounds = RoundPlan::new(size, deadlines, config.rounds, from.attempts, config.seed)?;
    Ok((config.plan(), rounds, config.strategy.parse(minimum)?))
}

/// What the store holds, as people read it.
///
/// # Errors
///
/// When the store cannot be read.
pub fn view(store: &Store, name: impl Fn(NodeId) -> String + Copy) -> Result<View> {
    let runs: Result<Vec<RunView>> =
        store.state().runs()?.iter().map(|entry| run_view(store, entry, name)).collect();
    Ok(View { runs: runs?, nodes: Vec::new() })
}

/// What is stored of a run and in no view.
///
/// # Errors
///
/// When there is no such run, or the store cannot be read.
pub fn answer(store: &Store, asked: &Stored, name: impl Fn(NodeId) -> String) -> Result<Reply> {
    Ok(match asked {
        Stored::Config { run } => Reply::Config { text: store.state().config(run.parse()?)? },
        Stored::Attempts { run, round } => {
            let records = store.state().attempts(run.parse()?, RoundId(*round))?;
            Reply::Attempts {
                attempts: records.iter().map(|record| AttemptView::of(record, &name)).collect(),
            }
        }
    })
}

/// One stored run, as people read it.
///
/// # Errors
///
/// When the store cannot be read.
pub fn run_view(store: &Store, entry: &RunEntry, name: impl Fn(NodeId) -> String + Copy) -> Result<RunView> {
    let records = store.state().rounds(entry.run)?;
    let committed = records.iter().filter(|record| record.made().is_some());
    let (status, reason) = standing(&entry.status);
    Ok(RunView {
        run: entry.run.to_string(),
        name: entry.name.to_string(),
        status,
        reason,
        rounds_done: entry.rounds_done.0,
        rounds: entry.rounds,
        model: (entry.rounds_done.0 > 0).then(|| entry.checkpoint.model.to_string()),
        current: None,
        history: committed.map(|record| RoundView::of(record, None, name)).collect(),
    })
}

/// How a run stands, as people read it, and why.
pub fn standing(status: &RunStatus) -> (view::RunStatus, Option<String>) {
    match status {
        RunStatus::Running => (view::RunStatus::Running, None),
        RunStatus::Finished => (view::RunStatus::Finished, None),
        RunStatus::Paused => (view::RunStatus::Paused, None),
        RunStatus::Failed(why) => (view::RunStatus::Failed, Some(why.to_string())),
    }
}
