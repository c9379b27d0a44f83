//! What is known of models: where each comes from, what names it, and what operators do with it.
//!
//! The answers are the same whether a coordinator serves the folder, which is asked over its control socket, or none
//! does, and the command looks itself.

mod known;

use std::fmt::Debug;

use anyhow::{Context, Result, bail};
use common::id::{ModelHash, NodeId, RoundId};
use common::model::{Forecaster, Foresees, MetricName, Schema, Statistics, Task};
use common::units::Timestamp;

use crate::config::{RunConfig, check_task};
use crate::control::{ModelAnswer, ModelOrder};
use crate::store::registry::{Imported, standing};
use crate::store::{Alias, Store};
use crate::view::AttemptView;
use crate::view::model::{
    AliasView, EvaluatedView, FileView, ListedModel, MetricView, ModelView, OriginView, QuantileView,
    TrainedView,
};
use known::{Known, Origin, aliases_of, find, known};

/// Does what is asked; `name` is what people call a node.
///
/// # Errors
///
/// What is named is not there, is damaged, or the store cannot be read or written.
pub fn answer(
    store: &Store,
    order: &ModelOrder,
    name: impl Fn(NodeId) -> String,
    now: Timestamp,
) -> Result<ModelAnswer> {
    match order {
        ModelOrder::List => Ok(ModelAnswer::Listed { models: list(store)? }),
        ModelOrder::Show { model } => Ok(ModelAnswer::Shown(Box::new(show(store, model.as_deref(), name)?))),
        ModelOrder::Promote { model, alias, dry_run } => {
            promote(store, model, &alias.parse()?, *dry_run, now).map(ModelAnswer::Turned)
        }
        ModelOrder::RollBack { alias, dry_run } => {
            roll_back(store, &alias.parse()?, *dry_run, now).map(ModelAnswer::Turned)
        }
        ModelOrder::Import { model, round, file } => {
            let entry = Imported { at: now, round: RoundId(*round), file: known::file_name(file) };
            import(store, model.parse()?, &entry).map(|known| ModelAnswer::Imported { known })
        }
    }
}

/// What a run is to begin with.
#[derive(Clone, Debug, PartialEq)]
pub enum First {
    /// A model as it is stored.
    Stored(ModelHash, Vec<f32>),
    /// The parameters of one, and nothing known of all nodes: an evaluation begins, or training goes on after one.
    Parameters(Vec<f32>),
}

/// The model that a run is to begin with, which must be for its task.
///
/// # Errors
///
/// Says which model, and how its task differs.
pub fn first_of(store: &Store, wanted: &str, task: &Task, schema: &Schema) -> Result<First> {
    let found = find(&known(store)?, &store.state().aliases()?, Some(wanted))?.model;
    let of_file = task_of(&store.models().describe(found)?.task)
        .with_context(|| store.models().path(found).display().to_string())?;
    if let Some(difference) = difference(&of_file, task) {
        bail!("the run cannot begin with model {found}, which is for another task: {difference}");
    }
    let trained = task.forecaster().map_or_else(|| task.clone(), |model| Task::Forecaster(model.clone()));
    if of_file == *task && trained == *task {
        return Ok(First::Stored(found, store.models().load(found, schema)?));
    }
    let mut values = store.models().load(found, &of_file.schema()?)?;
    values.truncate(trained.schema()?.parameters());
    values.resize(schema.parameters(), 0.0);
    Ok(First::Parameters(values))
}

/// A task as model files have it.
///
/// # Errors
///
/// When it is none.
pub fn task_of(json: &str) -> Result<Task> {
    let task = serde_json::from_str(json).context("its `task`")?;
    check_task(&task)?;
    Ok(task)
}

/// How the task of a model differs from that of a run, if it does.
fn difference(model: &Task, run: &Task) -> Option<String> {
    let differ = |what: &str, one: &dyn Debug, other: &dyn Debug| {
        let (one, other) = (format!("{one:?}"), format!("{other:?}"));
        (one != other).then(|| format!("its {what}: {one}; the run's: {other}"))
    };
    match (model, run) {
        (
            Task::Forecaster(model) | Task::Evaluation(model),
            Task::Forecaster(run) | Task::Evaluation(run),
        ) => differ("metrics", &&*model.metrics, &&*run.metrics)
            .or_else(|| differ("past steps", &model.past_steps, &run.past_steps))
            .or_else(|| differ("network", &model.network, &run.network))
            .or_else(|| differ("hidden layers", &&*model.hidden, &&*run.hidden))
            .or_else(|| differ("foreseen", &model.foresees, &run.foresees)),
        (Task::Flat { parameters: model }, Task::Flat { parameters: run }) => {
            differ("parameters", model, run)
        }
        (Task::Classifier(model), Task::Classifier(run)) => differ("inputs", &model.inputs, &run.inputs)
            .or_else(|| differ("classes", &model.classes, &run.classes))
            .or_else(|| differ("hidden layers", &&*model.hidden, &&*run.hidden)),
        (model, run) => Some(format!("it is {}, the run's is {}", kind(model), kind(run))),
    }
}

fn kind(task: &Task) -> &'static str {
    match task {
        Task::Forecaster(_) => "a forecaster",
        Task::Evaluation(_) => "an evaluated forecaster",
        Task::Classifier(_) => "a classifier",
        Task::Flat { .. } => "flat",
    }
}

