//! Walks a mail (RFC 5322, RFC 2045): body and attachments, unpacked, each to its adapter.

use std::borrow::Cow;

use common::units::Timestamp;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use super::shape::check_shape;
use super::unpack::{Budget, Unpacked, unpack};
use super::{Fault, Outcome, Part, Pin, Place, Reading, Reject, read_part};
use crate::error::Shown;
use crate::limits::{
    ADAPT_MULTIPART_DEPTH_MAX, ADAPT_PACK_DEPTH_MAX, ADAPT_PARTS_MAX, ADAPT_READINGS_MAX, ADAPT_VALUES_MAX,
};
use crate::time;

/// Reads a part, whatever it takes for it.
pub(super) type Reader<'r> = &'r dyn Fn(&Part<'_>) -> Result<Vec<Reading>, Reject>;

/// What is known of a mail beside its bytes.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    /// When it came.
    pub(super) received: Timestamp,
    /// Whether its own date comes before that.
    pub(super) is_saved: bool,
    pub(super) pinned: Option<&'k Pin>,
    pub(super) time_column: Option<&'k str>,
}

/// Reads all parts of a mail with what is pinned, or with the adapters that recognise them.
///
/// Of alternatives of one content (`multipart/alternative`) the first that can be read counts. With a pin, the
/// text around attachments is no report, and is not read.
pub fn read_mail(bytes: &[u8], received: Timestamp, pinned: Option<&Pin>) -> Outcome {
    let known = Known { received, is_saved: false, pinned, time_column: None };
    read_mail_by(bytes, known, &|part| read_part(part, pinned))
}

/// Reads a mail that was kept in a file, with the adapters that recognise its parts. It came when its header says
/// (`Date`: RFC 5322, section 3.6.1), or else when the file was written. The time of a value is the field of
/// the name `time_column` where there is one, whatever else looks like a time.
pub fn read_saved_mail(bytes: &[u8], written: Timestamp, time_column: Option<&str>) -> Outcome {
    let known = Known { received: written, is_saved: true, pinned: None, time_column };
    read_mail_by(bytes, known, &|part| read_part(part, None))
}

/// Reads all parts of a mail with this reader.
pub(super) fn read_mail_by(bytes: &[u8], known: Known<'_>, reader: Reader<'_>) -> Outcome {
    let refused = |fault| {
        let reject = Reject { part: Shown::of("mail"), place: Place::Whole, fault };
        Outcome { readings: Vec::new(), rejects: vec![reject] }
    };
    if bytes.is_empty() {
        return refused(Fault::Empty);
    }
    if let Err(fault) = check_shape(bytes) {
        return refused(Fault::Mail(fault));
    }
    let parser = MessageParser::new()
        .with_mime_headers()
        .header_address(HeaderName::From)
        .header_text(HeaderName::Subject)
        .header_text(HeaderName::Date)
        .default_header_ignore();
    let Some(message) = parser.parse(bytes) else { return refused(Fault::Broken) };
    if message.parts.len() > ADAPT_PARTS_MAX {
        return refused(Fault::TooManyParts);
    }
    let sender = message.from().and_then(|from| from.first()).and_then(|address| address.address());
    let Known { received, is_saved, pinned, time_column } = known;
    let date = message.header(HeaderName::Date).filter(|_| is_saved).and_then(|date| date.as_text());
    let mut walk = Walk {
        message: &message,
        reader,
        skips_words: pinned.is_some() && message.parts.iter().any(is_attached),
        takes_raw: pinned.is_some_and(Pin::counts_bytes),
        received: date.and_then(|date| time::parse_written(date, received)).unwrap_or(received),
        time_column,
        sender: sender.unwrap_or("unknown"),
        subject: message.subject().unwrap_or_default(),
        budget: Budget::default(),
        parts: 0,
        values: 0,
        out: Outcome::default(),
    };
    walk.part(0, 0);
    walk.out
}

struct Walk<'m> {
    message: &'m Message<'m>,
    reader: Reader<'m>,
    /// Whether what stands beside attachments is left alone.
    skips_words: bool,
    /// Whether bytes are taken as they were sent.
    takes_raw: bool,
    received: Timestamp,
    time_column: Option<&'m str>,
    sender: &'m str,
    subject: &'m str,
    budget: Budget,
    parts: usize,
    values: usize,
    out: Outcome,
}

