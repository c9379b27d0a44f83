//! `[strategy]` of a run's configuration.

use common::limits::WEIGHT_MAX;
use serde::{Deserialize, Serialize};

use super::{ConfigError, require};
use crate::strategy::{Combine, Robust, SecondMoment, Server, Staleness, Strategy};

/// How updates become the next model; what is not said is as in FedAvg.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyConfig {
    /// Samples that an update weighs at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_cap: Option<u64>,
    /// What an update counts that comes a round or more after its own.
    #[serde(default)]
    staleness: Staleness,
    /// Euclidean norm to which longer updates are scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
    /// How updates become one.
    #[serde(default)]
    combine: CombineConfig,
    /// How that moves the model.
    #[serde(default)]
    server: ServerConfig,
}

// With braces: serde takes unknown keys beside a variant that has none.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum CombineConfig {
    Mean {},
    NormalizedMean {},
    Scaffold {},
    Median {},
    TrimmedMean { share: f64 },
    Krum { byzantine: u32 },
    MultiKrum { byzantine: u32, keep: u32 },
    Bulyan { byzantine: u32 },
    GeometricMedian {},
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum ServerConfig {
    Sgd { learning_rate: f64 },
    Momentum { learning_rate: f64, momentum: f64 },
    Adagrad { learning_rate: f64, beta_1: f64, tau: f64 },
    Adam { learning_rate: f64, beta_1: f64, beta_2: f64, tau: f64 },
    Yogi { learning_rate: f64, beta_1: f64, beta_2: f64, tau: f64 },
}

impl Default for CombineConfig {
    fn default() -> Self {
        Self::Mean {}
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::Sgd { learning_rate: 1.0 }
    }
}

impl StrategyConfig {
    /// Whether nodes keep control variates.
    pub fn has_control(&self) -> bool {
        self.combine.parse().has_control()
    }

    /// The strategy of rounds that have at least so many updates.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Value`] names the key.
    pub fn parse(&self, minimum: u32) -> Result<Strategy, ConfigError> {
        let weight_cap = self.weight_cap.unwrap_or(WEIGHT_MAX);
        require(
            (1..=WEIGHT_MAX).contains(&weight_cap),
            "strategy.weight_cap",
            format!("must be from 1 to {WEIGHT_MAX}"),
        )?;
        self.clip_norm.map_or(Ok(()), |most| positive(most, "strategy.clip_norm"))?;
        let combine = self.combine.parse();
        if let Combine::Robust(Robust::TrimmedMean { share }) = combine {
            require(
                (0.0..0.5).contains(&share),
                "strategy.combine.share",
                "must be from 0 to less than 0.5: it is left out at both ends",
            )?;
        }
        if let Combine::Robust(Robust::MultiKrum { keep, .. }) = combine {
            require(keep >= 1, "strategy.combine.keep", "is 0")?;
        }
        let needs = combine.needs();
        require(
            minimum >= needs,
            "strategy.combine",
            format!("needs {needs} updates, and `cohort.minimum` is {minimum}"),
        )?;
        let server = self.server.parse()?;
        if combine.has_control() {
            let plain = matches!(server, Server::Sgd { .. }) && self.clip_norm.is_none();
            require(
                plain && self.weight_cap.is_none(),
                "strategy.combine",
                "of kind scaffold goes with a server of kind sgd, and without `clip_norm` and `weight_cap`: control \
                 variates are of whole updates that count alike",
            )?;
        }
        let Self { clip_norm, staleness, .. } = *self;
        Ok(Strategy { weight_cap, clip_norm, staleness, combine, server })
    }
}

fn positive(value: f64, key: &'static str) -> Result<(), ConfigError> {
    require(value.is_finite() && value > 0.0, key, "is not a positive number")
}

/// How much of what was is kept.
fn decay(value: f64, key: &'static str) -> Result<(), ConfigError> {
    require((0.0..1.0).contains(&value), key, "must be from 0 to less than 1")
}

