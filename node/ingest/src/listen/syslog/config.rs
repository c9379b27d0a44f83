//! `[syslog]` in a node's configuration.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::Deserialize;

use super::super::{ListenError, TlsConfig, connections_max, connections_per_source_max, require};

/// `[syslog]`; see `node/samples/node.toml` for the meaning of each key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// Addresses for datagrams.
    #[serde(default)]
    pub listen_udp: Vec<SocketAddr>,
    /// Addresses for TCP.
    #[serde(default)]
    pub listen_tcp: Vec<SocketAddr>,
    /// Addresses for TLS.
    #[serde(default)]
    pub listen_tls: Vec<SocketAddr>,
    /// The tenant whose telemetry it is.
    pub tenant: String,
    /// Certificate and key. A client with a certificate of `client_ca` is trusted.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Networks whose peers may send.
    #[serde(default)]
    pub trusted_networks: Vec<IpNet>,
    /// Connections at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Connections at once from one address.
    #[serde(default = "connections_per_source_max")]
    pub connections_per_source_max: usize,
    /// Seconds that a peer may be silent. Syslog has no answers: a peer whose connection was closed loses
    /// what it writes next, so this is long.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
}

const fn timeout_s() -> u64 {
    24 * 3600
}

impl SyslogConfig {
    pub(super) fn check(&self) -> Result<(), ListenError> {
        let nowhere =
            [&self.listen_udp, &self.listen_tcp, &self.listen_tls].iter().all(|list| list.is_empty());
        let has_clients = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let only_tls = self.listen_udp.is_empty() && self.listen_tcp.is_empty();
        require(&[
            (!nowhere, "syslog.listen_udp", "is empty, and so are `listen_tcp` and `listen_tls`"),
            (self.listen_tls.is_empty() || self.tls.is_some(), "syslog.listen_tls", "needs [syslog.tls]"),
            (!self.tenant.is_empty(), "syslog.tenant", "is empty"),
            (
                !self.trusted_networks.is_empty() || only_tls && has_clients,
                "syslog.trusted_networks",
                "is empty: nobody could send",
            ),
            (self.connections_max > 0, "syslog.connections_max", "is 0"),
            (self.connections_per_source_max > 0, "syslog.connections_per_source_max", "is 0"),
            (self.timeout_s > 0, "syslog.timeout_s", "is 0"),
        ])
    }
}
