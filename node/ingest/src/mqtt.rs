//! MQTT messages to records, without I/O: a topic names a source and a metric, a payload holds the values.
//!
//! A payload is a number, an object of JSON, or pairs `key=value`. A member `time` (or `timestamp`, `ts`) tells when
//! it was measured; without it, that was when the message came.

mod pattern;
mod payload;

use common::id::TenantId;
use common::units::Timestamp;

pub use self::pattern::{Named, Pattern, PatternError};
pub use self::payload::tells_time;

use crate::error::Shown;
use crate::gathered::{Gathered, Outcome};

/// A message that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic}: {reason}")]
pub struct MessageFault {
    /// Where it was published.
    pub topic: Shown,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Bytes that are not text.
    #[error("the payload is not UTF-8 text")]
    NotText,
    /// Neither number nor JSON nor pairs.
    #[error("{0} is neither a number, nor an object of JSON, nor `key=value`")]
    Unknown(Shown),
    /// JSON that is broken.
    #[error("the payload is no JSON: {0}")]
    Json(Shown),
    /// A time that is none.
    #[error("{0} is not a time")]
    Time(Shown),
    /// No values.
    #[error("the payload holds no number")]
    NoValues,
    /// What is stored is not what was stored.
    #[error("the entry is cut short")]
    CutShort,
}

/// What parts the pieces of a stored message: no topic has it (MQTT 3.1.1, section 1.5.3).
const END: u8 = 0;

/// A message as the spool keeps it: its topic, the metric that the topic named, and the payload as it came. The
/// configuration may change before it is read.
pub fn store(topic: &str, metric: Option<&str>, payload: &[u8]) -> Vec<u8> {
    let metric = metric.unwrap_or_default().as_bytes();
    [topic.as_bytes(), &[END], metric, &[END], payload].concat()
}

/// The records of a stored message of `source`: one at most. An empty payload, which only clears what a broker
/// retained, has none.
///
/// # Errors
///
/// [`MessageFault`] names the topic.
pub fn records(
    stored: &[u8],
    tenant: TenantId,
    source: &str,
    received: Timestamp,
) -> Result<Outcome, MessageFault> {
    let mut pieces = stored.splitn(3, |&byte| byte == END);
    let (topic, metric, payload) = (pieces.next(), pieces.next(), pieces.next());
    let topic = String::from_utf8_lossy(topic.unwrap_or_default());
    let fault = |reason| MessageFault { topic: Shown::of(&topic), reason };
    let (Some(metric), Some(payload)) = (metric, payload) else { return Err(fault(Reason::CutShort)) };
    let metric = std::str::from_utf8(metric).map_err(|_| fault(Reason::CutShort))?;
    let mut out = Gathered::new(source, received);
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Ok(out.into_outcome(tenant));
    }
    let read = payload::read(payload).map_err(fault)?;
    let source = out.source(None);
    for (name, value) in read.values {
        let name: &[&str] = match (metric, name.as_str()) {
            ("", "") => &["value"],
            ("", name) => &[name],
            (metric, "") => &[metric],
            (metric, name) => &[metric, ".", name],
        };
        out.put(&source, read.at.unwrap_or(received), name, Some(value));
    }
    Ok(out.into_outcome(tenant))
}

#[cfg(test)]
mod tests;