fn list(store: &Store) -> Result<Vec<ListedModel>> {
    let aliases = store.state().aliases()?;
    let listed = |known: &Known| {
        let (updates, loss) = match &known.origin {
            Origin::Trained { record, .. } => (record.reports().count() as u32, Some(record.loss())),
            Origin::Initial(_) | Origin::Imported(_) => (0, None),
        };
        ListedModel {
            model: known.model.to_string(),
            aliases: aliases_of(known.model, &aliases).into_keys().collect(),
            origin: known.origin.kind(),
            at_ms: known.origin.at().millis(),
            run: known.origin.run().map(|entry| entry.run.to_string()),
            name: known.origin.name(),
            round: known.origin.round().0,
            updates,
            loss,
        }
    };
    Ok(known(store)?.iter().map(listed).collect())
}

fn show(store: &Store, wanted: Option<&str>, name: impl Fn(NodeId) -> String) -> Result<ModelView> {
    let (all, aliases) = (known(store)?, store.state().aliases()?);
    let found = find(&all, &aliases, wanted)?;
    let others = all.iter().filter(|other| other.model == found.model && !std::ptr::eq(*other, found));
    let also = others.map(|other| other.origin.to_string()).collect();
    let (file, problem) = match file(store, found.model) {
        Ok(file) => (Some(file), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    Ok(ModelView {
        model: found.model.to_string(),
        aliases: aliases_of(found.model, &aliases),
        origin: origin(store, &found.origin, name)?,
        also,
        file,
        problem,
    })
}

fn file(store: &Store, model: ModelHash) -> Result<FileView> {
    let described = store.models().describe(model)?;
    let task = task_of(&described.task)?;
    let schema = task.schema()?;
    let evaluated = match &task {
        Task::Evaluation(forecaster) => {
            let values = store.models().load(model, &schema)?;
            let (_, known) = Statistics::behind(forecaster, &forecaster.schema()?, &values)?;
            Some(evaluated(forecaster, &known))
        }
        _ => None,
    };
    Ok(FileView {
        bytes: described.bytes,
        parameters: schema.parameters() as u64,
        task: serde_json::from_str(&described.task)?,
        evaluated,
    })
}

/// What is known of all nodes, as far as the evaluation went.
fn evaluated(task: &Forecaster, known: &Statistics) -> EvaluatedView {
    let metric = |(index, name): (usize, &MetricName)| {
        let usual = known.usual(index);
        let errors = (task.foresees == Foresees::Record).then(|| known.errors(index));
        MetricView {
            metric: name.to_string(),
            known: known.known(index),
            mean: usual.map(|usual| usual.mean),
            sd: usual.map(|usual| usual.sd),
            error_mean: errors.map(|errors| errors.mean),
            error_sd: errors.map(|errors| errors.sd),
        }
    };
    let quantile = |quantile| Some(QuantileView { quantile, score: known.score_at(quantile)? });
    EvaluatedView {
        metrics: task.metrics.iter().enumerate().map(metric).collect(),
        scores: [0.5, 0.9, 0.99, 0.995, 0.999].into_iter().filter_map(quantile).collect(),
    }
}

fn origin(store: &Store, origin: &Origin, name: impl Fn(NodeId) -> String) -> Result<OriginView> {
    let config = |run| -> Result<RunConfig> { Ok(RunConfig::parse(&store.state().config(run)?)?) };
    let (entry, record) = match origin {
        Origin::Imported(imported) => {
            let (name, round, at_ms) = (imported.file.to_string(), imported.round.0, imported.at.millis());
            return Ok(OriginView::Imported { name, round, at_ms });
        }
        Origin::Initial(entry) => {
            let (run, name, at_ms) = (entry.run.to_string(), entry.name.to_string(), entry.created.millis());
            return Ok(OriginView::Initial { run, name, seed: config(entry.run)?.seed, at_ms });
        }
        Origin::Trained { entry, record } => (entry, record),
    };
    let config = config(entry.run)?;
    Ok(OriginView::Trained(Box::new(TrainedView {
        run: entry.run.to_string(),
        name: entry.name.to_string(),
        round: record.round.0,
        rounds: entry.rounds,
        attempt: AttemptView::of(record, name),
        at_ms: record.closed.millis(),
        loss: record.loss(),
        seed: config.seed,
        select: config.cohort.select,
        training: serde_json::to_value(config.training)?,
        strategy: serde_json::to_value(config.strategy)?,
    })))
}

fn promote(store: &Store, wanted: &str, alias: &Alias, dry_run: bool, now: Timestamp) -> Result<AliasView> {
    let aliases = store.state().aliases()?;
    let model = find(&known(store)?, &aliases, Some(wanted))?.model;
    store.models().check(model)?;
    let before = aliases.get(alias).and_then(|history| standing(history).last().map(|(_, model)| *model));
    if before != Some(model) && !dry_run {
        store.state().promote(alias, model, now)?;
    }
    let before = before.map(|model| model.to_string());
    Ok(AliasView { alias: alias.to_string(), model: model.to_string(), before, dry_run })
}

fn roll_back(store: &Store, alias: &Alias, dry_run: bool, now: Timestamp) -> Result<AliasView> {
    let aliases = store.state().aliases()?;
    let history = aliases.get(alias).with_context(|| {
        format!("nothing was promoted to `{alias}`; `coordinator model list` shows aliases")
    })?;
    let [.., (_, model), (_, before)] = standing(history)[..] else {
        bail!(crate::store::StoreError::NothingBefore(alias.clone()))
    };
    store.models().check(model)?;
    if !dry_run {
        store.state().roll_back(alias, now)?;
    }
    let before = Some(before.to_string());
    Ok(AliasView { alias: alias.to_string(), model: model.to_string(), before, dry_run })
}

/// Whether it was known before.
fn import(store: &Store, model: ModelHash, entry: &Imported) -> Result<bool> {
    store.models().check(model)?;
    let is_known = known(store)?.iter().any(|known| known.model == model);
    if !is_known {
        store.state().keep_imported(model, entry)?;
    }
    Ok(is_known)
}

#[cfg(test)]
mod tests;
