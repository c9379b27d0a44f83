//! The options that say who the nodes are and what they learn from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use common::id::NodeId;
use common::known::{Known, Labels, Peer};
use common::model::{Classifier, Task};
use common::roster::Roster;
use coordinator::config::RunConfig;
use ingest::{Format, Interval};
use node::config::NodeConfig;
use node::learn::LabelledSet;

use crate::partition::Partition;
use crate::population::Population;
use crate::telemetry::Reading;
use crate::{images, synthetic, telemetry};

/// Examples that are made up to measure with.
const TEST_EXAMPLES: usize = 1000;

/// Who the nodes are and what they learn from.
#[derive(Args)]
pub(super) struct Choice {
    /// How many nodes there are.
    #[arg(long, value_name = "N", required_unless_present = "telemetry", conflicts_with = "telemetry")]
    nodes: Option<usize>,
    /// A folder with a file of telemetry a node: NAME.csv or NAME.csv.gz is what the node NAME learns from.
    #[arg(long, value_name = "DIR")]
    telemetry: Option<PathBuf>,
    /// The column that holds the time; without it, records are `--interval-s` apart.
    #[arg(long, value_name = "NAME", requires = "telemetry")]
    timestamp_column: Option<String>,
    /// Seconds between two records of a file without timestamps.
    #[arg(long, default_value_t = 60.0, requires = "telemetry")]
    interval_s: f64,
    /// A node.toml, whose stages and preparation hold for all nodes; without it, those that `node init` writes.
    #[arg(long, value_name = "FILE", requires = "telemetry")]
    node_config: Option<PathBuf>,
    /// The coordinator's `roster` (nobody looks at its signature here): nodes with telemetry have the ids and labels that it says, and so the cohorts are
    /// those that this coordinator would select.
    #[arg(long, value_name = "FILE", requires = "telemetry")]
    roster: Option<PathBuf>,
    /// A folder with images and labels in the files of MNIST, plain or gzip, which the nodes share.
    #[arg(long, value_name = "DIR", conflicts_with = "telemetry")]
    images: Option<PathBuf>,
    /// How examples with a class are divided among the nodes.
    #[arg(long, value_enum, default_value_t)]
    partition: Division,
    /// Of `--partition dirichlet`: the smaller, the fewer classes a node has.
    #[arg(long, default_value_t = 0.5)]
    alpha: f64,
    /// Examples that are made up for each node, without telemetry and images.
    #[arg(long, value_name = "N", default_value_t = 100)]
    samples: usize,
}

/// How examples with a class are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Division {
    /// Shuffled and dealt out.
    #[default]
    Iid,
    /// Sorted by class and cut into two pieces a node.
    Shards,
    /// Of classes in proportions that are drawn for each node.
    Dirichlet,
}

/// The nodes that a run selects from, their ids, and how many there are on the coordinator's list; what is left out is
/// handed to `tell`.
pub(super) fn gather(
    options: &Choice,
    config: &RunConfig,
    tell: &mut dyn FnMut(String),
) -> Result<(Population, Vec<NodeId>, usize)> {
    let plan = config.plan();
    let nodes = options.nodes.unwrap_or_default();
    let list = List::read(options, config)?;
    let population = match (plan.task, &options.telemetry, &options.images) {
        (Task::Forecaster(task), Some(dir), _) => {
            let is_wanted = |name: &str| list.selects(name);
            telemetry::read(dir, &task, plan.stride, &reading(options)?, &is_wanted, tell)?
        }
        (Task::Classifier(task), None, images) => {
            let (training, test) = labelled(options, &task, images.as_deref(), nodes, plan.seed)?;
            let parts = partition(options).divide(training.labels(), nodes, plan.seed)?;
            let training = Arc::new(training);
            let shares = parts.into_iter().map(|part| training.share(part)).collect();
            Population::with_shares(task, shares, Arc::new(test).whole())
        }
        (Task::Forecaster(task), None, None) => Population::with_windows_of(&task, nodes, |node| {
            synthetic::windows(&task, options.samples, plan.seed, node)
        }),
        (Task::Flat { .. }, None, None) => Population::with_nothing(nodes),
        (Task::Evaluation(_), ..) => bail!("a task of kind \"evaluation\" trains nothing to be simulated"),
        (_, Some(_), _) => bail!("--telemetry is for a task of kind \"forecaster\""),
        (_, None, Some(_)) => bail!("--images is for a task of kind \"classifier\""),
    };
    let ids: Vec<NodeId> = population.names().iter().map(|name| list.id(name)).collect();
    let candidates = list.selected().unwrap_or(ids.len());
    Ok((population, ids, candidates))
}

