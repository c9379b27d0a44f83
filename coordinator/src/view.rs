//! The one read model behind `run watch`, the listings and every JSON output.

mod compared;
mod explained;
pub mod model;
mod ordered;

pub use compared::{ComparedRuns, KeyDifference, RunResult, key_differences};
pub use explained::{AttemptView, ExplainedRound, Participation, ParticipationOutcome, StepView, UpdateView};
pub use ordered::{Order, OrderedRun, RunSize};

use std::collections::BTreeMap;
use std::fmt;

use common::id::NodeId;
use common::units::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::round::{PhaseName, RoundOutcome, RoundRecord};

/// Everything a person may ask a coordinator. Written by the driver, read by anyone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct View {
    /// All runs, the newest last.
    pub runs: Vec<RunView>,
    /// All allowed nodes.
    pub nodes: Vec<NodeView>,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// Its name for people.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// Why it stands so, when it failed.
    pub reason: Option<String>,
    /// Rounds committed.
    pub rounds_done: u32,
    /// Rounds planned.
    pub rounds: u32,
    /// The newest model, as hex; the file `models/<model>.safetensors`.
    pub model: Option<String>,
    /// The round going on.
    pub current: Option<CurrentRound>,
    /// The rounds committed, oldest first.
    pub history: Vec<RoundView>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Rounds are going on.
    #[default]
    Running,
    /// All rounds are done.
    Finished,
    /// It ended early.
    Failed,
    /// It goes on when it is resumed.
    Paused,
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Paused => "paused",
        })
    }
}

/// A round going on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CurrentRound {
    /// Its number, from 1.
    pub round: u32,
    /// Its phase.
    pub phase: String,
    /// Milliseconds until the phase's deadline.
    pub deadline_ms: u64,
    /// Milliseconds since the phase began.
    pub phase_ms: u64,
    /// Milliseconds since this attempt at the round began.
    pub round_ms: u64,
    /// Updates in.
    pub updates: u32,
    /// Updates without which the round fails.
    pub minimum: u32,
    /// Updates that close the round.
    pub goal: u32,
    /// Bytes of models sent and updates received so far.
    pub bytes: u64,
    /// What each selected node is doing, by name.
    pub cohort: BTreeMap<String, MemberView>,
}

/// A selected node in the round going on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MemberView {
    /// What it does: `fetching`, `waiting`, `training`, `queued`, `uploading`, `done`, `rejected: ...`.
    pub state: String,
    /// How far, in percent.
    pub progress: u8,
    /// Bytes of its update that have arrived.
    pub bytes: u64,
    /// Its training loss, once its update is in.
    pub loss: Option<f32>,
    /// The Euclidean norm of its update, once that is in.
    pub norm: Option<f32>,
}

/// A committed round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RoundView {
    /// Its number, from 1.
    pub round: u32,
    /// Updates in its model.
    pub updates: u32,
    /// Mean training loss of these updates, weighted by samples.
    pub loss: f64,
    /// Mean Euclidean norm of these updates, weighted by samples.
    pub update_norm: f64,
    /// When it was announced to its cohort, in milliseconds since the Unix epoch.
    pub announced_ms: f64,
    /// From its begin to its commit, in milliseconds.
    pub wall_ms: f64,
    /// The same, by phase.
    pub phase_ms: BTreeMap<String, f64>,
    /// Bytes of models sent and updates received; not kept over a restart.
    pub bytes: Option<u64>,
    /// The model it made, as hex.
    pub model: String,
    /// Nodes whose updates are not in it, and why.
    pub rejected: BTreeMap<String, String>,
}

/// An allowed node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NodeView {
    /// Its name in the allow-list.
    pub name: String,
    /// Its id.
    pub node: String,
    /// Whether it was heard lately.
    pub present: bool,
    /// What it says it is doing.
    pub activity: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl RoundView {
    /// A record as people read it, with these names for its nodes.
    pub fn of(record: &RoundRecord, bytes: Option<u64>, name: impl Fn(NodeId) -> String) -> Self {
        let model = match &record.outcome {
            RoundOutcome::Committed(made) => made.model.to_string(),
            RoundOutcome::Aborted(_) => String::new(),
        };
        let phase_ms = phase_ms(record);
        Self {
            round: record.round.0,
            announced_ms: millis(announced(record).0),
            updates: record.reports().count() as u32,
            loss: record.loss(),
            update_norm: record.update_norm(),
            wall_ms: phase_ms.values().sum(),
            phase_ms,
            bytes,
            model,
            rejected: record.missing().map(|(node, outcome)| (name(node), outcome.to_string())).collect(),
        }
    }
}

/// How long each phase took, in milliseconds.
fn phase_ms(record: &RoundRecord) -> BTreeMap<String, f64> {
    record.phase_micros().map(|(phase, micros)| (phase.to_string(), millis(micros))).collect()
}

/// When the cohort was told; zero when none was.
fn announced(record: &RoundRecord) -> Timestamp {
    let announced = record.phases.iter().find(|began| began.phase == PhaseName::Configuration);
    announced.map_or(Timestamp::default(), |began| began.at)
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

impl View {
    /// The run that `wanted` names: an id, the start of one, a name, or the newest when nothing is named.
    pub fn run(&self, wanted: Option<&str>) -> Option<&RunView> {
        let Some(wanted) = wanted else { return self.runs.last() };
        let named = |run: &&RunView| run.run.starts_with(wanted) || run.name == wanted;
        self.runs.iter().rev().find(named)
    }
}
