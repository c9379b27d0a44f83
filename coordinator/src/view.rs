//! The one read model behind `run watch`, the listings and every JSON output.

mod compared;
mod explained;
pub mod model;
mod ordered;
mod roster;
pub mod tenant;
mod token;

pub use compared::{ComparedRuns, KeyDifference, RunResult, key_differences};
pub use explained::{AttemptView, ExplainedRound, Participation, ParticipationOutcome, StepView, UpdateView};
pub use ordered::{NodeOrder, Order, OrderedNode, OrderedRun, RunSize};
pub use roster::InstalledRoster;
pub use token::{IssuedToken, TokenStatus, TokenView, WaitingView};

use std::collections::BTreeMap;
use std::fmt;

use common::id::NodeId;
use common::known::{Known, Peer};
use common::units::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::round::{PhaseName, RoundRecord};

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
    /// The newest model, as hex; the file `models/<model>.sealed`.
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
    /// Its name on the roster.
    pub name: String,
    /// Its id.
    pub node: String,
    /// Whether it was heard lately.
    pub present: bool,
    /// What it says it is doing; `draining` and `drained` when it is to be in no new round, `away` when it is not there, `expired` when its
    /// certificate ended meanwhile.
    pub activity: String,
    /// Whether an operator took it out of selection.
    pub drained: bool,
    /// Until when the newest certificate is good that it was issued (RFC 3339).
    pub certified_until: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it says it is doing for each run.
    pub works: Vec<WorkView>,
    /// The run that made its model, if it says that its telemetry drifted from that.
    pub drifted: Option<String>,
    /// Of a node that waits for approval: what its operator needs to know.
    pub waiting: Option<WaitingView>,
}

/// What a node does for a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WorkView {
    /// The run's id.
    pub run: String,
    /// `fetching`, `waiting`, `training`, `uploading`, `declining`, `hanging`.
    pub activity: String,
    /// How far, in percent.
    pub progress: u8,
}

impl NodeView {
    /// An allowed node, and what it does in a word.
    pub fn of(node: NodeId, peer: &Peer, present: bool, activity: &str) -> Self {
        let (name, labels) = (peer.name.clone(), peer.labels.clone());
        Self {
            name,
            node: node.to_string(),
            present,
            activity: activity.to_owned(),
            labels,
            works: Vec::new(),
            drifted: None,
            drained: false,
            certified_until: None,
            waiting: None,
        }
    }
}

impl RoundView {
    /// A record as people read it, with these names for its nodes.
    pub fn of(record: &RoundRecord, bytes: Option<u64>, name: impl Fn(NodeId) -> String) -> Self {
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
            model: record.made().map_or_else(String::new, |made| made.model.to_string()),
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
    /// The run that `wanted` names: an id, the start of one, or a name. Of several that do, and when nothing is named,
    /// the one that goes on; the newest when none does.
    ///
    /// # Errors
    ///
    /// [`WhichRun`], when there is none, or more than one goes on.
    pub fn run(&self, wanted: Option<&str>) -> Result<&RunView, WhichRun> {
        let named =
            |run: &&RunView| wanted.is_none_or(|wanted| run.run.starts_with(wanted) || run.name == wanted);
        let named: Vec<&RunView> = self.runs.iter().filter(named).collect();
        let going_on: Vec<&RunView> =
            named.iter().filter(|run| run.status == RunStatus::Running).copied().collect();
        match (going_on.as_slice(), named.last(), wanted) {
            ([], Some(run), _) | ([run], ..) => Ok(run),
            ([], None, None) => Err(WhichRun::NoneYet),
            ([], None, Some(wanted)) => Err(WhichRun::Unknown(wanted.to_owned())),
            (several, ..) => {
                let names: Vec<_> = several.iter().map(|run| format!("{} {}", run.run, run.name)).collect();
                Err(WhichRun::Several(names.join(", ")))
            }
        }
    }
}

/// The node that `wanted` names: by its name, its id, or the start of that, if no other id begins so.
///
/// # Errors
///
/// [`WhichNode`], when there is none, or more than one.
pub fn node(nodes: &Known, wanted: &str) -> Result<NodeId, WhichNode> {
    if let Some((node, _)) = nodes.iter().find(|(_, peer)| peer.name == wanted) {
        return Ok(*node);
    }
    let mut found = nodes.keys().filter(|node| node.to_string().starts_with(wanted));
    match (found.next(), found.next()) {
        (None, _) => Err(WhichNode::Unknown(wanted.to_owned())),
        (Some(node), None) => Ok(*node),
        (Some(_), Some(_)) => Err(WhichNode::Several(wanted.to_owned())),
    }
}

/// No node is meant, or more than one may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhichNode {
    /// Nothing has this id or name.
    #[error("no node `{0}`; `coordinator node list` shows them")]
    Unknown(String),
    /// Several do.
    #[error("more than one node's id begins with `{0}`; write more of it")]
    Several(String),
}

