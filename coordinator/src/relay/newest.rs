//! The newest sample of each key of the topics that say what is true now, for sites that are connected later.

use std::collections::BTreeMap;

use bytes::Bytes;
use common::units::{Millis, Timestamp};

use super::frame::{COUNT, Carried, Sample};
use super::hub::Side;

/// A topic and a key.
pub(super) type StateKey = (Carried, Bytes);

/// Bytes kept of one topic; the key told longest ago makes room. Announcement and hello of a full cohort have half a
/// megabyte together, the presences of its nodes two.
const TOPIC_BYTES_MAX: usize = 8 << 20;

/// What a key costs besides its bytes, generously.
const KEY_COST: usize = 256;

/// Hellos are repeated each second: whoever has not repeated its own for this long is gone, and is not told of any
/// more. Announcements are not repeated like that, and are kept.
const RENEWED: Millis = Millis(10_000);

/// The newest samples.
#[derive(Debug, Default)]
pub(super) struct Newest {
    entries: BTreeMap<StateKey, Entry>,
    /// By topic and by when they were told.
    order: BTreeMap<(Carried, u64), Bytes>,
    bytes: [usize; COUNT],
    told: u64,
}

#[derive(Debug)]
struct Entry {
    body: Bytes,
    from: Side,
    at: Timestamp,
    told: u64,
}

impl Newest {
    /// Notes a sample; the one that it replaces is forgotten.
    pub(super) fn keep(&mut self, from: Side, sample: &Sample, now: Timestamp) {
        let Sample { topic, key, body } = sample.clone();
        self.forget(&(topic, key.clone()));
        self.told += 1;
        self.bytes[topic.index()] += cost(&key, &body);
        self.order.insert((topic, self.told), key.clone());
        self.entries.insert((topic, key), Entry { body, from, at: now, told: self.told });
        while self.bytes[topic.index()] > TOPIC_BYTES_MAX {
            let oldest = self.order.range((topic, 0)..=(topic, u64::MAX)).next();
            let Some(key) = oldest.map(|(_, key)| key.clone()) else { break };
            self.forget(&(topic, key));
        }
    }

    /// What to tell `to` of a key: nothing when it came from there, or when nobody stands by it any more.
    pub(super) fn sample(&self, key: &StateKey, to: Side, now: Timestamp) -> Option<Sample> {
        let entry = self.entries.get(key)?;
        let is_told = entry.from != to && !is_gone(key.0, entry.at, now);
        is_told.then(|| Sample { topic: key.0, key: key.1.clone(), body: entry.body.clone() })
    }

    /// All keys of a topic, those told longest ago first.
    pub(super) fn keys(&self, topic: Carried) -> impl Iterator<Item = StateKey> {
        self.order.range((topic, 0)..=(topic, u64::MAX)).map(move |(_, key)| (topic, key.clone()))
    }

    fn forget(&mut self, key: &StateKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&(key.0, entry.told));
            self.bytes[key.0.index()] -= cost(&key.1, &entry.body);
        }
    }
}

fn is_gone(topic: Carried, at: Timestamp, now: Timestamp) -> bool {
    *topic.topic() != dds::topics::ANNOUNCE && now >= at + RENEWED
}

fn cost(key: &Bytes, body: &Bytes) -> usize {
    key.len() + body.len() + KEY_COST
}
