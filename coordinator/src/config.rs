//! The configuration files, parsed into types that cannot be wrong. Unknown keys are refused.

mod join;
mod relay;
mod selection;
mod strategy;
mod task;

pub use join::JoinConfig;
pub use relay::{Place, RelayConfig};
pub use selection::{beginning, evaluating, says_the_same, selecting};
pub use strategy::StrategyConfig;
pub use task::check_task;

use std::ops::RangeInclusive;

use common::crypto::Suite;
use common::known::Labels;
use common::limits::{CERTIFICATE_LIFETIME_S, COHORT_MAX, CONFIG_BYTES_MAX, CONTROLLED_PARAMETERS_MAX};
use common::message::model::{Optimizer, Plan};
use common::model::{EVALUATION_ROUNDS, Task};
use common::units::{ByteCount, Millis};
use serde::{Deserialize, Serialize};

use crate::quota::Quota;
use crate::round::Close;
use crate::strategy::Combine;

/// How long certificates may be good, in seconds: nodes are heard each second, and have to be before theirs ends.
const LIFETIMES_S: RangeInclusive<u64> = 5..=10 * 366 * 24 * 3600;

/// `coordinator.toml`; see `coordinator/samples/coordinator.toml` for the meaning of each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// Whose telemetry this coordinator works for.
    pub tenant: String,
    /// The cryptography of its fleet.
    #[serde(default)]
    pub suite: Suite,
    /// Where on the network it meets its nodes.
    pub dds: dds::Config,
    /// How much may be on its way.
    pub transfer: Transfer,
    /// How many runs go on at once.
    #[serde(default)]
    pub runs: Runs,
    /// The certificates of its nodes.
    #[serde(default)]
    pub certificates: Certificates,
    /// Where nodes join with a token.
    #[serde(default)]
    pub join: Option<JoinConfig>,
    /// Where the secret key lives.
    #[serde(default)]
    pub custody: custody::Config,
}

/// How much may be on its way, of all runs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Chunks without a receipt, to one reader.
    pub window_chunks: u32,
    /// Bytes still to come of all uploads that run at once.
    pub uploads_bytes: u64,
}

/// What all runs together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runs {
    /// Runs that go on at once.
    pub at_once: u32,
    /// Memory of them all, in millions of bytes.
    pub memory_mb: u64,
}

impl Default for Runs {
    fn default() -> Self {
        Self { at_once: 8, memory_mb: 8_000 }
    }
}

impl Runs {
    /// The same, as it is kept.
    pub fn quota(&self) -> Quota {
        Quota { at_once: self.at_once, memory: ByteCount(self.memory_mb.saturating_mul(1_000_000)) }
    }
}

/// The certificates of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Certificates {
    /// How long one is good, in seconds.
    pub lifetime_s: u64,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { lifetime_s: CERTIFICATE_LIFETIME_S }
    }
}

impl Certificates {
    /// How long one is good.
    pub fn lifetime(&self) -> Millis {
        Millis(self.lifetime_s.saturating_mul(1000))
    }
}

/// `run.toml`; see `coordinator/samples/run.toml` for the meaning of each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// A name for people.
    pub name: String,
    /// Seeds every random choice.
    pub seed: u64,
    /// Rounds to train.
    pub rounds: u32,
    /// The model that it begins with, instead of one drawn from the seed.
    pub from: Option<String>,
    /// Who takes part.
    pub cohort: Cohort,
    /// How long each phase may take.
    pub deadlines: Deadlines,
    /// How nodes train.
    pub training: Training,
    /// How their updates become the next model.
    #[serde(default)]
    pub strategy: StrategyConfig,
    /// What they train.
    pub task: Task,
}

/// Who takes part in a round.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cohort {
    /// Updates without which a round fails.
    pub minimum: u32,
    /// Updates that close a round.
    pub goal: u32,
    /// Nodes selected for each update wanted.
    pub over_selection: f64,
    /// Whether stragglers are waited for.
    #[serde(default)]
    pub close: Close,
    /// Rounds after its own in which a straggler's update still counts.
    #[serde(default)]
    pub staleness_max: u32,
    /// Only nodes with these labels.
    #[serde(default)]
    pub select: Labels,
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// Waiting for nodes.
    pub selection_ms: u64,
    /// Nodes fetching the model.
    pub configuration_ms: u64,
    /// Training and uploading.
    pub reporting_ms: u64,
    /// Writing the result.
    pub committing_ms: u64,
    /// Tries of one round.
    pub attempts: u32,
}

