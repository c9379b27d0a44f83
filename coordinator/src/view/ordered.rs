//! What was done with a run or a node, or would be.

use common::units::ByteCount;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RunStatus;

/// What was done with a run, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OrderedRun {
    /// What was ordered.
    pub order: Order,
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
    /// The run's id; none of one that would be started.
    pub run: Option<String>,
    /// Its name for people.
    pub name: String,
    /// How it stands afterwards.
    pub status: RunStatus,
    /// Rounds committed.
    pub rounds_done: u32,
    /// Rounds planned, afterwards.
    pub rounds: u32,
    /// Whether this run was started before with the same idempotency key, and nothing is done.
    pub repeated: bool,
    /// How large a run would be that would be started.
    pub size: Option<RunSize>,
}

/// What can be done with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Begin it.
    Start,
    /// Stop working on it for now.
    Pause,
    /// Go on with it.
    Resume,
    /// End it for good.
    Stop,
    /// Add rounds to it.
    Extend,
}

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunSize {
    /// Updates without which a round fails.
    pub minimum: u32,
    /// Updates that close a round.
    pub goal: u32,
    /// Nodes selected for a round, when there are enough.
    pub selected: u32,
    /// Nodes that may be selected: allowed, with the labels that are asked for.
    pub nodes_allowed: u32,
    /// Those of them that are there now.
    pub nodes_present: u32,
    /// Parameters of the model.
    pub parameters: u64,
    /// Bytes of a model on its way to its nodes, before sealing.
    pub model_bytes: u64,
    /// Bytes of one update, before sealing.
    pub update_bytes: u64,
    /// Bytes of a round: the model once, and an update of each selected node.
    pub round_bytes: u64,
    /// Bytes of the coordinator's memory that it takes at most.
    pub memory_bytes: u64,
}

/// What was done with a node, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OrderedNode {
    /// What was ordered.
    pub order: NodeOrder,
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
    /// Its name on the roster.
    pub name: String,
    /// Its id.
    pub node: String,
    /// Whether it is out of selection afterwards.
    pub drained: bool,
    /// What it does afterwards: `draining` while a round waits for it, then `drained`.
    pub activity: String,
}

/// What can be done with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeOrder {
    /// It is in no new round.
    Drain,
    /// It is in new rounds again.
    Undrain,
    /// It has another certificate.
    Renew,
}

impl OrderedNode {
    /// It in words, as people read it.
    pub fn lines(&self) -> Vec<String> {
        let Self { order, dry_run, name, activity, .. } = self;
        let word = match order {
            NodeOrder::Drain => "drain",
            NodeOrder::Undrain => "undrain",
            NodeOrder::Renew => "renew the certificate of",
        };
        if *dry_run {
            let first = format!("would {word} {name}; it would be {activity}");
            vec![first, "nothing was changed".to_owned()]
        } else {
            vec![format!("{name} is {activity}")]
        }
    }
}

impl RunSize {
    /// Several lines for people.
    pub fn lines(&self) -> Vec<String> {
        let Self { minimum, goal, selected, nodes_allowed, nodes_present, parameters, .. } = self;
        let missing = match (nodes_present < minimum, nodes_allowed < selected) {
            (true, _) => format!("; its first round waits until {minimum} are there"),
            (false, true) => "; each round asks all of them".to_owned(),
            (false, false) => String::new(),
        };
        let bytes = [self.model_bytes, self.update_bytes, self.round_bytes, self.memory_bytes];
        let [model, update, round, memory] = bytes.map(ByteCount);
        vec![
            format!("  a round asks {selected} nodes, closes with {goal} updates, needs {minimum}"),
            format!("  {nodes_allowed} nodes may be asked, {nodes_present} of them are there now{missing}"),
            format!(
                "  {parameters} parameters; {model} to the nodes, {update} back from each: {round} a round"
            ),
            format!("  takes {memory} of the coordinator's memory"),
        ]
    }
}

impl OrderedRun {
    /// What would be done, in words.
    pub fn prospect(&self) -> Vec<String> {
        let Self { name, rounds_done, rounds, .. } = self;
        let run = self.run.as_deref().unwrap_or_default();
        let first = match self.order {
            Order::Start if self.repeated => format!("would start nothing: run {run} has this key already"),
            Order::Start => format!("would start {name}: {rounds} rounds"),
            Order::Pause => format!("would pause run {run} after {rounds_done} of {rounds} rounds"),
            Order::Resume => format!("would go on with run {run} after {rounds_done} of {rounds} rounds"),
            Order::Stop => format!("would end run {run} for good after {rounds_done} of {rounds} rounds"),
            Order::Extend => format!("would extend run {run} to {rounds} rounds; {rounds_done} are done"),
        };
        let size = self.size.iter().flat_map(RunSize::lines);
        [first].into_iter().chain(size).chain(["nothing was changed".to_owned()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prospect_says_what_would_be_missing() {
        let size = RunSize {
            minimum: 2,
            goal: 3,
            selected: 4,
            nodes_allowed: 3,
            nodes_present: 1,
            parameters: 1000,
            model_bytes: 4100,
            update_bytes: 4020,
            round_bytes: 20_180,
            memory_bytes: 1_020_000,
        };
        assert!(
            size.lines()[1].ends_with("1 of them are there now; its first round waits until 2 are there")
        );
        let all = RunSize { nodes_present: 3, ..size };
        assert!(all.lines()[1].ends_with("3 of them are there now; each round asks all of them"));
        assert!(all.lines()[2].ends_with("4.1 kB to the nodes, 4.0 kB back from each: 20.1 kB a round"));
    }
}
