//! Syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425): sockets around [`crate::syslog`].
//!
//! Syslog has no answers. A stream is not read while the spool asks to wait, so that its sender waits too. A
//! datagram cannot wait: one that the spool does not take is lost, counted and told.

mod config;
mod datagrams;

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use common::id::TenantId;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use tokio::io::AsyncReadExt;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::config::SyslogConfig;

use super::access::Access;
use super::connections::Connections;
use super::door::{Door, Guest};
use super::losses::Losses;
use super::{Clock, ListenError, Report, TlsConfig};
use crate::spool::{Entry, EntryId, Kind, Refusal, Spool};
use crate::syslog::{Batch, Frames};

/// Bytes read from a socket at once.
const READ_BYTES: usize = 16 * 1024;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// How long it waits before it offers the spool again what was refused.
const RETRY: Duration = Duration::from_millis(200);

/// Syslog, listening, until the watch says so.
#[derive(Debug)]
pub struct SyslogListener {
    shared: Arc<Shared>,
    sockets: Vec<UdpSocket>,
    doors: Vec<Door>,
    connections: Connections,
}

/// What all sockets share.
struct Shared {
    spool: Spool,
    clock: Clock,
    access: Access,
    losses: Losses,
    timeout: Duration,
    /// With `arrivals`, what makes the id of each entry its own.
    seed: [u8; 32],
    arrivals: AtomicU64,
}

impl SyslogListener {
    /// Binds the sockets. What is lost is told to `report`.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address, the file or the key.
    pub async fn bind(
        config: &SyslogConfig,
        spool: Spool,
        clock: Clock,
        report: Report,
        mut random: ChaCha20Rng,
    ) -> Result<Self, ListenError> {
        config.check()?;
        let tls = config.tls.as_ref().map(TlsConfig::acceptor).transpose()?;
        let mut sockets = Vec::new();
        for &address in &config.listen_udp {
            let socket = UdpSocket::bind(address).await;
            sockets.push(socket.map_err(|source| ListenError::Bind { address, source })?);
        }
        let mut doors = Door::bind(&config.listen_tcp, None)?;
        doors.extend(Door::bind(&config.listen_tls, tls.as_ref())?);
        let mut seed = [0; 32];
        random.fill_bytes(&mut seed);
        let shared = Arc::new(Shared {
            spool,
            clock,
            access: Access::new(&config.tenant, &config.trusted_networks, &[]),
            losses: Losses::new(report),
            timeout: Duration::from_secs(config.timeout_s),
            seed,
            arrivals: AtomicU64::new(0),
        });
        let connections = Connections::new(config.connections_max, config.connections_per_source_max);
        Ok(Self { shared, sockets, doors, connections })
    }

    /// Where it listens, in the order of the configuration: UDP, TCP, TLS.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.iter().filter_map(|socket| socket.local_addr().ok());
        sockets.chain(self.doors.iter().filter_map(Door::address)).collect()
    }

    /// Takes messages until `stop` turns true, and what has come by then.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let Self { shared, sockets, doors, connections } = self;
        let mut serving = JoinSet::new();
        for socket in sockets {
            serving.spawn(datagrams::serve(socket, Arc::clone(&shared), stop.clone()));
        }
        for door in doors {
            let (shared, until) = (Arc::clone(&shared), stop.clone());
            let talk = move |guest| converse(guest, Arc::clone(&shared), until.clone());
            serving.spawn(door.serve(connections.clone(), HANDSHAKE, stop.clone(), talk));
        }
        shared.losses.tell_until(stop).await;
        while serving.join_next().await.is_some() {}
        shared.losses.tell();
    }
}

/// Reads a stream to its end. What is there at once becomes one entry.
async fn converse(mut guest: Guest, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Some(tenant) = shared.access.tenant(guest.address, guest.has_certificate, None) else { return };
    let mut frames = Frames::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut is_open = true;
    while is_open {
        let mut read = tokio::select! {
            read = tokio::time::timeout(shared.timeout, guest.stream.read(&mut buffer)) => {
                read.ok().and_then(Result::ok)
            }
            _ = stop.wait_for(|stop| *stop) => None,
        };
        // One last look when it is told to stop: what has come is taken.
        let is_stopping = read.is_none();
        if is_stopping {
            tokio::task::yield_now().await;
            read = ready(guest.stream.read(&mut buffer)).await.and_then(Result::ok);
        }
        let mut batch = Batch::default();
        while let Some(count) = read {
            let fault = frames.push(&buffer[..count], |message| batch.add(message)).err();
            if let Some(fault) = &fault {
                shared.losses.add(1, &guest.address, fault);
            }
            if count == 0 || fault.is_some() {
                is_open = false;
                break;
            }
            if batch.is_full() {
                break;
            }
            read = ready(guest.stream.read(&mut buffer)).await.and_then(Result::ok);
        }
        is_open = is_open && (!is_stopping || batch.is_full());
        if !is_open {
            std::mem::take(&mut frames).finish(|message| batch.add(message));
        }
        shared.store(tenant, guest.address, batch, &mut stop).await;
    }
}

/// What a future gives if it is ready now.
async fn ready<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

impl Shared {
    /// Stores messages that can wait, however long the spool asks to; only a stop ends it.
    async fn store(&self, tenant: TenantId, peer: IpAddr, batch: Batch, stop: &mut watch::Receiver<bool>) {
        if batch.is_empty() {
            return;
        }
        let messages = batch.messages();
        let entry = match self.entry(tenant, peer, batch) {
            Ok(entry) => entry,
            Err(reason) => return self.losses.add(messages, &peer, &reason),
        };
        loop {
            let Err(refusal) = self.spool.store(entry.clone()).await else { return };
            let is_final = matches!(refusal, Refusal::Closing | Refusal::TooLarge { .. });
            if is_final || tokio::time::timeout(RETRY, stop.wait_for(|stop| *stop)).await.is_ok() {
                return self.losses.add(messages, &peer, &refusal);
            }
        }
    }

    fn entry(&self, tenant: TenantId, peer: IpAddr, batch: Batch) -> Result<Entry, String> {
        let (source, received) = (peer.to_string(), (self.clock.0)());
        let count = self.arrivals.fetch_add(1, Ordering::Relaxed);
        Ok(Entry {
            id: EntryId::of_arrival(&self.seed, count, &source, received),
            tenant,
            kind: Kind::Syslog,
            received,
            source: source.as_str().try_into().map_err(|_| "its address is too long".to_owned())?,
            body: Bytes::from(batch.into_bytes()),
        })
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("spool", &self.spool).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
