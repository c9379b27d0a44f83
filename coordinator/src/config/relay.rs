//! `relay.toml`.

use core::net::SocketAddr;
use std::fmt;

use common::known::{self, Known};
use common::limits::NAME_BYTES_MAX;
use common::message::relay::PEERS_MAX;
use serde::Deserialize;

use super::{ConfigError, parse, require};

/// `relay.toml`; see `coordinator/samples/relay.toml` for the meaning of each key.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// A name for people.
    pub name: String,
    /// The domain of its site.
    pub dds: dds::Config,
    /// How it meets the others.
    pub place: Place,
    /// The others.
    pub peers: Known,
    /// Bytes of chunks that may wait for one peer.
    pub chunk_bytes: usize,
    /// Where the secret key lives.
    pub custody: custody::Config,
}

/// How a relay meets the others: the hub listens, each spoke connects to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The hub, at this address.
    Listen(SocketAddr),
    /// A spoke, and where its hub is: host and port.
    Connect(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    listen: Option<SocketAddr>,
    connect: Option<String>,
    peers: Vec<String>,
    dds: dds::Config,
    queue: Queue,
    #[serde(default)]
    custody: custody::Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Queue {
    chunk_bytes: usize,
}

/// Fewer bytes than two chunks are no queue.
const CHUNK_BYTES_MIN: usize = 100_000;

impl RelayConfig {
    /// Reads `relay.toml`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names line or key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let Written { name, listen, connect, peers, dds, queue, custody } = parse(text)?;
        require(
            (1..=NAME_BYTES_MAX).contains(&name.len()),
            "name",
            format!("has not 1 to {NAME_BYTES_MAX} bytes"),
        )?;
        require(
            dds.domain <= dds::DOMAIN_MAX,
            "dds.domain",
            "is over 231, the last domain with ports for all",
        )?;
        require(
            queue.chunk_bytes >= CHUNK_BYTES_MIN,
            "queue.chunk_bytes",
            format!("is less than {CHUNK_BYTES_MIN}"),
        )?;
        let peers = known::parse(&peers.join("\n")).map_err(|error| ConfigError::Value {
            key: "peers",
            problem: format!("has a wrong entry: {error}"),
        })?;
        let place = match (listen, connect) {
            (Some(address), None) => Place::Listen(address),
            (None, Some(to)) => Place::Connect(to),
            _ => {
                let problem = "and `connect`: exactly one of them says whether this is the hub or a spoke";
                return Err(ConfigError::Value { key: "listen", problem: problem.into() });
            }
        };
        let (least, most) = match &place {
            Place::Listen(_) => (1, PEERS_MAX),
            Place::Connect(_) => (1, 1),
        };
        require(
            (least..=most).contains(&peers.len()),
            "peers",
            match &place {
                Place::Listen(_) => format!("has {} relays: a hub has 1 to {PEERS_MAX} spokes", peers.len()),
                Place::Connect(_) => format!("has {} relays: a spoke has one hub", peers.len()),
            },
        )?;
        Ok(Self { name, dds, place, peers, chunk_bytes: queue.chunk_bytes, custody })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address) => write!(f, "listening on {address}"),
            Self::Connect(to) => write!(f, "connecting to {to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: &str = include_str!("../../samples/relay.toml");
    const KEY: &str = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";

    fn with_peer() -> String {
        RELAY.replace("peers = []", &format!("peers = [\"site-b {KEY}\"]"))
    }

    #[test]
    fn the_sample_file_is_what_the_code_reads_once_a_peer_is_in_it() {
        let config = RelayConfig::parse(&with_peer()).unwrap();
        assert_eq!(config.place, Place::Listen("0.0.0.0:7420".parse().unwrap()));
        assert_eq!((config.peers.len(), config.name.as_str()), (1, "site-a"));
        let error = RelayConfig::parse(RELAY).unwrap_err().to_string();
        assert_eq!(error, "`peers` has 0 relays: a hub has 1 to 64 spokes");
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_key() {
        let spoke = "connect = \"relay.example.com:7420\"";
        let two = format!("peers = [\"a {KEY}\", \"b {}\"]", KEY.replacen("03", "02", 1));
        let one = format!("peers = [\"site-b {KEY}\"]");
        let listen = "listen = \"0.0.0.0:7420\"";
        let cases = [
            (with_peer().replace(listen, ""), "`listen` and `connect`: exactly one"),
            (
                with_peer().replace(listen, &format!("{listen}\n{spoke}")),
                "`listen` and `connect`: exactly one",
            ),
            (
                with_peer().replace(listen, spoke).replace(&one, &two),
                "`peers` has 2 relays: a spoke has one hub",
            ),
            (with_peer().replace(KEY, "02ff"), "`peers` has a wrong entry: line 1: a public identity"),
            (
                with_peer().replace("chunk_bytes = 16_000_000", "chunk_bytes = 1"),
                "`queue.chunk_bytes` is less",
            ),
            (with_peer().replace("domain = 0", "domain = 300"), "`dds.domain` is over 231"),
            (with_peer().replace("name = \"site-a\"", "name = \"\""), "`name` has not 1 to 128 bytes"),
        ];
        for (text, message) in cases {
            let error = RelayConfig::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
