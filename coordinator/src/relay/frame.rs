//! What travels on the stream between two relays, in both directions: one version byte, then frames.
//!
//! ```text
//! frame   kind (1) | topic (1) | set of topics (2) | length (4) | key | body        little-endian
//! alive   kind 1, topic 0, the topics that are read behind its sender, length 0
//! sample  kind 2, a topic's number, set 0, the bytes of key and body; the topic tells how long the key is
//! ```
//!
//! A field that a kind does not use is zero, so a frame has one encoding. All limits are checked with the header: what
//! is over them is refused before it is received.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dds::{Topic, topics};

/// The first byte of each stream. Another version is refused, never guessed at.
pub const STREAM_VERSION: u8 = 1;

/// Bytes before key and body.
const HEADER_BYTES: usize = 8;

const ALIVE: u8 = 1;
const SAMPLE: u8 = 2;

/// How many topics are carried.
pub(super) const COUNT: usize = 14;

/// What is carried: a topic's place is its number on the stream, so new ones are added at the end.
pub static CARRIED: [Topic; COUNT] = [
    topics::ANNOUNCE,
    topics::HELLO,
    topics::PRESENCE,
    topics::MODEL_CHUNK,
    topics::UPDATE_CHUNK,
    topics::MODEL_RECEIPT,
    topics::UPDATE_RECEIPT,
    topics::EVENT,
    topics::INTAKE,
    topics::BRIDGE,
    topics::RECORD_CHUNK,
    topics::RECORD_RECEIPT,
    topics::ROSTER,
    topics::CERTIFICATE,
];

/// The number of a topic in [`CARRIED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Carried(u8);

impl Carried {
    /// All of them, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT as u8).map(Self)
    }

    /// The topic with this name, if it is carried.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|carried| carried.topic().name() == name)
    }

    /// The topic.
    pub fn topic(self) -> &'static Topic {
        &CARRIED[self.index()]
    }

    /// Its place in [`CARRIED`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Some of the topics that are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicSet(u16);

impl TopicSet {
    /// All of them.
    pub const ALL: Self = Self((1 << COUNT) - 1);

    /// Whether a topic is one of them.
    pub fn contains(self, topic: Carried) -> bool {
        self.0 & (1 << topic.0) != 0
    }

    /// Those of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of this set that are not in the other one.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<Carried> for TopicSet {
    fn from_iter<I: IntoIterator<Item = Carried>>(topics: I) -> Self {
        Self(topics.into_iter().fold(0, |set, topic| set | 1 << topic.0))
    }
}

/// A sample of a topic, as DDS carries it. Nothing in it is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Of which topic.
    pub topic: Carried,
    /// As many bytes as the topic's keys have.
    pub key: Bytes,
    /// At most as many bytes as the topic allows.
    pub body: Bytes,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The sender is there, and these topics are read at its site or, at a hub, at another spoke's.
    Alive(TopicSet),
    /// A sample.
    Sample(Sample),
}

/// Why bytes are no stream of frames. The connection is closed: nothing after them can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The stream begins with another version.
    #[error("it speaks version {0} of the stream, this relay {STREAM_VERSION}")]
    Version(u8),
    /// A kind of frame that this version does not know.
    #[error("a frame of the unknown kind {0}")]
    Kind(u8),
    /// A topic that this version does not carry.
    #[error("a sample of the unknown topic {0}")]
    Topic(u8),
    /// Topics that this version does not carry.
    #[error("a set of topics with unknown bits: {0:#06x}")]
    Set(u16),
    /// A field that is not zero although its kind of frame has no use for it.
    #[error("a frame with something in a field that it has no use for")]
    Unused,
    /// Shorter than its key, or longer than its topic allows.
    #[error("a sample of topic {topic} has {min} to {max} bytes, not {said}")]
    Length {
        /// Which topic.
        topic: &'static str,
        /// Bytes announced.
        said: usize,
        /// Bytes of its key.
        min: usize,
        /// The most of key and body.
        max: usize,
    },
}

impl Frame {
    /// Appends the encoding. Key and body of a sample have the sizes of its topic.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Alive(topics) => {
                out.put_slice(&[ALIVE, 0]);
                out.put_u16_le(topics.0);
                out.put_u32_le(0);
            }
            Self::Sample(Sample { topic, key, body }) => {
                out.put_slice(&[SAMPLE, topic.0, 0, 0]);
                out.put_u32_le((key.len() + body.len()) as u32);
                out.put_slice(key);
                out.put_slice(body);
            }
        }
    }
}

/// What a header says.
enum Header {
    Alive(TopicSet),
    /// A topic, and the bytes of key and body.
    Sample(Carried, usize),
}

fn header(bytes: [u8; HEADER_BYTES]) -> Result<Header, FrameError> {
    let [kind, topic, set_low, set_high, length @ ..] = bytes;
    let set = u16::from_le_bytes([set_low, set_high]);
    let said = u32::from_le_bytes(length) as usize;
    match kind {
        ALIVE if topic != 0 || said != 0 => Err(FrameError::Unused),
        ALIVE if set & !TopicSet::ALL.0 != 0 => Err(FrameError::Set(set)),
        ALIVE => Ok(Header::Alive(TopicSet(set))),
        SAMPLE if set != 0 => Err(FrameError::Unused),
        SAMPLE => {
            let carried = Some(Carried(topic)).filter(|carried| carried.index() < COUNT);
            let carried = carried.ok_or(FrameError::Topic(topic))?;
            let topic = carried.topic();
            let (min, max) = (topic.key_bytes(), topic.key_bytes() + topic.body_bytes_max());
            if (min..=max).contains(&said) {
                Ok(Header::Sample(carried, said))
            } else {
                Err(FrameError::Length { topic: topic.name(), said, min, max })
            }
        }
        other => Err(FrameError::Kind(other)),
    }
}

/// Takes frames off a stream.
#[derive(Debug, Default)]
pub struct Decoder {
    has_begun: bool,
}

impl Decoder {
    /// The next frame, taken off the front of what was received; `None` when more has to come first.
    ///
    /// Never asks for more than the longest frame, a little over 1 MiB.
    ///
    /// # Errors
    ///
    /// [`FrameError`] after which the stream is of no use any more.
    pub fn next(&mut self, received: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        if !self.has_begun {
            match received.first() {
                None => return Ok(None),
                Some(&STREAM_VERSION) => received.advance(1),
                Some(&other) => return Err(FrameError::Version(other)),
            }
            self.has_begun = true;
        }
        let Some(head) = received.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        match header(*head)? {
            Header::Alive(topics) => {
                received.advance(HEADER_BYTES);
                Ok(Some(Frame::Alive(topics)))
            }
            Header::Sample(topic, length) => {
                let Some(sample) = received.get(HEADER_BYTES..HEADER_BYTES + length) else { return Ok(None) };
                // Copied: a small sample that is kept must not hold the whole receive buffer.
                let mut body = Bytes::copy_from_slice(sample);
                let key = body.split_to(topic.topic().key_bytes());
                received.advance(HEADER_BYTES + length);
                Ok(Some(Frame::Sample(Sample { topic, key, body })))
            }
        }
    }

    /// Whether the version byte has come.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }
}
