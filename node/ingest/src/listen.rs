//! Sources that push: sockets around the pure machines, the spool behind them.
//!
//! Each answers its sender only when the spool has what it sent. A connection costs one task and little
//! memory; there is a limit for each kind of peer and for all of them together.

mod access;
mod connections;
mod door;
mod http;
mod losses;
pub mod metrics;
pub mod mqtt;
pub mod otlp;
pub mod prometheus;
mod rate;
pub mod smtp;
pub mod syslog;
mod tls;

pub use self::access::TokenConfig;
pub use self::http::HttpConfig;
pub use self::losses::{Lost, Report};
pub use self::tls::{SubjectName, SubjectNameError, TlsConfig, TlsError};

pub(crate) use self::tls::client as tls_client;

use std::net::SocketAddr;
use std::path::PathBuf;

use common::units::Timestamp;
use tokio::net::{TcpListener, TcpSocket};

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
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of its TLS configuration cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its accounts cannot be used.
    #[error(transparent)]
    Accounts(#[from] smtp::AccountsError),
    /// The file of a layout cannot be used.
    #[error("{}: {reason}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key of the configuration has a value that cannot be.
    #[error("`{key}` {problem}")]
    Config {
        /// Which key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Connections that the operating system keeps until they are taken. With the 128 of the standard library, two
/// hundred senders at once lose some of theirs, and try again a second later.
const BACKLOG: u32 = 4096;

/// Connections at once, unless configured otherwise.
const fn connections_max() -> usize {
    1000
}

/// Connections at once from one address, unless configured otherwise.
const fn connections_per_source_max() -> usize {
    100
}

/// Refuses a configuration by the first of its checks that does not hold: key and problem.
fn require(checks: &[(bool, &str, &str)]) -> Result<(), ListenError> {
    match checks.iter().find(|(holds, ..)| !holds) {
        Some(&(_, key, problem)) => {
            Err(ListenError::Config { key: key.to_owned(), problem: problem.to_owned() })
        }
        None => Ok(()),
    }
}

fn listen_on(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listen = |socket: TcpSocket| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    socket.and_then(listen).map_err(|source| ListenError::Bind { address, source })
}

/// What the listeners of tests take in, which are all of one tenant.
#[cfg(test)]
fn of_acme(spool: &crate::spool::Spool) -> crate::spool::TenantSpool {
    spool.tenant(common::id::TenantId::of_name("acme")).unwrap()
}
