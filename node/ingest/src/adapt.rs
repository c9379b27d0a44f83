//! What legacy systems mail, turned into records: one pure reader a format, chosen by what a part holds.
//!
//! ```text
//! mail > mail (parts) > unpack (gzip, zip) > Part > ADAPTERS (first that recognises it) > Reading > record
//! ```
//!
//! Policy. A part is read whole or refused with one [`Reject`]: half a report looks like a quiet machine.
//! What is not a number is not a value: text cells, empty cells and "n/a" are left out, they are how such
//! reports look. A unit that is written behind a number (`3.5 GB`, `12 %`) stays in the metric's name
//! (`disk.used[GB]`): the same name never changes its unit. Numbers are as given, nothing is converted.
//! Where a report says no host, the source is the sender; where it says no time, the time is the receipt.
//! Times without an offset are UTC. A mailbox may be pinned to a format or a layout ([`Pin`]): then nothing is
//! guessed, and of a mail with attachments only they are read, not the words around them.

mod entity;
mod fields;
mod html;
mod idrac;
mod json;
pub mod layout;
mod lines;
mod mail;
mod nagios;
mod number;
mod pairs;
mod pin;
mod readings;
mod records;
mod reject;
mod separated;
mod shape;
mod snmptrap;
mod syslog;
mod tree;
mod unpack;
mod xml;
mod zabbix;

use std::borrow::Cow;
use std::char::DecodeUtf16Error;
use std::fmt;

use common::model::MetricName;
use common::units::Timestamp;

pub use self::mail::{read_mail, read_saved_mail};
pub use self::pin::{Pin, Pins, addressed, split_addressed};
pub use self::records::records;
pub use self::reject::{Fault, Place, Reject};

use crate::error::Shown;
use crate::limits::{ADAPT_HEAD_BYTES, ADAPT_PART_BYTES_MAX};

/// A piece of text or bytes to be read: a mail's body or attachment, unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its file name, where it has one; with the names of the archives around it.
    pub name: Option<&'a str>,
    /// Its media type (RFC 6838), as declared: a hint, never trusted.
    pub media_type: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
    /// When the mail came in: the time of values that say none, and the year of times without one.
    pub received: Timestamp,
    /// The source of last resort.
    pub sender: &'a str,
    /// The mail's subject.
    pub subject: &'a str,
    /// The name of the field that is the time, where a configuration says it.
    pub time_column: Option<&'a str>,
}

/// One source's values at one time; becomes a [`TelemetryRecord`](crate::record::TelemetryRecord).
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Where it was measured.
    pub source: String,
    /// When it was measured.
    pub at: Timestamp,
    /// The values, each name once, in the order of the names.
    pub values: Vec<(MetricName, f32)>,
}

/// What a mail gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The readings: part by part.
    pub readings: Vec<Reading>,
    /// One for each part that could not be read, with the reason.
    pub rejects: Vec<Reject>,
}

/// A format, and how it is read.
pub struct Adapter {
    /// What it is pinned by.
    pub name: &'static str,
    /// Whether a part is of this format, as far as its beginning tells.
    pub looks_like: fn(&Part<'_>) -> bool,
    /// Reads a part.
    pub read: fn(&Part<'_>) -> Result<Vec<Reading>, Reject>,
}

/// The adapters, the narrowest first: the first that recognises a part reads it.
pub const ADAPTERS: [Adapter; 10] = [
    Adapter { name: "json", looks_like: json::looks_like, read: json::read },
    Adapter { name: "html", looks_like: html::looks_like, read: html::read },
    Adapter { name: "xml", looks_like: xml::looks_like, read: xml::read },
    Adapter { name: "nagios", looks_like: nagios::looks_like, read: nagios::read },
    Adapter { name: "zabbix", looks_like: zabbix::looks_like, read: zabbix::read },
    Adapter { name: "idrac", looks_like: idrac::looks_like, read: idrac::read },
    Adapter { name: "snmptrap", looks_like: snmptrap::looks_like, read: snmptrap::read },
    Adapter { name: "syslog", looks_like: syslog::looks_like, read: syslog::read },
    Adapter { name: "separated", looks_like: separated::looks_like, read: separated::read },
    Adapter { name: "pairs", looks_like: pairs::looks_like, read: pairs::read },
];

/// The adapter that reads a part of this kind: the first that recognises it.
pub fn recognise(part: &Part<'_>) -> Option<&'static Adapter> {
    ADAPTERS.iter().find(|adapter| (adapter.looks_like)(part))
}

/// Reads a part with what is pinned, or with the first adapter that recognises it.
///
/// # Errors
///
/// A [`Reject`] that says why none of the part is used.
pub fn read_part(part: &Part<'_>, pinned: Option<&Pin>) -> Result<Vec<Reading>, Reject> {
    if part.bytes.len() > ADAPT_PART_BYTES_MAX {
        return Err(part.reject(Fault::PartTooLarge));
    }
    if part.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(part.reject(Fault::Empty));
    }
    if let Some(pin) = pinned {
        return pin.read(part);
    }
    // What is no text at all gets a better reason than "not recognised".
    part.text()?;
    let adapter = recognise(part).ok_or_else(|| part.reject(Fault::NotRecognised))?;
    (adapter.read)(part)
}

impl Adapter {
    /// The adapter of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ADAPTERS.iter().find(|adapter| adapter.name == name)
    }
}

impl PartialEq for Adapter {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Adapter {}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Part<'_> {
    /// What rejects call it.
    fn label(&self) -> &str {
        self.name.unwrap_or("text")
    }

    fn reject(&self, fault: Fault) -> Reject {
        self.reject_at(Place::Whole, fault)
    }

    fn reject_at(&self, place: Place, fault: Fault) -> Reject {
        Reject { part: Shown::of(self.label()), place, fault }
    }

    /// Its content as text: UTF-8, or UTF-16 with a byte order mark, as Windows tools export it.
    fn text(&self) -> Result<Cow<'_, str>, Reject> {
        if let Some(text) = utf16(self.bytes) {
            return text.map(Cow::Owned).map_err(|_| self.reject(Fault::NotText));
        }
        let bytes = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(self.bytes);
        let text = std::str::from_utf8(bytes)
            .map_err(|error| self.reject_at(Place::Byte(error.valid_up_to() as u64), Fault::NotText))?;
        // The mail's parser puts U+FFFD where bytes are not of the charset that the part declares.
        match text.find(['\0', char::REPLACEMENT_CHARACTER]) {
            Some(at) => Err(self.reject_at(Place::Byte(at as u64), Fault::NotText)),
            None => Ok(Cow::Borrowed(text)),
        }
    }

    /// The beginning of its text, by which it is recognised. Empty when it is no text.
    fn head(&self) -> Cow<'_, str> {
        let bytes = &self.bytes[..self.bytes.len().min(ADAPT_HEAD_BYTES)];
        if let Some(text) = utf16(bytes) {
            return Cow::Owned(text.unwrap_or_default());
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        std::str::from_utf8(&bytes[..valid]).unwrap_or_default().into()
    }
}

/// Text behind a byte order mark of UTF-16 (RFC 2781, section 3.2); a last odd byte is left out.
fn utf16(bytes: &[u8]) -> Option<Result<String, DecodeUtf16Error>> {
    let unit = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    Some(char::decode_utf16(units).collect())
}

#[cfg(test)]
mod tests;