impl ServerConfig {
    fn parse(self) -> Result<Server, ConfigError> {
        let server = match self {
            Self::Sgd { learning_rate } => Server::Sgd { learning_rate },
            Self::Momentum { learning_rate, momentum } => Server::Momentum { learning_rate, momentum },
            Self::Adagrad { learning_rate, beta_1, tau } => {
                Server::Adaptive { rule: SecondMoment::Adagrad, learning_rate, beta_1, tau }
            }
            Self::Adam { learning_rate, beta_1, beta_2, tau } => {
                Server::Adaptive { rule: SecondMoment::Adam { beta_2 }, learning_rate, beta_1, tau }
            }
            Self::Yogi { learning_rate, beta_1, beta_2, tau } => {
                Server::Adaptive { rule: SecondMoment::Yogi { beta_2 }, learning_rate, beta_1, tau }
            }
        };
        let (Server::Sgd { learning_rate }
        | Server::Momentum { learning_rate, .. }
        | Server::Adaptive { learning_rate, .. }) = server;
        positive(learning_rate, "strategy.server.learning_rate")?;
        if let Server::Momentum { momentum, .. } = server {
            decay(momentum, "strategy.server.momentum")?;
        }
        if let Server::Adaptive { rule, beta_1, tau, .. } = server {
            decay(beta_1, "strategy.server.beta_1")?;
            positive(tau, "strategy.server.tau")?;
            if let SecondMoment::Adam { beta_2 } | SecondMoment::Yogi { beta_2 } = rule {
                decay(beta_2, "strategy.server.beta_2")?;
            }
        }
        Ok(server)
    }
}

