//! Two runs side by side: where their configurations differ, and what came of each.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Table;

use super::{RunStatus, RunView};

/// Two runs, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ComparedRuns {
    /// What came of the first.
    pub a: RunResult,
    /// What came of the second.
    pub b: RunResult,
    /// The keys of their configurations that differ, in the order of their names: `training.batch`.
    pub config: Vec<KeyDifference>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunResult {
    /// Its id.
    pub run: String,
    /// Its name for people.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// Rounds committed.
    pub rounds_done: u32,
    /// Mean training loss in its newest round.
    pub loss: Option<f64>,
    /// The lowest that this was in any round.
    pub loss_best: Option<f64>,
    /// All its rounds together, in milliseconds.
    pub wall_ms: f64,
    /// Updates in its models, all rounds together.
    pub updates: u32,
    /// Selected nodes whose update is not in a model, all rounds together.
    pub missing: u32,
    /// Its newest model, as hex.
    pub model: Option<String>,
}

/// A key of a configuration, and what each of two runs has there; null where it has nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct KeyDifference {
    /// The key, with those of the tables around it: `training.batch`.
    pub key: String,
    /// Of the first run.
    pub a: Value,
    /// Of the second run.
    pub b: Value,
}

impl RunResult {
    /// What a view tells of it.
    pub fn of(run: &RunView) -> Self {
        let losses = || run.history.iter().map(|round| round.loss);
        Self {
            run: run.run.clone(),
            name: run.name.clone(),
            status: run.status,
            rounds_done: run.rounds_done,
            loss: losses().next_back(),
            loss_best: losses().min_by(f64::total_cmp),
            wall_ms: run.history.iter().map(|round| round.wall_ms).sum(),
            updates: run.history.iter().map(|round| round.updates).sum(),
            missing: run.history.iter().map(|round| round.rejected.len() as u32).sum(),
            model: run.model.clone(),
        }
    }
}

/// The keys of two configurations that differ.
pub fn key_differences(a: &Table, b: &Table) -> Vec<KeyDifference> {
    let (a, b) = (flat(a), flat(b));
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |of: &BTreeMap<String, Value>, key: &String| of.get(key).cloned().unwrap_or_default();
    let both = keys.into_iter().map(|key| (key, value(&a, key), value(&b, key)));
    both.filter(|(_, a, b)| a != b).map(|(key, a, b)| KeyDifference { key: key.clone(), a, b }).collect()
}

/// Each value by the path of keys that leads to it. A list is one value.
fn flat(table: &Table) -> BTreeMap<String, Value> {
    let mut flat_table = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                let inner = flat(inner).into_iter();
                flat_table.extend(inner.map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            // What has no form in JSON, as a number that is none, is told as TOML writes it.
            value => {
                let json = serde_json::to_value(value).unwrap_or_else(|_| value.to_string().into());
                flat_table.insert(key.clone(), json);
            }
        }
    }
    flat_table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_or_are_in_one_only_are_told_by_their_path() {
        let a = "rounds = 3\nname = \"x\"\n[task]\nkind = \"flat\"\n[cohort]\nselect = { rack = \"A\" }";
        let b = "rounds = 4\nname = \"x\"\n[task]\nkind = \"flat\"\nhidden = [3, 4]";
        let found = key_differences(&a.parse().unwrap(), &b.parse().unwrap());
        let found: Vec<String> = found.iter().map(|key| format!("{} {} {}", key.key, key.a, key.b)).collect();
        assert_eq!(found, ["cohort.select.rack \"A\" null", "rounds 3 4", "task.hidden null [3,4]"]);
        assert_eq!(key_differences(&a.parse().unwrap(), &a.parse().unwrap()), []);
    }
}
