//! A writer that is followed by another before it has noted too much.
//!
//! RustDDS notes each sample for one reader with every other reader of the topic, tells each reader all its notes with
//! each sample for it, and clears them only when a reader acknowledges, which best-effort readers do not. A
//! coordinator that repairs, or answers, a hundred nodes one by one would grow and slow down without end.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rustdds::dds::{CreateError, WriteResult};
use rustdds::no_key::DataWriter;
use rustdds::{Publisher, QosPolicies, TopicDescription, WriteOptions};

use crate::acknowledgement::Announced;
use crate::cdr::{Encoded, RawWrite};

/// Samples for one reader that a writer may write while there are others: 60 kB of notes for each of those, and some
/// 10 us more for each of the last samples.
const NOTED_MAX: u32 = 2048;

/// With how many of them its successor is made, so that readers know it when it begins.
const HEIR_AT: u32 = NOTED_MAX / 2;

/// What a writer is made of.
pub(crate) struct Origin {
    pub(crate) publisher: Publisher,
    pub(crate) topic: rustdds::Topic,
    pub(crate) policies: QosPolicies,
    pub(crate) announced: Arc<Announced>,
}

impl Origin {
    fn make(&self) -> Result<Announcing, CreateError> {
        let inner = self.publisher.create_datawriter_no_key(&self.topic, Some(self.policies.clone()))?;
        self.announced.writers.fetch_add(1, Ordering::Relaxed);
        Ok(Announcing { inner, announced: Arc::clone(&self.announced) })
    }

    /// Whether more than one reader of the topic is discovered.
    fn has_several_readers(&self) -> bool {
        let Some(participant) = self.publisher.participant() else { return false };
        let readers = participant.discovered_readers();
        let name = self.topic.name();
        readers.iter().filter(|reader| *reader.subscription_topic_data.topic_name() == name).nth(1).is_some()
    }
}

/// A writer; that it goes is announced as its coming was.
struct Announcing {
    inner: DataWriter<Encoded, RawWrite>,
    announced: Arc<Announced>,
}

impl Drop for Announcing {
    fn drop(&mut self) {
        self.announced.writers.fetch_add(1, Ordering::Relaxed);
    }
}

/// The writers of a topic, one after the other.
pub(crate) struct Succession {
    origin: Origin,
    line: Mutex<Line>,
}

struct Line {
    current: Announcing,
    heir: Option<Announcing>,
    noted: u32,
}

impl Succession {
    pub(crate) fn new(origin: Origin) -> Result<Self, CreateError> {
        let line = Mutex::new(Line { current: origin.make()?, heir: None, noted: 0 });
        Ok(Self { origin, line })
    }

    /// Writes a sample.
    pub(crate) fn write(&self, sample: Encoded, options: WriteOptions) -> WriteResult<(), Encoded> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if options.to_single_reader().is_some() && !self.origin.policies.is_reliable() {
            line.on_noted(&self.origin);
        }
        line.current.inner.write_with_options(sample, options).map(drop)
    }
}

impl Line {
    fn on_noted(&mut self, origin: &Origin) {
        self.noted += 1;
        if self.noted == HEIR_AT {
            // An only reader has nothing noted. If no heir can be made, the next turn tries again.
            self.heir = origin.has_several_readers().then(|| origin.make()).and_then(Result::ok);
        } else if self.noted >= NOTED_MAX {
            self.noted = 0;
            if let Some(heir) = self.heir.take() {
                self.current = heir;
            }
        }
    }
}