/// How nodes train.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the telemetry in one round.
    pub epochs: u32,
    /// Windows in one optimiser step.
    pub batch: u32,
    /// How a node's parameters step along a gradient.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Its step size.
    pub learning_rate: f32,
    /// How strongly a node is held near the round's model.
    #[serde(default)]
    pub proximal: f32,
    /// Records between the starts of two training windows.
    pub stride: u32,
}

/// A configuration that cannot be used; says which key and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, a missing or an unknown key, a wrong type. The text has line and column.
    #[error("{0}")]
    Parse(String),
    /// A value that cannot be.
    #[error("`{key}` {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Too much text.
    #[error("more than {CONFIG_BYTES_MAX} bytes")]
    TooLong,
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ConfigError> {
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLong);
    }
    toml::from_str(text).map_err(|error| ConfigError::Parse(error.to_string().trim_end().to_owned()))
}

fn require(holds: bool, key: &'static str, problem: impl Into<String>) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Value { key, problem: problem.into() }) }
}

impl CoordinatorConfig {
    /// Reads `coordinator.toml`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names line or key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse(text)?;
        require(!config.tenant.is_empty(), "tenant", "is empty")?;
        require(
            config.dds.domain <= dds::DOMAIN_MAX,
            "dds.domain",
            "is over 231, the last domain with ports for all",
        )?;
        require(
            (1..=256).contains(&config.transfer.window_chunks),
            "transfer.window_chunks",
            "is not within 1 to 256",
        )?;
        require((1..=64).contains(&config.runs.at_once), "runs.at_once", "is not within 1 to 64")?;
        require(config.runs.memory_mb >= 1, "runs.memory_mb", "is 0")?;
        require(
            LIFETIMES_S.contains(&config.certificates.lifetime_s),
            "certificates.lifetime_s",
            "is not within 5 s and ten years",
        )?;
        Ok(config)
    }
}

impl RunConfig {
    /// Reads `run.toml`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names line or key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = parse(text)?;
        let Cohort { minimum, goal, over_selection, .. } = config.cohort;
        require(config.rounds >= 1, "rounds", "is 0: a run has at least one round")?;
        require(minimum >= 1, "cohort.minimum", "is 0: a round needs an update")?;
        require(goal >= minimum, "cohort.goal", format!("is {goal}, less than the minimum of {minimum}"))?;
        require(
            over_selection >= 1.0 && f64::from(goal) * over_selection <= COHORT_MAX as f64,
            "cohort.over_selection",
            format!("must be at least 1 and select at most {COHORT_MAX} nodes"),
        )?;
        require(config.deadlines.attempts >= 1, "deadlines.attempts", "is 0: every round is tried once")?;
        require(config.training.batch >= 1, "training.batch", "is 0")?;
        require(config.training.stride >= 1, "training.stride", "is 0")?;
        let rate = config.training.learning_rate;
        require(rate.is_finite() && rate > 0.0, "training.learning_rate", "is not a positive number")?;
        let proximal = config.training.proximal;
        require(proximal.is_finite() && proximal >= 0.0, "training.proximal", "must be 0 or more")?;
        let strategy = config.strategy.parse(minimum)?;
        let plain = config.training.optimizer == Optimizer::Sgd && proximal == 0.0;
        // With others a step is not one gradient, and nodes that took more of them did not go so much farther.
        require(
            strategy.combine != Combine::NormalizedMean || plain,
            "strategy.combine",
            "of kind normalized_mean needs `training.optimizer = \"sgd\"` without `training.proximal`",
        )?;
        require(
            !strategy.combine.has_control() || plain,
            "strategy.combine",
            "of kind scaffold needs `training.optimizer = \"sgd\"` without `training.proximal`: it corrects plain \
             gradients",
        )?;
        require(
            !strategy.combine.has_control() || config.cohort.staleness_max == 0,
            "strategy.combine",
            "of kind scaffold needs `cohort.staleness_max = 0`: control variates are of one round",
        )?;
        check_task(&config.task)?;
        // What moments of nodes combine to are moments; somewhere on the way there, they are none.
        let is_evaluation = matches!(&config.task, Task::Evaluation(_));
        let moments = config.task.forecaster().filter(|task| is_evaluation || task.network.is_closed_form());
        require(
            moments.is_none() || strategy.is_direct() && config.cohort.staleness_max == 0,
            if is_evaluation { "task.kind" } else { "task.network" },
            format!(
                "{} needs a server of kind sgd with a learning rate of 1, no `strategy.clip_norm`, a `combine` other than \
                 normalized_mean and scaffold, and `cohort.staleness_max = 0`",
                if is_evaluation { "evaluation" } else { "in closed form" }
            ),
        )?;
        require(
            !is_evaluation || config.rounds == EVALUATION_ROUNDS,
            "rounds",
            format!("is {}: an evaluation has {EVALUATION_ROUNDS}", config.rounds),
        )?;
        require(
            !is_evaluation || config.from.is_some(),
            "from",
            "is missing: an evaluation is of a model (`run start --evaluate MODEL` names one)",
        )?;
        let parameters = config.task.schema().map_or(0, |schema| schema.parameters());
        require(
            !strategy.combine.has_control() || parameters as u64 <= CONTROLLED_PARAMETERS_MAX,
            "strategy.combine",
            format!("of kind scaffold takes models of at most {CONTROLLED_PARAMETERS_MAX} parameters"),
        )?;
        Ok(config)
    }

    /// What every node of the run is told.
    pub fn plan(&self) -> Plan {
        let Training { epochs, batch, optimizer, learning_rate, proximal, stride } = self.training;
        let (task, seed, rounds) = (self.task.clone(), self.seed, self.rounds);
        let control = self.strategy.has_control();
        Plan { task, epochs, batch, optimizer, learning_rate, proximal, stride, seed, rounds, control }
    }
}

