//! `[otlp]` or `[prometheus]` in a node's configuration: where to listen, and to whom.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::super::{
    ListenError, TlsConfig, TokenConfig, connections_max, connections_per_source_max, require,
};
use crate::limits::{ENTRY_BODY_BYTES_MAX, HTTP_REQUEST_BYTES};

/// A section such as `[otlp]`; see `node/samples/node.toml` for the meaning of each key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Addresses for HTTP.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// Addresses for HTTP over TLS.
    #[serde(default)]
    pub listen_tls: Vec<SocketAddr>,
    /// The tenant whose telemetry trusted peers send.
    pub tenant: String,
    /// Certificate and key. A client with a certificate of `client_ca` is trusted.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Networks whose peers may send without a token.
    #[serde(default)]
    pub trusted_networks: Vec<IpNet>,
    /// Tokens for all others, sent as `Authorization: Bearer`.
    #[serde(default)]
    pub tokens: Vec<TokenConfig>,
    /// Bytes of a request as it comes.
    #[serde(default = "request_bytes_max")]
    pub request_bytes_max: usize,
    /// Bytes that a request may unpack to.
    #[serde(default = "request_bytes_max")]
    pub unpacked_bytes_max: usize,
    /// Connections at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Connections at once from one address.
    #[serde(default = "connections_per_source_max")]
    pub connections_per_source_max: usize,
    /// Seconds that the header of a request may take, and its body.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
}

const fn request_bytes_max() -> usize {
    HTTP_REQUEST_BYTES
}

const fn timeout_s() -> u64 {
    60
}

impl HttpConfig {
    /// Refuses what could never accept; the fault names the key in `section`.
    pub(in crate::listen) fn check(&self, section: &str) -> Result<(), ListenError> {
        let nowhere = self.listen.is_empty() && self.listen_tls.is_empty();
        let has_clients = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let nobody = self.trusted_networks.is_empty() && self.tokens.is_empty() && !has_clients;
        let sizes = 1..=ENTRY_BODY_BYTES_MAX;
        let checks = [
            (!nowhere, "listen", "is empty, and so is `listen_tls`"),
            (self.listen_tls.is_empty() || self.tls.is_some(), "listen_tls", "needs a section `tls`"),
            (!self.tenant.is_empty(), "tenant", "is empty"),
            (
                !nobody,
                "trusted_networks",
                "is empty, and there is no token and no `client_ca`: nobody could send",
            ),
            (sizes.contains(&self.request_bytes_max), "request_bytes_max", "is 0, or over 64 MiB"),
            (sizes.contains(&self.unpacked_bytes_max), "unpacked_bytes_max", "is 0, or over 64 MiB"),
            (self.connections_max > 0, "connections_max", "is 0"),
            (self.connections_per_source_max > 0, "connections_per_source_max", "is 0"),
            (self.timeout_s > 0, "timeout_s", "is 0"),
        ];
        let keys = checks.map(|(_, key, _)| format!("{section}.{key}"));
        let checks: Vec<(bool, &str, &str)> =
            checks.iter().zip(&keys).map(|((holds, _, problem), key)| (*holds, &**key, *problem)).collect();
        require(&checks)?;
        TokenConfig::check(&format!("{section}.tokens"), &self.tokens)
    }
}
