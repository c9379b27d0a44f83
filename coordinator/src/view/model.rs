//! Models, as people read them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AttemptView;

/// One model in a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ListedModel {
    /// Its hash, as hex; the file `models/<model>.sealed`.
    pub model: String,
    /// What names it now.
    pub aliases: Vec<String>,
    /// Where it comes from.
    pub origin: OriginKind,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The run that made it or begins with it.
    pub run: Option<String>,
    /// That run's name, or the name of the file that it was imported from.
    pub name: String,
    /// The round that made it; of an imported one what its file says.
    pub round: u32,
    /// Updates in it.
    pub updates: u32,
    /// Their mean training loss, weighted by samples.
    pub loss: Option<f64>,
}

/// Where a model comes from. Of one that comes from several, the last of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// A run began with it: drawn from the run's seed.
    Initial,
    /// A file was imported.
    Imported,
    /// A round made it.
    Trained,
}

/// One model: where it comes from, what names it, and what is in its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ModelView {
    /// Its hash, as hex; the file `models/<model>.sealed`.
    pub model: String,
    /// What names it now, and since when, in milliseconds since the Unix epoch.
    pub aliases: BTreeMap<String, u64>,
    /// Where it comes from.
    pub origin: OriginView,
    /// Where else it comes from: the same seed, data and participants give the same model.
    pub also: Vec<String>,
    /// What is in its file, when that can be read.
    pub file: Option<FileView>,
    /// Why it cannot.
    pub problem: Option<String>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum OriginView {
    /// A run began with it.
    Initial {
        /// The run's id.
        run: String,
        /// Its name.
        name: String,
        /// What it was drawn from.
        seed: u64,
        /// When, in milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// A file was imported.
    Imported {
        /// The file's name.
        name: String,
        /// The round that the file says it is of.
        round: u32,
        /// When, in milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// A round made it.
    Trained(Box<TrainedView>),
}

/// The round that made a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TrainedView {
    /// The run's id.
    pub run: String,
    /// Its name.
    pub name: String,
    /// The round, from 1.
    pub round: u32,
    /// Rounds that the run was to have.
    pub rounds: u32,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The attempt that made it: from which model, by which version, who took part, and who did not and why.
    pub attempt: AttemptView,
    /// Mean training loss of its updates, weighted by samples.
    pub loss: f64,
    /// The run's seed.
    pub seed: u64,
    /// The labels that nodes had to have.
    pub select: BTreeMap<String, String>,
    /// How nodes trained, as `[training]` of a run's configuration says it.
    pub training: Value,
    /// How their updates became the model, as `[strategy]` says it.
    pub strategy: Value,
}

/// What is in a model's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FileView {
    /// Its size.
    pub bytes: u64,
    /// Values in all tensors.
    pub parameters: u64,
    /// What it was trained for, as `[task]` of a run's configuration says it.
    pub task: Value,
    /// What an evaluation found out.
    pub evaluated: Option<EvaluatedView>,
}

/// What is known of the telemetry of all nodes, and of a model on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct EvaluatedView {
    /// Of each metric, in the order of the model.
    pub metrics: Vec<MetricView>,
    /// What scores stay below, of healthy telemetry; each up to a twelfth of an octave.
    pub scores: Vec<QuantileView>,
}

/// What is known of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MetricView {
    /// Its name.
    pub metric: String,
    /// Share of records that have a value of it.
    pub known: f64,
    /// Mean of all records, in its own unit.
    pub mean: Option<f64>,
    /// Standard deviation of all records.
    pub sd: Option<f64>,
    /// What its squared error in spreads is taken to be on a new node: the mean over nodes and 1.5 spreads between them.
    pub error_mean: Option<f64>,
    /// The same of the standard deviation of its squared error.
    pub error_sd: Option<f64>,
}

/// What a share of the scores stays below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct QuantileView {
    /// Which share.
    pub quantile: f64,
    /// The score.
    pub score: f64,
}

/// What an alias names, or would name, and what it named before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AliasView {
    /// The alias.
    pub alias: String,
    /// What it names.
    pub model: String,
    /// What it named before, if anything.
    pub before: Option<String>,
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
}

/// A model that was taken in from a file, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ImportedModel {
    /// Its hash, as hex; the file `models/<model>.sealed`.
    pub model: String,
    /// Whether it was here already.
    pub known: bool,
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
}

/// A model that was written to a file for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExportedModel {
    /// Its hash, as hex.
    pub model: String,
    /// The file that was written.
    pub file: String,
}
