//! Models, as people read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One model in a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedModel {
    /// Its hash, as hex; the file `models/<model>.safetensors`.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    /// Its hash, as hex; the file `models/<model>.safetensors`.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedView {
    /// The run's id.
    pub run: String,
    /// Its name.
    pub name: String,
    /// The round, from 1.
    pub round: u32,
    /// Rounds that the run was to have.
    pub rounds: u32,
    /// At which attempt, from 1.
    pub attempt: u32,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The model that the round started from.
    pub parent: String,
    /// The version of the coordinator that made it.
    pub code: String,
    /// Windows that its cohort learned from.
    pub samples: u64,
    /// Mean training loss of the cohort, weighted by these.
    pub loss: f64,
    /// The nodes whose updates are in it.
    pub cohort: Vec<ContributionView>,
    /// The selected nodes whose updates are not, and why.
    pub missing: BTreeMap<String, String>,
    /// The run's seed.
    pub seed: u64,
    /// The labels that nodes had to have.
    pub select: BTreeMap<String, String>,
    /// How nodes trained, as `[training]` of a run's configuration says it.
    pub training: Value,
    /// How their updates became the model, as `[strategy]` says it.
    pub strategy: Value,
}

/// One node's part in a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContributionView {
    /// The node's name.
    pub node: String,
    /// Windows that it learned from.
    pub weight: u64,
    /// Steps that its optimiser took.
    pub steps: u32,
    /// Its mean training loss.
    pub loss: f32,
    /// Euclidean norm of what it changed.
    pub delta_norm: f32,
}

/// What is in a model's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileView {
    /// Its size.
    pub bytes: u64,
    /// Values in all tensors.
    pub parameters: u64,
    /// What it was trained for, as `[task]` of a run's configuration says it.
    pub task: Value,
}

/// What an alias names now, and what it named before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasView {
    /// The alias.
    pub alias: String,
    /// What it names.
    pub model: String,
    /// What it named before, if anything.
    pub before: Option<String>,
    /// Whether something was written: not when it named that already, nor when it was only tried.
    pub changed: bool,
}
