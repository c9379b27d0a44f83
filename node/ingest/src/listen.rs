//! Sources that push: sockets around the pure machines, the spool behind them.
//!
//! Each answers its sender only when the spool has what it sent. A connection costs one task and little
//! memory; there is a limit for each kind of peer and for all of them together.

mod connections;
mod rate;
pub mod smtp;
mod tls;

pub use self::tls::{TlsConfig, TlsError};

use common::units::Timestamp;

/// What a listener needs to know of the world.
#[derive(Clone, Copy, Debug)]
pub struct Clock(pub fn() -> Timestamp);

/// A listener that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of its TLS configuration cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its accounts cannot be used.
    #[error(transparent)]
    Accounts(#[from] smtp::AccountsError),
    /// A key of the configuration has a value that cannot be.
    #[error("`{key}` {problem}")]
    Config {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