impl Deadlines {
    /// The longest that a node may work on an announcement: fetching, training and uploading.
    pub fn announced(&self) -> Millis {
        Millis(self.configuration_ms.saturating_add(self.reporting_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COORDINATOR: &str = include_str!("../samples/coordinator.toml");
    const RUN: &str = include_str!("../samples/run.toml");

    #[test]
    fn the_sample_files_are_what_the_code_reads() {
        let coordinator = CoordinatorConfig::parse(COORDINATOR).unwrap();
        assert_eq!((coordinator.tenant.as_str(), coordinator.runs), ("default", Runs::default()));
        let plan = RunConfig::parse(RUN).unwrap().plan();
        assert_eq!((plan.rounds, plan.batch, plan.stride), (20, 64, 4));
        assert_eq!((plan.optimizer, plan.proximal.to_bits()), (Optimizer::Adam, 0));
    }

    #[test]
    fn the_strategy_in_comments_of_the_sample_is_what_the_code_reads() {
        let from = RUN.find("# [strategy]").unwrap();
        let (before, rest) = RUN.split_at(from);
        let (commented, after) = rest.split_at(rest.find("\n\n").unwrap());
        let keys: Vec<&str> = commented.lines().map(|line| line.trim_start_matches("# ")).collect();
        let config = RunConfig::parse(&format!("{before}{}{after}", keys.join("\n"))).unwrap();
        let strategy = config.strategy.parse(config.cohort.minimum).unwrap();
        assert!(strategy.clip_norm.is_some() && strategy.combine != Combine::Mean);
    }

    #[test]
    fn a_coordinator_that_says_nothing_of_runs_has_the_quota_of_the_sample() {
        let (before, _) = COORDINATOR.split_once("[runs]").unwrap();
        assert_eq!(CoordinatorConfig::parse(before).unwrap().runs, Runs::default());
        let many = format!("{before}[runs]\nat_once = 65");
        let error = CoordinatorConfig::parse(&many).unwrap_err().to_string();
        assert_eq!(error, "`runs.at_once` is not within 1 to 64");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let error = RunConfig::parse(&format!("surprise = 1\n{RUN}")).unwrap_err().to_string();
        assert!(error.contains("surprise") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_key() {
        let cases = [
            ("minimum = 2", "minimum = 6", "`cohort.goal` is 5, less than the minimum of 6"),
            ("rounds = 20", "rounds = 0", "`rounds` is 0: a run has at least one round"),
            ("batch = 64", "batch = 0", "`training.batch` is 0"),
            ("past_steps = 19", "past_steps = 0", "`task.past_steps` is 0"),
            ("proximal = 0.0", "proximal = -0.5", "`training.proximal` must be 0 or more"),
            (
                "[task]",
                "[strategy]\ncombine = { kind = \"normalized_mean\" }\n[task]",
                "`strategy.combine` of kind normalized_mean needs `training.optimizer = \"sgd\"` without \
                 `training.proximal`",
            ),
            (
                "[task]",
                "[strategy]\ncombine = { kind = \"scaffold\" }\n[task]",
                "`strategy.combine` of kind scaffold needs `training.optimizer = \"sgd\"` without \
                 `training.proximal`: it corrects plain gradients",
            ),
        ];
        for (before, after, message) in cases {
            assert_eq!(RunConfig::parse(&RUN.replace(before, after)).unwrap_err().to_string(), message);
        }
    }
}
