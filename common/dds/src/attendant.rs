//! What a participant without multicast needs and RustDDS does not do: a thread that announces it to hosts from the
//! configuration, and that acknowledges to it what it announced.
//!
//! RustDDS announces itself to a multicast group and to its own host. It answers an announcement of somebody new
//! by unicast, though, so it is enough that one side of two is told of the other.
//!
//! It also expects a receipt of itself for each reader, writer and topic that it announces, and asks everybody it
//! knows for what is missing, ten times a second. With only a loopback address its own question never reaches it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::acknowledgement::Announced;
use crate::discovered::prefix_of;
use crate::error::DdsError;
use crate::introduction::Introduced;
use crate::ports::discovery_port;

/// Participants of one host that are told: as many as RustDDS looks for on its own host.
const PARTICIPANTS: u16 = 12;

/// RustDDS first asks for receipts a second after it began; until then they have to be there.
const ACKNOWLEDGED: Duration = Duration::from_millis(500);

/// Peers are told with each second acknowledgement: announcements of RustDDS are ten seconds apart, and a peer that
/// missed one is not to wait so long.
const ANNOUNCED: u32 = 2;

/// Speaks for a participant for as long as it lives.
pub(crate) struct Attendant {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Attendant {
    /// Begins; the peers are told at once.
    pub(crate) fn start(
        introduced: Introduced,
        peers: Vec<Ipv4Addr>,
        announced: Arc<Announced>,
    ) -> std::io::Result<Self> {
        let socket = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
        let sockets = peers.into_iter().map(|peer| Ok((peer, socket()?)));
        let sockets = sockets.collect::<std::io::Result<Vec<_>>>()?;
        let itself = socket()?;
        itself.connect((Ipv4Addr::LOCALHOST, discovery_port(introduced.domain, introduced.participant)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("attendant".into()).spawn(move || {
            let mut turn: u32 = 0;
            while !stopped.load(Ordering::Relaxed) {
                if turn.is_multiple_of(ANNOUNCED) {
                    for (peer, socket) in &sockets {
                        introduce(&introduced, *peer, socket);
                    }
                }
                turn = turn.wrapping_add(1);
                // What is lost is repeated.
                let _ = itself.send(&announced.acknowledged(prefix_of(introduced.guid), turn));
                thread::park_timeout(ACKNOWLEDGED);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Tells every participant that the host may have. What fails is repeated in a second anyway.
fn introduce(introduced: &Introduced, peer: Ipv4Addr, socket: &UdpSocket) {
    let port = |participant| discovery_port(introduced.domain, participant);
    // Connecting sends nothing: it finds out from which of this host's addresses the peer is reached.
    let Ok(IpAddr::V4(from)) =
        socket.connect((peer, port(0))).and_then(|()| socket.local_addr()).map(|at| at.ip())
    else {
        return;
    };
    let datagram = introduced.datagram(from);
    for participant in 0..PARTICIPANTS {
        let to = (peer, port(participant));
        // A port without a participant refuses; the next one may not.
        let _ = socket.connect(to).and_then(|()| socket.send(&datagram));
    }
}

/// The peers as IPv4 addresses, on interfaces that have no multicast.
pub(crate) fn check_peers(peers: &[IpAddr], interfaces: &[IpAddr]) -> Result<Vec<Ipv4Addr>, DdsError> {
    let peers = peers.iter().map(|peer| match peer {
        IpAddr::V4(peer) => Ok(*peer),
        IpAddr::V6(_) => Err(DdsError::Peer(*peer)),
    });
    let peers = peers.collect::<Result<Vec<_>, _>>()?;
    // Without peers no interface can be wrong for them.
    if peers.is_empty() {
        return Ok(peers);
    }
    for interface in netdev::get_interfaces() {
        let address = |net: &netdev::ipnet::Ipv4Net| IpAddr::V4(net.addr());
        let used = |at: &IpAddr| interfaces.is_empty() || interfaces.contains(at);
        let address = interface.ipv4.iter().map(address).find(used);
        if let Some(address) = address.filter(|_| interface.is_multicast()) {
            return Err(DdsError::Multicast { address, name: interface.name });
        }
    }
    Ok(peers)
}
