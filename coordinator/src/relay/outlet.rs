//! What waits for one receiver: a peer's connection, or the site itself. Everything in it is bounded.
//!
//! The state of a topic waits as keys alone, and the newest sample is sent when its turn comes. Receipts and chunks
//! wait in lanes in which a sample takes the place of an older one of the same key: many nodes that ask for one chunk
//! are answered by one. When a lane is full its oldest samples are dropped, and receipts repair that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::units::Timestamp;
use dds::Qos;

use super::frame::{Carried, Sample, TopicSet};
use super::hub::Side;
use super::newest::{Newest, StateKey};

/// How much may wait for one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes of chunks.
    pub chunk_bytes: usize,
}

/// Bytes of receipts that may wait: those of some thousand nodes.
const RECEIPT_BYTES_MAX: usize = 4 << 20;

/// Bytes of messages that may wait; over it the receiver is too slow for what must not be lost.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Keys of state that may wait; a cohort has 4096 nodes.
const STATE_KEYS_MAX: usize = 16_384;

/// Bodies up to here are receipts, larger ones chunks.
const RECEIPT_BODY_MAX: usize = 4096;

/// What a waiting sample costs besides its bytes, generously.
const SAMPLE_COST: usize = 256;

/// What was sent to a receiver, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples taken out.
    pub samples: u64,
    /// Bytes of their keys and bodies.
    pub bytes: u64,
    /// Samples dropped because too many waited, or because the connection was lost.
    pub dropped: u64,
}

/// The queues of one receiver.
#[derive(Debug)]
pub(super) struct Outlet {
    side: Side,
    wanted: TopicSet,
    counts: Counts,
    changed: VecDeque<StateKey>,
    is_changed: BTreeSet<StateKey>,
    messages: VecDeque<Sample>,
    message_bytes: usize,
    receipts: Lane,
    chunks: Lane,
}

impl Outlet {
    pub(super) fn new(side: Side, wanted: TopicSet, limits: QueueLimits) -> Self {
        let (changed, is_changed, messages) = Default::default();
        Self {
            side,
            wanted,
            counts: Counts::default(),
            changed,
            is_changed,
            messages,
            message_bytes: 0,
            receipts: Lane::new(RECEIPT_BYTES_MAX),
            chunks: Lane::new(limits.chunk_bytes),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn wanted(&self) -> TopicSet {
        self.wanted
    }

    /// Its receiver reads these topics now. Of those that are new to it, it is told all that is true.
    pub(super) fn on_wanted(&mut self, wanted: TopicSet, newest: &Newest) {
        let gained = wanted.without(self.wanted);
        self.wanted = wanted;
        let is_state = |topic: &Carried| matches!(topic.topic().qos(), Qos::State { .. });
        for topic in Carried::all().filter(|topic| gained.contains(*topic)).filter(is_state) {
            newest.keys(topic).for_each(|key| self.change(key));
        }
    }

    /// Takes a sample that did not come from its receiver; the state of its topic is in the table already.
    pub(super) fn push(&mut self, sample: &Sample) {
        if !self.wanted.contains(sample.topic) {
            return;
        }
        let topic = sample.topic.topic();
        match topic.qos() {
            Qos::State { .. } => self.change((sample.topic, sample.key.clone())),
            Qos::Message { .. } => {
                self.message_bytes += cost(sample);
                self.messages.push_back(sample.clone());
            }
            Qos::Chunk { .. } if topic.body_bytes_max() <= RECEIPT_BODY_MAX => {
                self.counts.dropped += self.receipts.push(sample.clone());
            }
            Qos::Chunk { .. } => self.counts.dropped += self.chunks.push(sample.clone()),
        }
    }

    /// Whether more waits of what must not be lost than may.
    pub(super) fn is_over(&self) -> bool {
        self.message_bytes > MESSAGE_BYTES_MAX || self.changed.len() > STATE_KEYS_MAX
    }

    /// Forgets all that waits, and counts it.
    pub(super) fn clear(&mut self) {
        let waiting = self.changed.len() + self.messages.len() + self.receipts.len() + self.chunks.len();
        self.counts.dropped += waiting as u64;
        self.changed.clear();
        self.is_changed.clear();
        self.messages.clear();
        self.message_bytes = 0;
        self.receipts.clear();
        self.chunks.clear();
    }

    /// What goes out next: state before messages before receipts before chunks.
    pub(super) fn next(&mut self, newest: &Newest, now: Timestamp) -> Option<Sample> {
        let sample = self.next_state(newest, now).or_else(|| self.next_message());
        let sample = sample.or_else(|| self.receipts.pop()).or_else(|| self.chunks.pop())?;
        self.counts.samples += 1;
        self.counts.bytes += (sample.key.len() + sample.body.len()) as u64;
        Some(sample)
    }

    fn change(&mut self, key: StateKey) {
        if self.is_changed.insert(key.clone()) {
            self.changed.push_back(key);
        }
    }

    fn next_state(&mut self, newest: &Newest, now: Timestamp) -> Option<Sample> {
        loop {
            let key = self.changed.pop_front()?;
            self.is_changed.remove(&key);
            if let Some(sample) = newest.sample(&key, self.side, now) {
                return Some(sample);
            }
        }
    }

    fn next_message(&mut self) -> Option<Sample> {
        let message = self.messages.pop_front()?;
        self.message_bytes -= cost(&message);
        Some(message)
    }
}

/// Samples in the order of their keys' coming.
#[derive(Debug)]
struct Lane {
    bytes_max: usize,
    bytes: usize,
    waiting: BTreeMap<u64, Sample>,
    places: BTreeMap<StateKey, u64>,
    came: u64,
}

impl Lane {
    fn new(bytes_max: usize) -> Self {
        let (waiting, places) = Default::default();
        Self { bytes_max, bytes: 0, waiting, places, came: 0 }
    }

    fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a sample; returns how many had to go for it.
    fn push(&mut self, sample: Sample) -> u64 {
        self.came += 1;
        let place = *self.places.entry((sample.topic, sample.key.clone())).or_insert(self.came);
        self.bytes += cost(&sample);
        self.bytes -= self.waiting.insert(place, sample).as_ref().map_or(0, cost);
        let mut dropped = 0;
        // The newest stays, however small the lane is.
        while self.bytes > self.bytes_max && self.waiting.len() > 1 {
            self.pop();
            dropped += 1;
        }
        dropped
    }

    fn pop(&mut self) -> Option<Sample> {
        let (_, sample) = self.waiting.pop_first()?;
        self.places.remove(&(sample.topic, sample.key.clone()));
        self.bytes -= cost(&sample);
        Some(sample)
    }

    fn clear(&mut self) {
        *self = Self::new(self.bytes_max);
    }
}

fn cost(sample: &Sample) -> usize {
    sample.key.len() + sample.body.len() + SAMPLE_COST
}