/// The coordinator's list of nodes, if there is one, and the labels of those that a run selects from.
struct List {
    known: Option<Known>,
    select: Labels,
}

impl List {
    fn read(options: &Choice, config: &RunConfig) -> Result<Self> {
        let select = config.cohort.select.clone();
        let Some(file) = &options.roster else {
            ensure!(select.is_empty(), "`cohort.select` needs --roster, which has the labels");
            return Ok(Self { known: None, select });
        };
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let roster = Roster::read(&text).with_context(|| file.display().to_string())?;
        Ok(Self { known: Some(roster.nodes), select })
    }

    fn find(&self, name: &str) -> Option<(&NodeId, &Peer)> {
        self.known.iter().flatten().find(|(_, peer)| peer.name == name)
    }

    /// Whether the run selects from nodes that include this one.
    fn selects(&self, name: &str) -> Result<bool> {
        match (&self.known, self.find(name)) {
            (None, _) => Ok(true),
            (Some(_), Some((_, peer))) => Ok(peer.has(&self.select)),
            (Some(_), None) => bail!("--roster does not name `{name}`"),
        }
    }

    /// Nodes of the list that the run selects from, with telemetry here or without.
    fn selected(&self) -> Option<usize> {
        let known = self.known.as_ref()?;
        Some(known.values().filter(|peer| peer.has(&self.select)).count())
    }

    /// Its id: that of its key, or of a virtual node of this name.
    fn id(&self, name: &str) -> NodeId {
        self.find(name).map_or_else(|| id_of(name), |(id, _)| *id)
    }
}

/// The id of a node without a key.
fn id_of(name: &str) -> NodeId {
    NodeId(blake3::derive_key("starling 2026 id of a virtual node", name.as_bytes()))
}

fn reading(options: &Choice) -> Result<Reading> {
    let interval_s = Interval::try_from(options.interval_s).context("--interval-s")?;
    let format = Format { timestamp_column: options.timestamp_column.clone(), interval_s };
    let Some(file) = &options.node_config else {
        return Ok(Reading { format, ..Reading::default() });
    };
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let NodeConfig { stages, preparation, .. } =
        NodeConfig::parse(&text).with_context(|| file.display().to_string())?;
    Ok(Reading { format, stages, preparation })
}

fn partition(options: &Choice) -> Partition {
    match options.partition {
        Division::Iid => Partition::Iid,
        Division::Shards => Partition::Shards,
        Division::Dirichlet => Partition::Dirichlet { alpha: options.alpha },
    }
}

/// What the nodes share, and what none of them has.
fn labelled(
    options: &Choice,
    task: &Classifier,
    images: Option<&Path>,
    nodes: usize,
    seed: u64,
) -> Result<(LabelledSet, LabelledSet)> {
    let Some(dir) = images else {
        let count = nodes.checked_mul(options.samples).context("--samples: they are too many")?;
        let all = synthetic::labelled(task, count + TEST_EXAMPLES, seed)?;
        return Ok(all.split_at(count));
    };
    let images = images::read(dir, task.classes)?;
    let inputs = images.training.inputs();
    ensure!(
        inputs == task.inputs,
        "the images of {} have {inputs} pixels, and `task.inputs` is {}",
        dir.display(),
        task.inputs
    );
    Ok((images.training, images.test))
}
