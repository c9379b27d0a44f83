//! Reading: an async stream of samples, woken by their arrival.

use std::fmt;
use std::pin::pin;

use bytes::Bytes;
use futures::StreamExt;
use rustdds::no_key::SimpleDataReader;

use crate::cdr::{Decoded, Limits, RawRead};
use crate::error::DdsError;
use crate::topic::Topic;

/// Where directed samples go: the RTPS GUID of a reader. Put it into a message, and its receiver can write to
/// just this reader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderAddress(pub [u8; 16]);

impl fmt::Debug for ReaderAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One sample as it came. Nothing in it is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// As many bytes as the topic's keys have.
    pub key: Bytes,
    /// At most as many bytes as the topic allows. Shares its memory with `key`.
    pub body: Bytes,
    /// The GUID of the writer it claims to come from; the first twelve bytes name the participant.
    pub writer: [u8; 16],
}

/// Reads the samples of one topic. Writers see it go when it is dropped.
pub struct Reader {
    topic: Topic,
    inner: SimpleDataReader<Decoded, RawRead>,
}

impl Reader {
    pub(crate) fn new(topic: Topic, inner: SimpleDataReader<Decoded, RawRead>) -> Self {
        Self { topic, inner }
    }

    /// The next sample, in the order of each writer. Waits for ever when there is none; safe to cancel, as in
    /// `select!`.
    ///
    /// # Errors
    ///
    /// [`DdsError::Malformed`] for each sample that is none, after which the next call reads on;
    /// [`DdsError::Failed`] when the participant is broken.
    pub async fn next(&mut self) -> Result<Sample, DdsError> {
        let Topic { name: topic, key_bytes, body_bytes_max, .. } = self.topic;
        let mut samples = pin!(self.inner.as_async_stream_with(Limits { key_bytes, body_bytes_max }));
        match samples.next().await {
            Some(Ok(change)) => {
                let writer = change.writer_guid.to_bytes();
                match change.sample {
                    Ok((key, body)) => Ok(Sample { key, body, writer }),
                    Err(reason) => Err(DdsError::Malformed { topic, writer, reason }),
                }
            }
            Some(Err(e)) => Err(DdsError::Failed { topic, reason: e.to_string() }),
            None => Err(DdsError::Failed { topic, reason: "the stream of samples has ended".to_owned() }),
        }
    }

    /// The address for [`crate::Writer::write_to`] that reaches only this reader.
    pub fn address(&self) -> ReaderAddress {
        ReaderAddress(self.inner.guid().to_bytes())
    }
}
