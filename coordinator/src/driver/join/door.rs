//! The port where nodes join: one request and one answer a connection, and no more time or memory for any than that.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use common::join::{Reply, TurnedAway};
use common::limits::JOIN_REQUEST_BYTES_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Office;

/// A connection has this long for its request and its answer together.
const DEADLINE: Duration = Duration::from_secs(5);

/// Connections at once. Of the source that has most of them, the oldest gives way to a new one.
const CONNECTIONS_MAX: usize = 32;

/// What has expired is forgotten this often.
const TIDY: Duration = Duration::from_mins(1);

/// After a failure to accept, as when file descriptors are used up.
const AGAIN: Duration = Duration::from_millis(250);

/// A connection that goes on, or did.
struct Connection {
    from: IpAddr,
    task: JoinHandle<()>,
}

/// Listens, for ever.
///
/// # Errors
///
/// When the address cannot be had.
pub(super) async fn open(address: SocketAddr, office: Arc<Office>) -> Result<impl Future<Output = ()>> {
    let what = || {
        format!(
            "cannot listen on {address}, `join.listen` of coordinator.toml: is another coordinator there?"
        )
    };
    let listener = TcpListener::bind(address).await.with_context(what)?;
    tracing::info!(%address, "nodes may join");
    Ok(async move {
        let mut connections = VecDeque::new();
        let mut tidy = interval(TIDY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = tidy.tick() => {
                    let office = Arc::clone(&office);
                    tokio::task::spawn_blocking(move || office.tidied());
                    continue;
                }
            };
            match accepted {
                Ok((stream, address)) => {
                    let from = address.ip();
                    make_room(&mut connections);
                    let task = tokio::spawn(converse(stream, from, Arc::clone(&office)));
                    connections.push_back(Connection { from, task });
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection of a node that joins: {error}");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    })
}

/// Whoever opens many connections closes his own with them, and nobody else's as long as he has the most.
fn make_room(connections: &mut VecDeque<Connection>) {
    connections.retain(|connection| !connection.task.is_finished());
    if connections.len() < CONNECTIONS_MAX {
        return;
    }
    let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for connection in &*connections {
        *counts.entry(connection.from).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(from, _)| from);
    if let Some(oldest) = connections.iter().position(|connection| Some(connection.from) == most) {
        connections.remove(oldest).inspect(|connection| connection.task.abort());
    }
}

async fn converse(stream: TcpStream, from: IpAddr, office: Arc<Office>) {
    match timeout(DEADLINE, one_answer(stream, from, office)).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::debug!(%from, "a connection of a node that joins: {error}"),
        Err(_) => tracing::debug!(%from, "a connection of a node that joins was too slow"),
    }
}

async fn one_answer(mut stream: TcpStream, from: IpAddr, office: Arc<Office>) -> io::Result<()> {
    let length = stream.read_u32_le().await? as usize;
    let reply = if length > JOIN_REQUEST_BYTES_MAX {
        Reply::TurnedAway(TurnedAway::Unreadable)
    } else {
        let mut request = vec![0; length];
        stream.read_exact(&mut request).await?;
        // Keys and the disk are not for the loop.
        tokio::task::spawn_blocking(move || office.answer(&request, from)).await?
    };
    let body = reply.to_bytes();
    stream.write_u32_le(body.len() as u32).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}