impl CombineConfig {
    fn parse(self) -> Combine {
        Combine::Robust(match self {
            Self::Mean {} => return Combine::Mean,
            Self::NormalizedMean {} => return Combine::NormalizedMean,
            // How many there are is known when the run begins.
            Self::Scaffold {} => return Combine::Scaffold { nodes: 0 },
            Self::Median {} => Robust::Median,
            Self::TrimmedMean { share } => Robust::TrimmedMean { share },
            Self::Krum { byzantine } => Robust::MultiKrum { byzantine, keep: 1 },
            Self::MultiKrum { byzantine, keep } => Robust::MultiKrum { byzantine, keep },
            Self::Bulyan { byzantine } => Robust::Bulyan { byzantine },
            Self::GeometricMedian {} => Robust::GeometricMedian,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, minimum: u32) -> Result<Strategy, String> {
        let config: StrategyConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.parse(minimum).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_word_it_is_federated_averaging() {
        assert_eq!(parse("", 1), Ok(Strategy::FEDAVG));
        assert_eq!(parse("combine = { kind = \"mean\" }", 1), Ok(Strategy::FEDAVG));
    }

    #[test]
    fn federated_nova_is_a_mean_of_another_kind() {
        let nova = Strategy { combine: Combine::NormalizedMean, ..Strategy::FEDAVG };
        assert_eq!(parse("combine = { kind = \"normalized_mean\" }", 1), Ok(nova));
    }

    #[test]
    fn scaffold_takes_no_other_server_and_no_clipped_or_weighed_updates() {
        let scaffold = "combine = { kind = \"scaffold\" }\n";
        let combine = Combine::Scaffold { nodes: 0 };
        assert_eq!(parse(scaffold, 1), Ok(Strategy { combine, ..Strategy::FEDAVG }));
        let others = [
            "clip_norm = 1.0",
            "weight_cap = 5",
            "server = { kind = \"momentum\", learning_rate = 1.0, momentum = 0.5 }",
        ];
        for other in others {
            let error = parse(&format!("{scaffold}{other}"), 1).unwrap_err();
            assert!(error.starts_with("`strategy.combine` of kind scaffold goes with"), "{error}");
        }
    }

    #[test]
    fn every_kind_has_its_rule() {
        let cases = [
            ("\"median\"", Robust::Median),
            ("\"trimmed_mean\", share = 0.2", Robust::TrimmedMean { share: 0.2 }),
            ("\"krum\", byzantine = 1", Robust::MultiKrum { byzantine: 1, keep: 1 }),
            ("\"multi_krum\", byzantine = 1, keep = 3", Robust::MultiKrum { byzantine: 1, keep: 3 }),
            ("\"bulyan\", byzantine = 1", Robust::Bulyan { byzantine: 1 }),
            ("\"geometric_median\"", Robust::GeometricMedian),
        ];
        for (kind, rule) in cases {
            let strategy = parse(&format!("combine = {{ kind = {kind} }}"), 7).unwrap();
            assert_eq!(strategy, Strategy { combine: Combine::Robust(rule), ..Strategy::FEDAVG });
        }
    }

    #[test]
    fn every_server_has_its_step() {
        let (learning_rate, beta_1, tau) = (0.1, 0.9, 0.01);
        let adaptive = |rule| Server::Adaptive { rule, learning_rate, beta_1, tau };
        let cases = [
            ("\"sgd\"", Server::Sgd { learning_rate }),
            ("\"momentum\", momentum = 0.9", Server::Momentum { learning_rate, momentum: 0.9 }),
            ("\"adagrad\", beta_1 = 0.9, tau = 0.01", adaptive(SecondMoment::Adagrad)),
            (
                "\"adam\", beta_1 = 0.9, beta_2 = 0.99, tau = 0.01",
                adaptive(SecondMoment::Adam { beta_2: 0.99 }),
            ),
            (
                "\"yogi\", beta_1 = 0.9, beta_2 = 0.99, tau = 0.01",
                adaptive(SecondMoment::Yogi { beta_2: 0.99 }),
            ),
        ];
        for (kind, server) in cases {
            let strategy = parse(&format!("server = {{ kind = {kind}, learning_rate = 0.1 }}"), 1).unwrap();
            assert_eq!(strategy, Strategy { server, ..Strategy::FEDAVG });
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_key() {
        let cases = [
            ("clip_norm = 0.0", "`strategy.clip_norm` is not a positive number"),
            ("clip_norm = nan", "`strategy.clip_norm` is not a positive number"),
            ("weight_cap = 0", "`strategy.weight_cap` must be from 1 to 1048576"),
            (
                "combine = { kind = \"trimmed_mean\", share = 0.5 }",
                "`strategy.combine.share` must be from 0 to less than 0.5: it is left out at both ends",
            ),
            ("combine = { kind = \"multi_krum\", byzantine = 1, keep = 0 }", "`strategy.combine.keep` is 0"),
            (
                "combine = { kind = \"bulyan\", byzantine = 1 }",
                "`strategy.combine` needs 7 updates, and `cohort.minimum` is 5",
            ),
            (
                "server = { kind = \"sgd\", learning_rate = -1.0 }",
                "`strategy.server.learning_rate` is not a positive number",
            ),
            (
                "server = { kind = \"momentum\", learning_rate = 1.0, momentum = 1.0 }",
                "`strategy.server.momentum` must be from 0 to less than 1",
            ),
            (
                "server = { kind = \"adam\", learning_rate = 0.1, beta_1 = 0.9, beta_2 = nan, tau = 0.01 }",
                "`strategy.server.beta_2` must be from 0 to less than 1",
            ),
            (
                "server = { kind = \"adagrad\", learning_rate = 0.1, beta_1 = 0.9, tau = 0.0 }",
                "`strategy.server.tau` is not a positive number",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text, 5).unwrap_err(), message);
        }
        assert!(parse("combine = { kind = \"mode\" }", 5).unwrap_err().contains("unknown variant `mode`"));
        assert!(parse("combine = { kind = \"median\", share = 0.2 }", 5).unwrap_err().contains("share"));
    }
}
