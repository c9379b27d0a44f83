//! Telemetry by mail: old systems send their CSV as an attachment (RFC 5322, RFC 2045).

use std::io::Read;

use common::id::TenantId;
use common::model::MetricName;
use mail_parser::{MessageParser, MessagePart, MimeHeaders};

use super::content::io_error;
use super::error::{IngestError, MailFault, Shown};
use super::file::read_stream;
use super::limits::{
    ATTACHMENT_UNPACKED_BYTES_MAX, CSV_PARTS_MAX, MAIL_BYTES_MAX, MAIL_HEADER_BYTES_MAX, MAIL_HYPHENS_MAX,
};
use super::{Format, Ingested};

/// Reads all CSV parts of a mail: by type (`text/csv`, `application/gzip`) or by name (`*.csv`, `*.csv.gz`).
///
/// # Errors
///
/// [`IngestError::Mail`] says why the mail is refused; other errors name the mail and the attachment.
pub(super) fn read(
    file: &str,
    stream: impl Read,
    tenant: TenantId,
    format: &Format,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    let mut mail = Vec::new();
    stream.take(MAIL_BYTES_MAX + 1).read_to_end(&mut mail).map_err(|error| io_error(file, &error))?;
    let refuse = |fault| IngestError::Mail { file: file.to_owned(), fault };
    if mail.is_empty() {
        return Err(IngestError::Empty { file: file.to_owned() });
    }
    check_shape(&mail).map_err(refuse)?;
    let parser = MessageParser::new().with_mime_headers().default_header_ignore();
    let message = parser.parse(&mail).ok_or_else(|| refuse(MailFault::NoCsv))?;
    let parts: Vec<&MessagePart<'_>> = message.parts.iter().filter(|part| is_csv(part)).collect();
    match parts.len() {
        0 => return Err(refuse(MailFault::NoCsv)),
        count if count > CSV_PARTS_MAX => return Err(refuse(MailFault::TooManyParts)),
        _ => (),
    }
    for (index, part) in parts.iter().enumerate() {
        let unnamed = format!("part {}", index + 1);
        let attachment = Shown::of(part.attachment_name().unwrap_or(&unnamed));
        if part.is_encoding_problem {
            return Err(refuse(MailFault::Broken(attachment)));
        }
        let name = format!("{file}: attachment {attachment}");
        read_stream(&name, part.contents(), ATTACHMENT_UNPACKED_BYTES_MAX, tenant, format, required, out)?;
    }
    Ok(())
}

fn is_csv(part: &MessagePart<'_>) -> bool {
    if part.is_multipart() || part.is_message() {
        return false;
    }
    let name = part.attachment_name().unwrap_or_default().to_ascii_lowercase();
    let types = [("text", "csv"), ("application", "csv"), ("application", "gzip"), ("application", "x-gzip")];
    [".csv", ".csv.gz"].iter().any(|ending| name.ends_with(ending))
        || types.iter().any(|(kind, subtype)| part.is_content_type(kind, subtype))
}

/// Bounds what the parser would have to do, before it starts.
///
/// Messages within messages are refused because their nesting has no bound, and dropping a deep nest would
/// take a stack as deep. Header blocks are bounded because the parser keeps every header. A block starts
/// with the mail and at every line where a boundary could be, and ends at an empty line.
pub(super) fn check_shape(mail: &[u8]) -> Result<(), MailFault> {
    if mail.len() as u64 > MAIL_BYTES_MAX {
        return Err(MailFault::TooLarge);
    }
    let mut hyphens = 0;
    let mut header = Some(Vec::new());
    for line in mail.split_inclusive(|&byte| byte == b'\n') {
        let pairs = line.windows(2).filter(|pair| *pair == b"--").count();
        hyphens += pairs;
        if pairs > 0 {
            header.get_or_insert_default();
        } else if matches!(line, b"\n" | b"\r\n") {
            check_header(&header.take().unwrap_or_default())?;
        }
        if let Some(header) = &mut header {
            header.extend_from_slice(line);
        }
        if hyphens > MAIL_HYPHENS_MAX
            || header.as_ref().is_some_and(|block| block.len() > MAIL_HEADER_BYTES_MAX)
        {
            return Err(MailFault::Unreasonable);
        }
    }
    check_header(&header.unwrap_or_default())
}

/// Refuses a header block that declares a message, or a digest of messages, as content.
fn check_header(block: &[u8]) -> Result<(), MailFault> {
    let block = block.to_ascii_lowercase();
    let has = |field: &[u8], word: &[u8]| field.windows(word.len()).any(|window| window == word);
    let is_nested =
        |field: &[u8]| has(field, b"content-type") && (has(field, b"message") || has(field, b"digest"));
    // RFC 5322, section 2.2.3: a line that begins with a blank continues the field.
    let mut start = 0;
    for (end, pair) in block.windows(2).enumerate() {
        if pair[0] == b'\n' && !matches!(pair[1], b' ' | b'\t') {
            if is_nested(&block[start..=end]) {
                return Err(MailFault::Nested);
            }
            start = end + 1;
        }
    }
    if is_nested(&block[start..]) { Err(MailFault::Nested) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
