//! Between the store and those who ask: starting and resuming runs, and the view of what is stored.

use anyhow::{Context, Result};
use common::id::{NodeId, RoundId, RunId};
use common::message::model::Plan;
use common::units::{Millis, Timestamp};

use crate::config::RunConfig;
use crate::engine::Start;
use crate::round::{CohortSize, Deadlines, RoundOutcome, RoundPlan};
use crate::store::{About, NewRun, RunEntry, RunStatus, Store};
use crate::strategy::Strategy;
use crate::view::{self, RoundView, RunView, View};

/// How long a selected node may be away before its round stops counting on it.
const REJOIN: Millis = Millis(2000);

/// Stores a new run, given by the text of its configuration and what that says, with its first model.
///
/// # Errors
///
/// A configuration that cannot be used, or a disk that does not take it.
pub fn create(
    store: &Store,
    (config, parsed): (String, RunConfig),
    run: RunId,
    now: Timestamp,
) -> Result<(RunEntry, Start)> {
    let (plan, rounds, strategy) = plans(&parsed)?;
    let first = plan.task.initial(plan.seed)?;
    let model = store.models().save(
        &About { round: RoundId(0), task: &plan.task },
        first.schema(),
        first.values(),
    )?;
    let name = parsed.name.as_str().try_into().context("`name`")?;
    let new = NewRun { run, name, config, rounds: parsed.rounds, model, created: now };
    if strategy.server.remembers() > 0 {
        store.prepare_moments(run, &[])?;
    }
    let position = store.state().create_run(new)?;
    let (select, model) = (parsed.cohort.select, Some(first.into_values()));
    let start = Start { plan, rounds, select, strategy, position, model };
    Ok((entry(store, run)?, start))
}

/// The run that was going on when the coordinator last ended, if one was.
///
/// # Errors
///
/// When the store cannot be read.
pub fn going_on(store: &Store) -> Result<Option<RunId>> {
    let runs = store.state().runs()?;
    Ok(runs.into_iter().find(|run| run.status == RunStatus::Running).map(|entry| entry.run))
}

/// A run from where the store has it.
///
/// # Errors
///
/// When the store cannot be read.
pub fn resume(store: &Store, run: RunId) -> Result<(RunEntry, Start)> {
    let config = RunConfig::parse(&store.state().config(run)?)?;
    let (plan, rounds, strategy) = plans(&config)?;
    let position = store.state().resume_run(run)?;
    if strategy.server.remembers() > 0 {
        // A kill between writing and committing leaves more.
        store.prepare_moments(run, &position.checkpoint.moments)?;
    }
    let select = config.cohort.select;
    Ok((entry(store, run)?, Start { plan, rounds, select, strategy, position, model: None }))
}

fn entry(store: &Store, run: RunId) -> Result<RunEntry> {
    store.state().runs()?.into_iter().find(|entry| entry.run == run).context("the run is not in the state")
}

/// What a configuration says to nodes, to rounds and to their aggregation.
///
/// # Errors
///
/// A configuration that cannot be used.
pub fn plans(config: &RunConfig) -> Result<(Plan, RoundPlan, Strategy)> {
    let crate::config::Cohort { minimum, goal, over_selection, close, .. } = config.cohort;
    let from = config.deadlines;
    let deadlines = Deadlines {
        selection: Millis(from.selection_ms),
        configuration: Millis(from.configuration_ms),
        reporting: Millis(from.reporting_ms),
        committing: Millis(from.committing_ms),
        rejoin: REJOIN,
    };
    let size = CohortSize { minimum, goal, over_selection, close };
    let rounds = RoundPlan::new(size, deadlines, config.rounds, from.attempts, config.seed)?;
    Ok((config.plan()?, rounds, config.strategy.parse(minimum)?))
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

/// One stored run, as people read it.
///
/// # Errors
///
/// When the store cannot be read.
pub fn run_view(store: &Store, entry: &RunEntry, name: impl Fn(NodeId) -> String + Copy) -> Result<RunView> {
    let records = store.state().rounds(entry.run)?;
    let committed = records.iter().filter(|record| matches!(record.outcome, RoundOutcome::Committed(_)));
    let (status, reason) = match &entry.status {
        RunStatus::Running => (view::RunStatus::Running, None),
        RunStatus::Finished => (view::RunStatus::Finished, None),
        RunStatus::Paused => (view::RunStatus::Paused, None),
        RunStatus::Failed(why) => (view::RunStatus::Failed, Some(why.to_string())),
    };
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
