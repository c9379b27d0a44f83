//! `node.toml`, parsed into types that cannot be wrong. Unknown keys are refused.

use common::crypto::Suite;
use common::limits::{CONFIG_BYTES_MAX, METRICS_MAX, NAME_BYTES_MAX};
use forward::routes::ForwardConfig;
use serde::Deserialize;

use crate::detect::{AlarmPolicy, DriftPolicy, Preparation};
use ingest::Source;
use ingest::listen::metrics::MetricsConfig;
use ingest::listen::mqtt::MqttConfig;
use ingest::listen::otlp::OtlpConfig;
use ingest::listen::prometheus::PrometheusConfig;
use ingest::listen::smtp::SmtpConfig;
use ingest::listen::syslog::SyslogConfig;
use ingest::report::ReportConfig;
use pipeline::Pipeline;

/// `node.toml`; see `node/samples/node.toml` for the meaning of each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The node's name: it seeds the order of training windows, so it should stay the same.
    pub name: String,
    /// Whose telemetry this is.
    pub tenant: String,
    /// The cryptography of its fleet.
    #[serde(default)]
    pub suite: Suite,
    /// Where on the network it meets its coordinator.
    pub dds: dds::Config,
    /// How much may be on its way.
    pub transfer: Transfer,
    /// How the process ends.
    #[serde(default)]
    pub shutdown: Shutdown,
    /// Where the secret key lives.
    #[serde(default)]
    pub custody: custody::Config,
    /// How telemetry is taken in.
    pub telemetry: Telemetry,
    /// Where telemetry comes from.
    #[serde(rename = "source", default)]
    pub sources: Vec<Source>,
    /// Where what is pushed is kept until it is read.
    #[serde(default)]
    pub spool: ingest::spool::Config,
    /// Telemetry by mail.
    #[serde(default)]
    pub smtp: Option<SmtpConfig>,
    /// Telemetry by OTLP.
    #[serde(default)]
    pub otlp: Option<OtlpConfig>,
    /// Telemetry by Prometheus remote write.
    #[serde(default)]
    pub prometheus: Option<PrometheusConfig>,
    /// Telemetry by MQTT.
    #[serde(default)]
    pub mqtt: Option<MqttConfig>,
    /// Where a Prometheus server may ask how the spool stands.
    #[serde(default)]
    pub metrics: Option<MetricsConfig>,
    /// Where summaries of imports are mailed to.
    #[serde(default)]
    pub report: Option<ReportConfig>,
    /// Telemetry by syslog.
    #[serde(default)]
    pub syslog: Option<SyslogConfig>,
    /// Which nodes own what this bridge takes in.
    #[serde(default)]
    pub forward: Option<ForwardConfig>,
    /// What records go through first, in this order.
    #[serde(rename = "stage", default)]
    pub stages: Pipeline,
    /// How records become windows and scores.
    #[serde(default)]
    pub preparation: Preparation,
    /// When scores become alarms.
    #[serde(default)]
    pub alarms: AlarmPolicy,
    /// When drift is told.
    #[serde(default)]
    pub drift: DriftPolicy,
}

/// How much may be on its way.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Chunks of a model that may be on their way to this node without a receipt.
    pub window_chunks: u32,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Milliseconds for which what is worked on may still come to its end.
    pub drain_ms: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain_ms: 5_000 }
    }
}

/// How telemetry is taken in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Records kept for training; the oldest make room for new ones.
    pub records_max: usize,
    /// Milliseconds between two looks at the sources.
    pub poll_ms: u64,
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
        problem: &'static str,
    },
}

