//! The relay's loop: DDS at the site, TLS to the other sites, and the clock around [`Hub`].

mod door;
mod site;
mod stream;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use common::crypto::{CustodyError, Identity, Label};
use common::id::NodeId;
use common::known::Known;
use common::message::Signed;
use common::message::relay::{RelayPeer, RelayStatus};
use common::units::{ByteCount, Millis, Timestamp};
use common::wire::Text;
use edge::{Stop, log_to_stderr, now};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::config::{Place, RelayConfig};
use crate::folder::RelayFolder;
use crate::relay::{Counts, Frame, Hub, QueueLimits, Side, TopicSet};
use door::Door;
use site::{Read, Site};
use stream::Event;
use tls::Tls;

/// Time is looked at this often.
const TICK: Duration = Duration::from_millis(100);

/// A peer is told this often that this relay is there.
const ALIVE: Millis = Millis(1000);

/// Discovery is asked this often what is read at the site.
const LOOK: Millis = Millis(500);

/// Operators are told this often how it goes.
const TELL: Millis = Millis(5000);

/// A site at which nothing is heard for this long is joined anew: a participant of RustDDS now and then never matches
/// its peers. Doubled each time, up to [`DEAF_MAX`].
const DEAF: Millis = Millis(10_000);

/// The longest wait before joining anew.
const DEAF_MAX: Millis = Millis(60_000);

/// Frames are encrypted and sent in batches of about this size: large enough for few system calls, small enough that
/// what is urgent soon has its turn.
const BATCH_BYTES: usize = 128 * 1024;

/// How long the goodbyes of all connections may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// Events of connections that were not looked at yet.
const EVENTS_MAX: usize = 32;

/// An opened connection.
struct Connection {
    number: u64,
    address: SocketAddr,
    batches: mpsc::Sender<Vec<u8>>,
    /// Whether the last batch is on its way.
    is_free: bool,
    /// What it was told last is read behind this relay.
    told: Option<TopicSet>,
    alive_at: Timestamp,
}

/// Everything the loop holds.
struct Relay {
    identity: Identity,
    name: String,
    peers: Known,
    dds: dds::Config,
    hub: Hub,
    site: Site,
    samples: mpsc::Receiver<Read>,
    connections: BTreeMap<NodeId, Connection>,
    look_at: Timestamp,
    tell_at: Timestamp,
    heard: Timestamp,
    deaf_after: Millis,
    /// When a refusal was told last, and what; the same one is not told again at once.
    refused: (Timestamp, String),
}

/// Joins sites until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the folder, the address or DDS cannot be opened, or nothing can be signed any more.
pub async fn relay(dir: &Path) -> Result<()> {
    log_to_stderr();
    edge::keep_secrets().context("core dumps cannot be forbidden")?;
    let RelayFolder { config, identity } = RelayFolder::open(dir)?;
    let RelayConfig { name, dds, place, peers, chunk_bytes, .. } = config;
    let tls = Tls::new(identity.clone(), &peers).context("the identity cannot be used for TLS")?;
    let (events, mut happened) = mpsc::channel(EVENTS_MAX);
    let door = Door { tls, events, connections: Arc::default() };
    let (site, samples) = Site::join(&dds)?;
    tracing::info!(
        name,
        id = %identity.node_id(),
        domain = dds.domain,
        peers = peers.len(),
        "relaying; {place}"
    );
    let mut stop = Stop::listen()?;
    let connecting = match place {
        Place::Listen(address) => tokio::spawn(door.listen(address).await?),
        Place::Connect(to) => tokio::spawn(door.connect(to)),
    };
    let start = now();
    let mut relay = Relay {
        identity,
        name,
        peers,
        dds,
        hub: Hub::new(QueueLimits { chunk_bytes }),
        site,
        samples,
        connections: BTreeMap::new(),
        look_at: start,
        tell_at: start,
        heard: start,
        deaf_after: DEAF,
        refused: (Timestamp::default(), String::new()),
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            Some((sample, writer)) = relay.samples.recv() => {
                if relay.site.is_carried(writer) {
                    (relay.heard, relay.deaf_after) = (now(), DEAF);
                    relay.hub.on_sample(Side::Site, &sample, now());
                }
            }
            Some(event) = happened.recv() => relay.on_event(event),
            _ = ticks.tick() => relay.on_tick().await?,
        }
        relay.carry_out();
    }
    relay.tell_counts();
    relay.part(&mut happened).await;
    connecting.abort();
    relay.site.leave().await;
    Ok(())
}

