//! How connections come about: a hub listens, a spoke connects and connects again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use common::id::NodeId;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::stream::{End, Event, Stream};
use super::tls::{Tls, in_words};

/// TCP and TLS are up after this time, or it is tried again.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes that go on at once; further callers are turned away, and come again.
const HANDSHAKES_MAX: usize = 32;

/// The first wait before a spoke connects again; doubled up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_millis(250);

/// The longest wait before a spoke connects again.
const AGAIN_MAX: Duration = Duration::from_secs(4);

/// What the kernel may hold of a connection and has not sent yet. The rest waits in the relay's queues, where what is
/// urgent goes first, and what is repeated takes one place.
const UNSENT_BYTES: u32 = 128 * 1024;

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) tls: Tls,
    pub(super) events: mpsc::Sender<Event>,
    /// Numbers the connections.
    pub(super) connections: Arc<AtomicU64>,
}

impl Door {
    /// Listens, for ever.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub(super) async fn listen(self, address: SocketAddr) -> Result<impl Future<Output = ()>> {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Ok(async move {
            loop {
                match listener.accept().await {
                    Ok((tcp, address)) => {
                        let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else { continue };
                        let door = self.clone();
                        tokio::spawn(async move {
                            let opened = door.accept(tcp, address).await;
                            drop(permit);
                            if let Some(stream) = opened {
                                stream.carry().await;
                            }
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: others end before this one goes on.
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        })
    }

    /// Connects, and connects again when the connection is lost; for ever.
    pub(super) async fn connect(self, to: String) {
        let mut after = AGAIN;
        loop {
            if let Some(stream) = self.call(&to).await {
                let (was_open, lost) = stream.carry().await;
                if was_open {
                    after = AGAIN;
                } else {
                    self.refuse(to.clone(), lost.to_string()).await;
                }
            }
            tokio::time::sleep(after).await;
            after = (after * 2).min(AGAIN_MAX);
        }
    }

    async fn call(&self, to: &str) -> Option<Stream> {
        let called = async {
            let tcp = TcpStream::connect(to).await?;
            tune(&tcp)?;
            let address = tcp.peer_addr()?;
            Ok((self.tls.connector.connect(Tls::any_name(), tcp).await?, address))
        };
        match in_time(called).await {
            Ok((tls, address)) => {
                let peer = self.tls.peer(tls.get_ref().1.peer_certificates())?;
                Some(self.stream(tls.into(), peer, address, End::Caller))
            }
            Err(error) => {
                self.refuse(to.to_owned(), in_words(&error)).await;
                None
            }
        }
    }

    async fn accept(&self, tcp: TcpStream, address: SocketAddr) -> Option<Stream> {
        let accepted = async {
            tune(&tcp)?;
            self.tls.acceptor.accept(tcp).await
        };
        match in_time(accepted).await {
            Ok(tls) => {
                let peer = self.tls.peer(tls.get_ref().1.peer_certificates())?;
                Some(self.stream(tls.into(), peer, address, End::Called))
            }
            Err(error) => {
                self.refuse(address.to_string(), in_words(&error)).await;
                None
            }
        }
    }

    fn stream(
        &self,
        tls: tokio_rustls::TlsStream<TcpStream>,
        peer: NodeId,
        address: SocketAddr,
        end: End,
    ) -> Stream {
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        Stream { tls, peer, address, end, connection, events: self.events.clone() }
    }

    async fn refuse(&self, who: String, why: String) {
        let _ = self.events.send(Event::Refused { who, why }).await;
    }
}

fn tune(tcp: &TcpStream) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT_BYTES)
}

async fn in_time<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    let late = || std::io::Error::other(format!("no connection within {} s", HANDSHAKE.as_secs()));
    timeout(HANDSHAKE, work).await.unwrap_or_else(|_| Err(late()))
}
