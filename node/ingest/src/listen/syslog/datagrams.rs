//! Syslog over UDP (RFC 5426): one message a datagram, and nobody who could wait.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use crate::limits::SYSLOG_ENTRY_BYTES_MAX;
use crate::syslog::Batch;

/// Bytes of the largest datagram.
const DATAGRAM_BYTES_MAX: usize = 64 * 1024;

/// Looks at a socket after the stop: four megabytes, more than what a receive buffer commonly holds.
const LAST_LOOKS: usize = 16;

/// Takes datagrams until `stop` turns true. It reads on while entries are on their way to the disk, because
/// what it does not read the operating system throws away.
pub(super) async fn serve(socket: UdpSocket, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut storing = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        tokio::select! {
            // Only a socket that is broken gives an error here; reading it tells, and there is nothing to read.
            _ = socket.readable() => (),
            Some(_) = storing.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        }
        if !take(&socket, &mut buffer, &shared, &mut storing) {
            tokio::task::yield_now().await;
        }
    }
    // What came before the stop is taken, as far as a receive buffer is large.
    for _ in 0..LAST_LOOKS {
        tokio::task::yield_now().await;
        if !take(&socket, &mut buffer, &shared, &mut storing) {
            break;
        }
    }
    while storing.join_next().await.is_some() {}
}

/// Offers what waits to the spool; whether there was anything.
fn take(socket: &UdpSocket, buffer: &mut [u8], shared: &Arc<Shared>, storing: &mut JoinSet<()>) -> bool {
    let batches = waiting(socket, buffer);
    let found = !batches.is_empty();
    for (peer, batch) in batches {
        offer(peer, batch, shared, storing);
    }
    found
}

/// The datagrams that wait, by peer, up to the size of an entry.
fn waiting(socket: &UdpSocket, buffer: &mut [u8]) -> BTreeMap<IpAddr, Batch> {
    let mut batches: BTreeMap<IpAddr, Batch> = BTreeMap::new();
    let mut bytes = 0;
    while bytes < SYSLOG_ENTRY_BYTES_MAX
        && let Ok((count, peer)) = socket.try_recv_from(buffer)
    {
        batches.entry(peer.ip().to_canonical()).or_default().add(&buffer[..count]);
        bytes += count.max(1);
    }
    batches
}

fn offer(peer: IpAddr, batch: Batch, shared: &Arc<Shared>, storing: &mut JoinSet<()>) {
    let messages = batch.messages();
    if batch.is_empty() {
        return;
    }
    let Some(tenant) = shared.access.tenant(peer, false, None) else {
        return shared.losses.add(messages, &peer, &"it is in none of `syslog.trusted_networks`");
    };
    let entry = match shared.entry(tenant, peer, batch) {
        Ok(entry) => entry,
        Err(reason) => return shared.losses.add(messages, &peer, &reason),
    };
    match shared.spool.offer(entry) {
        Ok(answered) => {
            let shared = Arc::clone(shared);
            storing.spawn(async move {
                match answered.await {
                    Ok(Ok(_)) => (),
                    Ok(Err(refusal)) => shared.losses.add(messages, &peer, &refusal),
                    Err(_) => shared.losses.add(messages, &peer, &"the spool is closing"),
                }
            });
        }
        Err(refusal) => shared.losses.add(messages, &peer, &refusal),
    }
}
