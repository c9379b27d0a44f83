//! Three kinds of traffic, each with every limit spelled out.

use rustdds::policy::{Durability, History, Reliability, ResourceLimits};
use rustdds::{Duration, QosPolicies, QosPolicyBuilder};

/// Samples that a `State` or `Message` writer may have unacknowledged. A peer that was killed keeps its place
/// for 50 s (the SPDP lease of RustDDS): this is what may be written until then.
const UNACKNOWLEDGED_MAX: i32 = 4096;

/// How a topic's samples are delivered, kept and bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// What is true now: reliable, and a reader that joins late gets the last sample of each of the `keys` most
    /// recently written keys (besides, perhaps, older samples before it: the last one of a key counts).
    State {
        /// Keys that one writer keeps for late joiners.
        keys: u16,
    },
    /// What happened: reliable, only for readers that are there.
    Message {
        /// Samples that a reader keeps; the oldest are lost when it falls further behind.
        samples: u16,
    },
    /// Bulk: best effort, so no heartbeat and no acknowledgement. Loss is repaired by receipts above.
    Chunk {
        /// Samples that a reader keeps; the oldest are lost when it falls further behind.
        unread: u16,
        /// Samples that a writer keeps until they are on the wire; the oldest are lost when it is ahead by more.
        unsent: u16,
    },
}

impl Qos {
    /// Samples in a reader's cache.
    pub(crate) const fn reader_samples_max(self) -> usize {
        match self {
            // A late joiner is sent all of a writer's history at once.
            Self::State { keys } => 4 * history_depth(keys) as usize,
            Self::Message { samples } => samples as usize,
            Self::Chunk { unread, .. } => unread as usize,
        }
    }

    pub(crate) fn reader_policies(self) -> QosPolicies {
        let samples = i32::try_from(self.reader_samples_max()).unwrap_or(i32::MAX);
        let qos = bounded(samples).history(History::KeepLast { depth: samples });
        match self {
            Self::State { .. } => qos.durability(Durability::TransientLocal).reliability(RELIABLE),
            Self::Message { .. } => qos.durability(Durability::Volatile).reliability(RELIABLE),
            Self::Chunk { .. } => qos.durability(Durability::Volatile).reliability(Reliability::BestEffort),
        }
        .build()
    }

    pub(crate) fn writer_policies(self) -> QosPolicies {
        match self {
            Self::State { keys } => bounded(UNACKNOWLEDGED_MAX)
                .history(History::KeepLast { depth: i32::from(history_depth(keys)) })
                .durability(Durability::TransientLocal)
                .reliability(RELIABLE),
            Self::Message { .. } => bounded(UNACKNOWLEDGED_MAX)
                .history(History::KeepLast { depth: 1 })
                .durability(Durability::Volatile)
                .reliability(RELIABLE),
            // Not volatile, although nothing is ever replayed: for every reader that joins a volatile writer
            // RustDDS lists each sequence number written before, and a best-effort reader never clears the list.
            Self::Chunk { unsent, .. } => bounded(i32::from(unsent))
                .history(History::KeepLast { depth: i32::from(unsent) })
                .durability(Durability::TransientLocal)
                .reliability(Reliability::BestEffort),
        }
        .build()
    }
}

/// Samples of history behind `keys` keys: twice as many, so that a key is written again only after at least as
/// many other samples as there are keys.
pub(crate) const fn history_depth(keys: u16) -> u16 {
    keys.saturating_mul(2)
}

/// A write never blocks the thread it is called on: a full window is an error at once.
const RELIABLE: Reliability = Reliability::Reliable { max_blocking_time: Duration::ZERO };

fn bounded(samples: i32) -> QosPolicyBuilder {
    QosPolicyBuilder::new().resource_limits(ResourceLimits {
        max_samples: samples,
        max_instances: 1,
        max_samples_per_instance: samples,
    })
}