impl NodeConfig {
    /// The tenants that are named, some perhaps more than once.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        let Self { tenant, otlp, prometheus, mqtt, syslog, forward, .. } = self;
        let routes = forward.iter().flat_map(|forward| &forward.routes).map(|route| &route.tenant);
        let http = [otlp, prometheus].into_iter().flatten().map(|listener| &listener.tenant);
        let others = [mqtt.as_ref().map(|mqtt| &mqtt.tenant), syslog.as_ref().map(|syslog| &syslog.tenant)];
        std::iter::once(tenant)
            .chain(routes)
            .chain(http)
            .chain(others.into_iter().flatten())
            .map(String::as_str)
    }

    /// Reads `node.toml`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names line or key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let parsed = toml::from_str(text);
        let config: Self =
            parsed.map_err(|error| ConfigError::Parse(error.to_string().trim_end().to_owned()))?;
        let checks = [
            (text.len() as u64 <= CONFIG_BYTES_MAX, "node.toml", "is longer than a configuration may be"),
            (!config.name.is_empty() && config.name.len() <= NAME_BYTES_MAX, "name", "is empty or too long"),
            (!config.tenant.is_empty(), "tenant", "is empty"),
            (
                config.dds.domain <= dds::DOMAIN_MAX,
                "dds.domain",
                "is over 231, the last domain with ports for all",
            ),
            (
                (1..=256).contains(&config.transfer.window_chunks),
                "transfer.window_chunks",
                "is not within 1 to 256",
            ),
            (config.shutdown.drain_ms <= 3_600_000, "shutdown.drain_ms", "is over an hour"),
            (config.telemetry.records_max >= 1, "telemetry.records_max", "is 0"),
            (config.telemetry.poll_ms >= 10, "telemetry.poll_ms", "is under 10"),
            (config.alarms.raise_after >= 1, "alarms.raise_after", "is 0"),
            (config.alarms.recover_after >= 1, "alarms.recover_after", "is 0"),
            (
                config.alarms.critical_factor >= 1.0 && config.alarms.critical_factor.is_finite(),
                "alarms.critical_factor",
                "is not a number of at least 1",
            ),
            (config.alarms.silence_s <= 31_536_000, "alarms.silence_s", "is over a year"),
            (
                config.alarms.because_max <= METRICS_MAX,
                "alarms.because_max",
                "is over 1,024, the most metrics",
            ),
            (
                (0.0..=1.0).contains(&config.preparation.newcomer.left_out_max),
                "preparation.newcomer.left_out_max",
                "is not within 0 to 1",
            ),
            (
                (0.0..=0.5).contains(&config.drift.false_alarm_rate),
                "drift.false_alarm_rate",
                "is not within 0 to 0.5",
            ),
            (
                (10..=2_678_400).contains(&config.drift.block_s),
                "drift.block_s",
                "is not within 10 to 2,678,400, a month",
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, key, problem)) => Err(ConfigError::Value { key, problem }),
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../samples/node.toml");

    #[test]
    fn the_sample_file_is_what_the_code_reads() {
        let config = NodeConfig::parse(SAMPLE).unwrap();
        assert_eq!((config.name.as_str(), config.sources.len()), ("node-1", 1));
        assert_eq!(config.alarms, AlarmPolicy::default(), "what the sample says is what holds without it");
        assert_eq!(config.drift, DriftPolicy::default(), "here too");
    }

    #[test]
    fn settings_of_alarms_that_cannot_be_are_refused_by_key() {
        for (key, value) in [
            ("raise_after", "0"),
            ("recover_after", "0"),
            ("critical_factor", "0.5"),
            ("critical_factor", "nan"),
            ("silence_s", "31_536_001"),
            ("because_max", "1_025"),
        ] {
            let before = SAMPLE.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
            let error = NodeConfig::parse(&SAMPLE.replace(before, &format!("{key} = {value}"))).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`alarms.{key}` is ")), "{error}");
        }
        let error = NodeConfig::parse(&SAMPLE.replace("silence_s = ", "quiet_s = ")).unwrap_err().to_string();
        assert!(error.contains("quiet_s"), "{error}");
    }

    #[test]
    fn a_share_of_more_than_all_records_is_refused() {
        let with = |share: &str| {
            NodeConfig::parse(&format!("{SAMPLE}\n[preparation.newcomer]\nleft_out_max = {share}\n"))
        };
        assert!(with("0.2").is_ok());
        let error = with("1.5").unwrap_err().to_string();
        assert!(error.starts_with("`preparation.newcomer.left_out_max` is "), "{error}");
    }

    #[test]
    fn settings_of_drift_that_cannot_be_are_refused_by_key() {
        for (key, value) in [
            ("false_alarm_rate", "-0.1"),
            ("false_alarm_rate", "nan"),
            ("false_alarm_rate", "1.0"),
            ("block_s", "9"),
        ] {
            let before = SAMPLE.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
            let error = NodeConfig::parse(&SAMPLE.replace(before, &format!("{key} = {value}"))).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`drift.{key}` is ")), "{error}");
        }
        assert!(
            NodeConfig::parse(&SAMPLE.replace("false_alarm_rate = 0.01", "false_alarm_rate = 0")).is_ok()
        );
    }

    #[test]
    fn the_listeners_and_stages_in_comments_of_the_sample_are_what_the_code_reads() {
        let from = SAMPLE.find("# [smtp]").unwrap();
        // Text has a blank behind its mark and no `=` or `[`; keys and sections lose the mark.
        let key = |line: &str| line.trim_start_matches("# ").to_owned();
        let is_key = |line: &&str| line.contains(" = ") || line.starts_with("# [");
        let keys: Vec<String> = SAMPLE[from..].lines().filter(is_key).map(key).collect();
        let text = format!("{}{}", &SAMPLE[..from], keys.join("\n"));
        let config = NodeConfig::parse(&text).unwrap();
        let (smtp, otlp, syslog) = (config.smtp.unwrap(), config.otlp.unwrap(), config.syslog.unwrap());
        assert!(smtp.tls.is_some() && otlp.tls.is_some() && syslog.tls.is_some());
        assert_eq!(config.forward.unwrap().routes.len(), 2);
        let kinds: Vec<&str> = config.stages.stages().iter().map(pipeline::Stage::kind).collect();
        let in_order =
            ["validate", "deduplicate", "convert", "enrich", "filter", "prioritise", "resample", "fill"];
        assert_eq!(kinds, in_order);
        assert_eq!(config.stages.warnings(), []);
        assert_eq!(config.report.unwrap().mail_to.len(), 1);
        assert_eq!(config.metrics.unwrap().listen.len(), 1);
        assert!(config.prometheus.unwrap().tls.is_some() && config.mqtt.unwrap().ca.is_some());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let error = NodeConfig::parse(&format!("surprise = 1\n{SAMPLE}")).unwrap_err().to_string();
        assert!(error.contains("surprise") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_stage_that_cannot_be_is_refused_by_its_place() {
        let bad = format!("{SAMPLE}\n[[stage]]\nkind = \"fill\"\nevery_s = 60\nrows_max = 0\n");
        let error = NodeConfig::parse(&bad).unwrap_err().to_string();
        assert!(error.contains("stage 1: `rows_max` is not within 1 to 1440"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_by_key() {
        let error = NodeConfig::parse(&SAMPLE.replace("poll_ms = 1_000", "poll_ms = 1")).unwrap_err();
        assert_eq!(error.to_string(), "`telemetry.poll_ms` is under 10");
    }
}
