//! Writing: never blocks, never waits.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rustdds::dds::WriteError;
use rustdds::{GUID, WriteOptions, WriteOptionsBuilder};

use crate::cdr::{self, Encoded};
use crate::error::DdsError;
use crate::latest::Latest;
use crate::qos::Qos;
use crate::reader::ReaderAddress;
use crate::succession::Succession;
use crate::topic::Topic;

/// Writes samples of one topic. Readers see it go when it is dropped.
pub struct Writer {
    topic: Topic,
    inner: Succession,
    latest: Option<Mutex<Latest>>,
}

impl Writer {
    pub(crate) fn new(topic: Topic, inner: Succession) -> Self {
        let latest = match topic.qos {
            Qos::State { keys } => Some(Mutex::new(Latest::new(keys))),
            Qos::Message { .. } | Qos::Chunk { .. } => None,
        };
        Self { topic, inner, latest }
    }

    /// Writes a sample to every reader.
    ///
    /// On a `Chunk` topic a sample may be lost without a sign; on the others `Ok` means that every reader
    /// matched by now gets it, if it keeps up.
    ///
    /// # Errors
    ///
    /// [`DdsError::Key`] and [`DdsError::Body`] when they have not the size of the topic; [`DdsError::Busy`]
    /// when a reliable reader is behind; [`DdsError::Failed`] when the participant is gone.
    pub fn write(&self, key: &[u8], body: &[u8]) -> Result<(), DdsError> {
        let sample = self.encoded(key, body)?;
        let Some(latest) = &self.latest else {
            return self.send(sample, WriteOptions::default());
        };
        // Held while writing, so that the numbers of `Latest` are those of RustDDS.
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(sample.clone(), WriteOptions::default())?;
        latest.on_written(Bytes::copy_from_slice(key), sample);
        while let Some((key, sample)) = latest.due() {
            if self.send(sample.clone(), WriteOptions::default()).is_err() {
                // The new sample is out; the old ones are due again with the next write.
                break;
            }
            latest.on_written(key, sample);
        }
        Ok(())
    }

    /// Writes a sample to one reader, by unicast. Nobody else gets it, and it is not kept for late joiners.
    ///
    /// A reader that is not (or no longer) matched simply does not get it. On a `Chunk` topic the writer is replaced
    /// now and then by a new one, of another GUID: see `succession`.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn write_to(&self, reader: ReaderAddress, key: &[u8], body: &[u8]) -> Result<(), DdsError> {
        let sample = self.encoded(key, body)?;
        let options = WriteOptionsBuilder::new().to_single_reader(GUID::from_bytes(reader.0)).build();
        self.send(sample, options)
    }

    fn encoded(&self, key: &[u8], body: &[u8]) -> Result<Bytes, DdsError> {
        let Topic { name, key_bytes, body_bytes_max, .. } = self.topic;
        if key.len() != key_bytes {
            return Err(DdsError::Key { topic: name, got: key.len(), want: key_bytes });
        }
        if body.len() > body_bytes_max {
            return Err(DdsError::Body { topic: name, got: body.len(), max: body_bytes_max });
        }
        Ok(cdr::encode(key, body).0)
    }

    fn send(&self, sample: Bytes, options: WriteOptions) -> Result<(), DdsError> {
        let topic = self.topic.name;
        self.inner.write(Encoded(sample), options).map_err(|error| match error {
            WriteError::WouldBlock { .. } => DdsError::Busy { topic },
            error => DdsError::Failed { topic, reason: error.to_string() },
        })
    }
}
