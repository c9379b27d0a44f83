//! What a payload says: a number, an object of JSON, or pairs.

use common::units::Timestamp;

use super::Reason;
use crate::error::Shown;
use crate::jsonl::object::{Line, Member};
use crate::time;

/// Names of what tells the time.
const TIMES: [&str; 3] = ["time", "timestamp", "ts"];

/// A payload, read.
pub(super) struct Payload {
    pub(super) at: Option<Timestamp>,
    /// By name, which is empty for a number alone.
    pub(super) values: Vec<(String, f64)>,
}

/// Whether a payload says when it was measured. What does so and comes twice is the same message; two numbers
/// alone that are equal may be two measurements.
pub fn tells_time(payload: &[u8]) -> bool {
    read(payload).is_ok_and(|read| read.at.is_some())
}

pub(super) fn read(payload: &[u8]) -> Result<Payload, Reason> {
    let text = std::str::from_utf8(payload).map_err(|_| Reason::NotText)?.trim();
    let read = if text.starts_with('{') {
        object(text)?
    } else if let Some(value) = number(text) {
        Payload { at: None, values: vec![(String::new(), value)] }
    } else {
        pairs(text)?
    };
    if read.values.is_empty() { Err(Reason::NoValues) } else { Ok(read) }
}

fn object(text: &str) -> Result<Payload, Reason> {
    let line: Line =
        serde_json::from_str(text).map_err(|error| Reason::Json(Shown::of(&error.to_string())))?;
    let mut read = Payload { at: None, values: Vec::new() };
    for (name, member) in line.members {
        match member {
            written if TIMES.contains(&name.as_str()) => read.at = Some(instant(&written.text())?),
            Member::Number { value, .. } => read.values.push((name, f64::from(value))),
            // A text is no metric.
            Member::Text(_) => (),
        }
    }
    Ok(read)
}

/// `key=value`, parted by blanks, commas or semicolons. What is no number is no metric.
fn pairs(text: &str) -> Result<Payload, Reason> {
    let mut read = Payload { at: None, values: Vec::new() };
    let is_end = |char: char| char.is_whitespace() || matches!(char, ',' | ';');
    for pair in text.split(is_end).filter(|pair| !pair.is_empty()) {
        let parts = pair.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) = parts.ok_or_else(|| Reason::Unknown(Shown::of(pair)))?;
        if TIMES.contains(&key) {
            read.at = Some(instant(value)?);
        } else if let Some(value) = number(value) {
            read.values.push((key.to_owned(), value));
        }
    }
    Ok(read)
}

fn instant(text: &str) -> Result<Timestamp, Reason> {
    time::parse(text).ok_or_else(|| Reason::Time(Shown::of(text)))
}

/// A number, or a switch.
fn number(text: &str) -> Option<f64> {
    match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        "null" => Some(f64::NAN),
        text => text.parse().ok(),
    }
}
