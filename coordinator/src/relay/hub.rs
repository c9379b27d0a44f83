//! What goes where: from the site to the peers, from a peer to the site and to the other peers.

use std::collections::BTreeMap;

use common::id::NodeId;
use common::units::Timestamp;
use dds::Qos;

use super::frame::{Sample, TopicSet};
use super::newest::Newest;
use super::outlet::{Counts, Outlet, QueueLimits};

/// Where a sample comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The domain that the relay has joined.
    Site,
    /// The relay at another site.
    Peer(NodeId),
}

/// A relay as a state machine: samples, connections and time in; what to write is asked for when there is room.
#[derive(Debug)]
pub struct Hub {
    newest: Newest,
    limits: QueueLimits,
    site: Outlet,
    /// Those that are connected.
    peers: BTreeMap<NodeId, Outlet>,
    /// Of connections that are over.
    past: BTreeMap<NodeId, Counts>,
    read_here: TopicSet,
}

impl Hub {
    /// Nobody is connected, and nobody is known to read here.
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            newest: Newest::default(),
            limits,
            site: Outlet::new(Side::Site, TopicSet::ALL, limits),
            peers: BTreeMap::new(),
            past: BTreeMap::new(),
            read_here: TopicSet::default(),
        }
    }

    /// A peer is connected (again). It gets nothing until it says what is read there.
    pub fn on_connected(&mut self, peer: NodeId) {
        self.on_lost(peer);
        let outlet = Outlet::new(Side::Peer(peer), TopicSet::default(), self.limits);
        self.peers.insert(peer, outlet);
    }

    /// A peer is not connected any more; what waits for it is dropped.
    pub fn on_lost(&mut self, peer: NodeId) {
        if let Some(mut outlet) = self.peers.remove(&peer) {
            outlet.clear();
            let (past, counts) = (self.past.entry(peer).or_default(), outlet.counts());
            *past = sum(*past, counts);
        }
    }

    /// A peer says which topics are read there.
    pub fn on_wanted(&mut self, peer: NodeId, wanted: TopicSet) {
        if let Some(outlet) = self.peers.get_mut(&peer) {
            outlet.on_wanted(wanted, &self.newest);
        }
    }

    /// These topics are read at the site.
    pub fn on_read_here(&mut self, topics: TopicSet) {
        self.read_here = topics;
    }

    /// Takes a sample.
    pub fn on_sample(&mut self, from: Side, sample: &Sample, now: Timestamp) {
        if matches!(sample.topic.topic().qos(), Qos::State { .. }) {
            self.newest.keep(from, sample, now);
        }
        if from != Side::Site {
            self.site.push(sample);
            if self.site.is_over() {
                // There is no connection to begin anew; what is repeated comes again, and the count tells.
                self.site.clear();
            }
        }
        for (_, outlet) in self.peers.iter_mut().filter(|(peer, _)| from != Side::Peer(**peer)) {
            outlet.push(sample);
        }
    }

    /// What to tell a peer: the topics that are read behind this relay, as that peer sees it.
    pub fn wanted_from(&self, peer: NodeId) -> TopicSet {
        let others = self.peers.iter().filter(|(other, _)| **other != peer);
        others.fold(self.read_here, |set, (_, outlet)| set.union(outlet.wanted()))
    }

    /// What to write next.
    pub fn next(&mut self, to: Side, now: Timestamp) -> Option<Sample> {
        let outlet = match to {
            Side::Site => &mut self.site,
            Side::Peer(peer) => self.peers.get_mut(&peer)?,
        };
        outlet.next(&self.newest, now)
    }

    /// Peers too slow for what must not be lost: their connections are to be closed and begun anew.
    pub fn too_slow(&self) -> Vec<NodeId> {
        self.peers.iter().filter(|(_, outlet)| outlet.is_over()).map(|(peer, _)| *peer).collect()
    }

    /// Whether a peer is connected.
    pub fn is_connected(&self, peer: NodeId) -> bool {
        self.peers.contains_key(&peer)
    }

    /// What has gone there since the relay started.
    pub fn counts(&self, to: Side) -> Counts {
        match to {
            Side::Site => self.site.counts(),
            Side::Peer(peer) => {
                let now = self.peers.get(&peer).map(Outlet::counts).unwrap_or_default();
                sum(now, self.past.get(&peer).copied().unwrap_or_default())
            }
        }
    }
}

fn sum(one: Counts, other: Counts) -> Counts {
    Counts {
        samples: one.samples + other.samples,
        bytes: one.bytes + other.bytes,
        dropped: one.dropped + other.dropped,
    }
}