impl Relay {
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Opened { connection: number, peer, address, batches } => {
                tracing::info!(%address, "connected to relay `{}`", self.name_of(peer));
                let (is_free, told, alive_at) = (true, None, now());
                let connection = Connection { number, address, batches, is_free, told, alive_at };
                // One that it replaces ends when its batches do.
                self.connections.insert(peer, connection);
                self.hub.on_connected(peer);
            }
            Event::Frame { connection, frame } => {
                let Some(peer) = self.peer_of(connection) else { return };
                match frame {
                    Frame::Alive(wanted) => self.hub.on_wanted(peer, wanted),
                    Frame::Sample(sample) => self.hub.on_sample(Side::Peer(peer), &sample, now()),
                }
            }
            Event::Sent { connection } => {
                if let Some(sent) = self.connections.values_mut().find(|known| known.number == connection) {
                    sent.is_free = true;
                }
            }
            Event::Closed { connection, why } => {
                if let Some(peer) = self.peer_of(connection) {
                    self.lose(peer, &why);
                }
            }
            Event::Refused { who, why } => self.on_refused(&who, &why),
        }
    }

    fn on_refused(&mut self, who: &str, why: &str) {
        let (at, before) = &self.refused;
        if before != why || now() >= *at + TELL {
            tracing::warn!("no connection with {who}: {why}");
            self.refused = (now(), why.to_owned());
        }
    }

    fn lose(&mut self, peer: NodeId, why: &str) {
        if let Some(connection) = self.connections.remove(&peer) {
            tracing::warn!(address = %connection.address, "relay `{}` is lost: {why}", self.name_of(peer));
            self.hub.on_lost(peer);
        }
    }

    async fn on_tick(&mut self) -> Result<()> {
        self.site.retry();
        if now() >= self.look_at {
            self.look_at = now() + LOOK;
            self.hub.on_read_here(self.site.topics_read());
        }
        if now() >= self.tell_at {
            self.tell_at = now() + TELL;
            self.site.tell(&self.identity.node_id().0, &self.status()?);
        }
        if now() >= self.heard + self.deaf_after {
            self.heard = now();
            self.deaf_after = Millis(self.deaf_after.0 * 2).min(DEAF_MAX);
            tracing::debug!("nothing is heard at this site: joining it anew");
            // The new one is there before the old one goes: a site is never without its relay.
            let (site, samples) = Site::join(&self.dds)?;
            self.samples = samples;
            std::mem::replace(&mut self.site, site).leave().await;
            self.look_at = now();
            self.tell_at = now();
        }
        Ok(())
    }

    /// Says goodbye on all connections, so that the other ends need not guess.
    async fn part(&mut self, happened: &mut mpsc::Receiver<Event>) {
        let mut open = std::mem::take(&mut self.connections).len();
        let parting = async {
            while open > 0
                && let Some(event) = happened.recv().await
            {
                open -= usize::from(matches!(event, Event::Closed { .. }));
            }
        };
        // Whoever does not take it in this time finds out by itself.
        let _ = timeout(GOODBYE, parting).await;
    }

    /// Writes what there is to write, wherever there is room.
    fn carry_out(&mut self) {
        let now = now();
        while let Some(sample) = self.hub.next(Side::Site, now) {
            self.site.write(sample);
        }
        for peer in self.hub.too_slow() {
            self.lose(peer, "it is too slow for what must not be lost; it is to connect again");
        }
        for (peer, connection) in self.connections.iter_mut().filter(|(_, connection)| connection.is_free) {
            let mut batch = Vec::new();
            let wanted = self.hub.wanted_from(*peer);
            if now >= connection.alive_at || connection.told != Some(wanted) {
                connection.alive_at = now + ALIVE;
                connection.told = Some(wanted);
                Frame::Alive(wanted).encode(&mut batch);
            }
            while batch.len() < BATCH_BYTES
                && let Some(sample) = self.hub.next(Side::Peer(*peer), now)
            {
                Frame::Sample(sample).encode(&mut batch);
            }
            // A connection that has ended says so by an event.
            connection.is_free = batch.is_empty() || connection.batches.try_send(batch).is_err();
        }
    }

    fn peer_of(&self, connection: u64) -> Option<NodeId> {
        let found = self.connections.iter().find(|(_, known)| known.number == connection);
        found.map(|(peer, _)| *peer)
    }

    fn name_of(&self, peer: NodeId) -> &str {
        self.peers.get(&peer).map_or("?", |known| known.name.as_str())
    }

    fn status(&self) -> Result<Vec<u8>, CustodyError> {
        let text = |name: &str| Text::try_from(name).expect("names were bounded when they were read");
        let peers: Vec<RelayPeer> = self
            .peers
            .iter()
            .map(|(peer, known)| {
                let Counts { samples, bytes, dropped } = self.hub.counts(Side::Peer(*peer));
                let is_connected = self.hub.is_connected(*peer);
                RelayPeer { name: text(&known.name), is_connected, samples, bytes, dropped }
            })
            .collect();
        let peers = peers.try_into().expect("their number was bounded when they were read");
        let status = RelayStatus { at: now(), name: text(&self.name), peers };
        Signed::seal(&self.identity, Label::Relay, &status)
    }

    fn tell_counts(&self) {
        let sides = self.peers.keys().map(|peer| Side::Peer(*peer));
        for side in sides.chain([Side::Site]) {
            let Counts { samples, bytes, dropped } = self.hub.counts(side);
            let to = match side {
                Side::Site => "this site",
                Side::Peer(peer) => self.name_of(peer),
            };
            tracing::info!(samples, bytes = %ByteCount(bytes), dropped, "carried to {to}");
        }
        tracing::info!("stopping");
    }
}
