//! A TCP address where peers are let in, with TLS or without.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connections::Connections;
use super::{ListenError, listen_on};

/// Takes connections until `stop` turns true, each as a task of its own, then waits for those that are open.
/// One over the limit of `connections` is turned away.
pub(super) async fn accept<A, T>(
    listener: TcpListener,
    connections: Connections,
    mut stop: watch::Receiver<bool>,
    turn_away: impl Fn(TcpStream) -> A,
    talk: impl Fn(TcpStream, IpAddr) -> T,
) where
    A: Future<Output = ()> + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let mut guests = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = guests.join_next() => continue,
        };
        // A connection that broke before it was taken, or no file descriptor left: the next one may do.
        let Ok((stream, address)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let address = address.ip().to_canonical();
        let Some(connection) = connections.admit(address) else {
            guests.spawn(turn_away(stream));
            continue;
        };
        let talk = talk(stream, address);
        guests.spawn(async move {
            talk.await;
            drop(connection);
        });
    }
    drop(listener);
    while guests.join_next().await.is_some() {}
}

/// A listening socket.
pub(super) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// A peer that was let in.
pub(super) struct Guest {
    pub(super) stream: Box<dyn Duplex>,
    pub(super) address: IpAddr,
    /// Whether it showed a certificate that a CA of ours signed.
    pub(super) has_certificate: bool,
}

/// A stream in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

impl Door {
    /// Binds each address.
    pub(super) fn bind(
        addresses: &[SocketAddr],
        tls: Option<&TlsAcceptor>,
    ) -> Result<Vec<Self>, ListenError> {
        let mut doors = Vec::new();
        for &address in addresses {
            doors.push(Self { listener: listen_on(address)?, tls: tls.cloned() });
        }
        Ok(doors)
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Lets peers in until `stop` turns true, then waits for those who are in. A peer over the limit of
    /// `connections`, or one whose TLS does not begin within `timeout`, is let go of.
    pub(super) async fn serve<T, F>(
        self,
        connections: Connections,
        timeout: Duration,
        stop: watch::Receiver<bool>,
        talk: T,
    ) where
        T: Fn(Guest) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { listener, tls } = self;
        let let_in = |stream, address| {
            let (tls, talk) = (tls.clone(), talk.clone());
            async move {
                let entering = tokio::time::timeout(timeout, enter(stream, address, tls)).await;
                // Only this peer is told of what breaks its connection.
                if let Ok(Ok(guest)) = entering {
                    talk(guest).await;
                }
            }
        };
        accept(listener, connections, stop, |_| std::future::ready(()), let_in).await;
    }
}

async fn enter(stream: TcpStream, address: IpAddr, tls: Option<TlsAcceptor>) -> std::io::Result<Guest> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Guest { stream: Box::new(stream), address, has_certificate: false });
    };
    let stream = tls.accept(stream).await?;
    let has_certificate = stream.get_ref().1.peer_certificates().is_some();
    Ok(Guest { stream: Box::new(stream), address, has_certificate })
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("listener", &self.listener).finish_non_exhaustive()
    }
}