impl Walk<'_> {
    fn part(&mut self, index: usize, depth: usize) {
        let message = self.message;
        let Some(part) = message.parts.get(index) else { return };
        let name = part.attachment_name().map_or_else(|| format!("part {index}"), str::to_owned);
        if depth > ADAPT_MULTIPART_DEPTH_MAX {
            return self.reject(&name, Fault::TooDeep(ADAPT_MULTIPART_DEPTH_MAX));
        }
        match &part.body {
            PartType::Multipart(children) => {
                let children: Vec<usize> = children.iter().map(|&child| child as usize).collect();
                if part.is_content_type("multipart", "alternative") {
                    return self.alternatives(&children, depth);
                }
                for child in children {
                    self.part(child, depth + 1);
                }
            }
            PartType::Message(_) => self.reject(&name, Fault::Unsupported("a message in this mail")),
            _ if self.skips_words && !is_attached(part) => (),
            _ if part.is_encoding_problem => self.reject(&name, Fault::Broken),
            _ if self.takes_raw => match as_sent(message, part) {
                Some(bytes) => self.content(&name, &media_type(part), &bytes, 0),
                None => self.reject(&name, Fault::Broken),
            },
            _ => self.content(&name, &media_type(part), part.contents(), 0),
        }
    }

    /// Tries the alternatives in their order, the plainest first (RFC 2046, section 5.1.4).
    fn alternatives(&mut self, children: &[usize], depth: usize) {
        let (readings, rejects) = (self.out.readings.len(), self.out.rejects.len());
        for &child in children {
            self.part(child, depth + 1);
            if self.out.readings.len() > readings {
                self.out.rejects.truncate(rejects);
                return;
            }
        }
    }

    fn content(&mut self, name: &str, media_type: &str, bytes: &[u8], packed: usize) {
        self.parts += 1;
        match self.parts {
            parts if parts <= ADAPT_PARTS_MAX => (),
            parts if parts == ADAPT_PARTS_MAX + 1 => return self.reject(name, Fault::TooManyParts),
            _ => return,
        }
        if packed > ADAPT_PACK_DEPTH_MAX {
            return self.reject(name, Fault::PackedTooDeep);
        }
        match unpack(bytes, &mut self.budget) {
            Ok(Unpacked::Plain) => self.read(name, media_type, bytes),
            Ok(Unpacked::One(bytes)) => self.content(name, "application/octet-stream", &bytes, packed + 1),
            Ok(Unpacked::Many(files)) => {
                if files.is_empty() {
                    self.reject(name, Fault::Empty);
                }
                for (file, content) in files {
                    let name = format!("{name}/{file}");
                    match content {
                        Ok(bytes) => self.content(&name, "application/octet-stream", &bytes, packed + 1),
                        Err(fault) => self.reject(&name, fault),
                    }
                }
            }
            Err(fault) => self.reject(name, fault),
        }
    }

    fn read(&mut self, name: &str, media_type: &str, bytes: &[u8]) {
        let part = Part {
            name: Some(name),
            media_type,
            bytes,
            received: self.received,
            sender: self.sender,
            subject: self.subject,
            time_column: self.time_column,
        };
        match (self.reader)(&part) {
            Ok(readings) => {
                let values: usize = readings.iter().map(|reading| reading.values.len()).sum();
                if self.out.readings.len() + readings.len() > ADAPT_READINGS_MAX {
                    self.reject(name, Fault::TooMany { max: ADAPT_READINGS_MAX, unit: "readings in a mail" });
                } else if self.values + values > ADAPT_VALUES_MAX {
                    self.reject(name, Fault::TooMany { max: ADAPT_VALUES_MAX, unit: "values in a mail" });
                } else {
                    self.values += values;
                    self.out.readings.extend(readings);
                }
            }
            Err(reject) => self.out.rejects.push(reject),
        }
    }

    fn reject(&mut self, name: &str, fault: Fault) {
        self.out.rejects.push(Reject { part: Shown::of(name), place: Place::Whole, fault });
    }
}

/// Whether a part is more than words between people, or the picture of a signature.
fn is_attached(part: &MessagePart<'_>) -> bool {
    let is_text = matches!(part.body, PartType::Text(_) | PartType::Html(_));
    let is_picture = part.content_type().is_some_and(|declared| declared.ctype() == "image");
    !part.is_multipart() && !is_picture && (!is_text || part.attachment_name().is_some())
}

/// The bytes of a part before its charset is looked at: what is declared as text was turned into UTF-8, and
/// EBCDIC is lost by that.
fn as_sent<'m>(message: &'m Message<'_>, part: &'m MessagePart<'_>) -> Option<Cow<'m, [u8]>> {
    if !matches!(part.body, PartType::Text(_) | PartType::Html(_)) {
        return Some(Cow::Borrowed(part.contents()));
    }
    let sent = message.raw_message.get(part.offset_body as usize..part.offset_end as usize)?;
    match part.encoding {
        Encoding::None => Some(Cow::Borrowed(sent)),
        Encoding::Base64 => base64_decode(sent).map(Cow::Owned),
        Encoding::QuotedPrintable => quoted_printable_decode(sent).map(Cow::Owned),
    }
}

fn media_type(part: &MessagePart<'_>) -> String {
    let declared = part.content_type();
    declared.map_or_else(
        || "text/plain".to_owned(),
        |content| format!("{}/{}", content.ctype(), content.subtype().unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests;
