//! What crosses the network, and what becomes of it.

use common::id::{BlobId, NodeId, RunId};
use common::units::Timestamp;
use coordinator::engine::Wish;
use node::participant::Trained;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use super::faults::Event;

/// How the network treats a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Chunks and receipts lost, in percent.
    pub loss_percent: u32,
    /// Sent twice, in percent.
    pub twice_percent: u32,
    /// The longest a datagram takes, in microseconds; each takes a random part of it, so they overtake.
    pub delay_micros: u32,
}

/// What will come at a time.
#[derive(Debug)]
pub(super) enum Arrival {
    Datagram(Datagram),
    /// What this life of a node's process trained.
    Trained(usize, u64, Trained),
    /// What this life of the coordinator's process had begun for a run is done.
    Granted(u64, RunId, Wish),
    Happens(Event),
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) enum Datagram {
    ToNode(usize, NodeDatagram),
    ToCoordinator(CoordinatorDatagram),
}

/// What a node hears.
#[derive(Clone, Debug)]
pub(super) enum NodeDatagram {
    Hello(Vec<u8>),
    Announcement(Vec<u8>),
    Roster(Vec<u8>),
    Chunk(BlobId, u32, Vec<u8>),
    Receipt(BlobId, Vec<u8>),
}

/// What the coordinator hears.
#[derive(Clone, Debug)]
pub(super) enum CoordinatorDatagram {
    Presence(Vec<u8>),
    Receipt(BlobId, NodeId, Vec<u8>),
    Update(BlobId, u32, Vec<u8>),
}

impl Datagram {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::ToNode(
                _,
                NodeDatagram::Hello(bytes)
                | NodeDatagram::Announcement(bytes)
                | NodeDatagram::Roster(bytes)
                | NodeDatagram::Chunk(_, _, bytes)
                | NodeDatagram::Receipt(_, bytes),
            )
            | Self::ToCoordinator(
                CoordinatorDatagram::Presence(bytes)
                | CoordinatorDatagram::Receipt(_, _, bytes)
                | CoordinatorDatagram::Update(_, _, bytes),
            ) => bytes,
        }
    }

    /// What a carrier may alter unseen by the network's own checksums: a piece of a model or of an update.
    pub(super) fn content(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::ToNode(_, NodeDatagram::Chunk(_, _, bytes))
            | Self::ToCoordinator(CoordinatorDatagram::Update(_, _, bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// DDS repairs what tells of state.
    pub(super) fn is_reliable(&self) -> bool {
        matches!(
            self,
            Self::ToNode(_, NodeDatagram::Hello(_) | NodeDatagram::Announcement(_) | NodeDatagram::Roster(_))
                | Self::ToCoordinator(CoordinatorDatagram::Presence(_))
        )
    }
}

impl Network {
    /// When a datagram arrives: never, once or twice. DDS repairs what is sent reliably.
    pub(super) fn fate(self, reliable: bool, now: Timestamp, random: &mut ChaCha20Rng) -> Vec<Timestamp> {
        let Self { loss_percent, twice_percent, delay_micros } = self;
        let mut dice = |percent: u32| random.next_u32() % 100 < percent;
        let copies = match (dice(loss_percent) && !reliable, dice(twice_percent)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        let base = now.0 + 50;
        (0..copies).map(|_| Timestamp(base + u64::from(random.next_u32() % (delay_micros + 1)))).collect()
    }
}

/// Alters one bit.
pub(super) fn alter(bytes: &mut [u8], random: &mut ChaCha20Rng) {
    if !bytes.is_empty() {
        let at = random.next_u32() as usize % bytes.len();
        bytes[at] ^= 1 << (random.next_u32() % 8);
    }
}