/// No run is meant, or more than one may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhichRun {
    /// Nothing was started.
    #[error("there is no run yet; `coordinator run start` starts one")]
    NoneYet,
    /// Nothing has this id or name.
    #[error("no run `{0}`; `coordinator run list` shows them")]
    Unknown(String),
    /// Several go on.
    #[error("several runs go on; name one by its id, or as much of it as tells it apart: {0}")]
    Several(String),
}

#[cfg(test)]
mod tests {
    use common::crypto::Identity;
    use common::known;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_run_that_goes_on_is_meant_where_it_is_the_only_one() {
        let run = |id: &str, name: &str, status| RunView {
            run: id.to_owned(),
            name: name.to_owned(),
            status,
            ..RunView::default()
        };
        let mut view = View::default();
        let which = |view: &View, wanted| view.run(wanted).map(|run| run.run.clone());
        assert_eq!(which(&view, None), Err(WhichRun::NoneYet));
        view.runs = vec![
            run("aa01", "nightly", RunStatus::Finished),
            run("aa02", "nightly", RunStatus::Running),
            run("bb01", "weekly", RunStatus::Paused),
        ];
        for (wanted, expected) in
            [(None, "aa02"), (Some("nightly"), "aa02"), (Some("aa01"), "aa01"), (Some("weekly"), "bb01")]
        {
            assert_eq!(which(&view, wanted).as_deref(), Ok(expected), "{wanted:?}");
        }
        assert_eq!(which(&view, Some("cc")), Err(WhichRun::Unknown("cc".to_owned())));
        view.runs[2].status = RunStatus::Running;
        let several = which(&view, None).unwrap_err().to_string();
        assert!(several.ends_with("tells it apart: aa02 nightly, bb01 weekly"), "{several}");
        assert_eq!(which(&view, Some("weekly")).as_deref(), Ok("bb01"));
        view.runs.iter_mut().for_each(|run| run.status = RunStatus::Finished);
        assert_eq!(which(&view, None).as_deref(), Ok("bb01"));
        assert_eq!(which(&view, Some("aa")).as_deref(), Ok("aa02"));
    }

    #[test]
    fn a_node_is_named_by_its_name_before_the_start_of_its_id() {
        let key = |seed| *Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)).public();
        let [one, other] = [1, 2].map(|seed| key(seed).node_id());
        let named = other.to_string();
        let list = format!("{} {}\nweb-2 {}\n", &named[..9], key(1), key(2));
        let nodes = known::parse(&list).unwrap();
        let id = one.to_string();
        for (wanted, expected) in [(&named[..9], one), ("web-2", other), (&named, other), (&id[..9], one)] {
            assert_eq!(node(&nodes, wanted), Ok(expected), "{wanted}");
        }
        assert_eq!(node(&nodes, "web"), Err(WhichNode::Unknown("web".to_owned())));
        assert_eq!(node(&nodes, ""), Err(WhichNode::Several(String::new())));
    }
}
