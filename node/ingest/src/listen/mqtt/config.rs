//! `[mqtt]` in a node's configuration.

use std::path::PathBuf;

use serde::Deserialize;

use super::super::{ListenError, require};
use crate::limits::{ENTRY_BODY_BYTES_MAX, MQTT_MESSAGE_BYTES};
use crate::mqtt::Pattern;

/// `[mqtt]`; see `node/samples/node.toml` for the meaning of each key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// The broker's name or address.
    pub host: String,
    /// Its port: 1883, or 8883 with TLS, when not given.
    #[serde(default)]
    pub port: Option<u16>,
    /// Those who sign the broker's certificate, in PEM. With it, the connection is TLS.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How the broker knows this node again: unique among its clients, and always the same.
    pub client_id: String,
    /// With `password_file`, for the broker.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The tenant whose telemetry it is.
    pub tenant: String,
    /// Topics, each with `{source}` and perhaps `{metric}`.
    pub topics: Vec<Pattern>,
    /// Bytes of a payload; a longer one is acknowledged, left out and told.
    #[serde(default = "message_bytes_max")]
    pub message_bytes_max: usize,
    /// Seconds of silence after which the broker is asked whether it is there.
    #[serde(default = "keep_alive_s")]
    pub keep_alive_s: u16,
}

const fn message_bytes_max() -> usize {
    MQTT_MESSAGE_BYTES
}

const fn keep_alive_s() -> u16 {
    30
}

impl MqttConfig {
    pub(super) fn check(&self) -> Result<(), ListenError> {
        let payloads = 1..=ENTRY_BODY_BYTES_MAX / 2;
        require(&[
            (!self.host.is_empty(), "mqtt.host", "is empty"),
            (self.port != Some(0), "mqtt.port", "is 0"),
            // MQTT 3.1.1, section 3.1.3.1: what every broker takes, and more would be cut from no id of ours.
            ((1..=128).contains(&self.client_id.len()), "mqtt.client_id", "is empty, or over 128 bytes"),
            (
                self.username.is_some() == self.password_file.is_some(),
                "mqtt.username",
                "and `password_file` come together",
            ),
            (!self.tenant.is_empty(), "mqtt.tenant", "is empty"),
            (!self.topics.is_empty(), "mqtt.topics", "is empty"),
            (payloads.contains(&self.message_bytes_max), "mqtt.message_bytes_max", "is 0, or over 32 MiB"),
            (self.keep_alive_s > 0, "mqtt.keep_alive_s", "is 0"),
        ])
    }

    /// The port that is meant.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.ca.is_some() { 8883 } else { 1883 })
    }
}
