//! What a mail may look like before a parser sees it.

use crate::error::MailFault;
use crate::limits::{MAIL_BYTES_MAX, MAIL_HEADER_BYTES_MAX, MAIL_HYPHENS_MAX, MAIL_MULTIPARTS_MAX};

/// Bounds what the parser would have to do, before it starts.
///
/// Messages within messages are refused because their nesting has no bound, and dropping a deep nest would
/// take a stack as deep. Multiparts are bounded because the parser looks for the boundary of each, and where it
/// is missing it looks through all of the mail. Header blocks are bounded because the parser keeps every header.
/// A block starts with the mail and at every line where a boundary could be, and ends at an empty line.
pub(super) fn check_shape(mail: &[u8]) -> Result<(), MailFault> {
    if mail.len() as u64 > MAIL_BYTES_MAX {
        return Err(MailFault::TooLarge);
    }
    let (mut hyphens, mut multiparts) = (0, 0);
    let mut header = Some(Vec::new());
    for line in mail.split_inclusive(|&byte| byte == b'\n') {
        let pairs = line.windows(2).filter(|pair| *pair == b"--").count();
        hyphens += pairs;
        if pairs > 0 {
            header.get_or_insert_default();
        } else if matches!(line, b"\n" | b"\r\n") {
            multiparts += multiparts_of(&header.take().unwrap_or_default())?;
        }
        if let Some(header) = &mut header {
            header.extend_from_slice(line);
        }
        if hyphens > MAIL_HYPHENS_MAX
            || multiparts > MAIL_MULTIPARTS_MAX
            || header.as_ref().is_some_and(|block| block.len() > MAIL_HEADER_BYTES_MAX)
        {
            return Err(MailFault::Unreasonable);
        }
    }
    multiparts_of(&header.unwrap_or_default()).map(|_| ())
}

/// How many multiparts a header block declares: one, where it is made as it should be. Refuses one that declares a
/// message, or a digest of messages, as content.
fn multiparts_of(block: &[u8]) -> Result<usize, MailFault> {
    let block = block.to_ascii_lowercase();
    let mut multiparts = 0;
    let mut look = |field: &[u8]| {
        let has = |word: &[u8]| field.windows(word.len()).any(|window| window == word);
        if !has(b"content-type") {
            return Ok(());
        }
        multiparts += usize::from(has(b"multipart"));
        if has(b"message") || has(b"digest") { Err(MailFault::Nested) } else { Ok(()) }
    };
    // RFC 5322, section 2.2.3: a line that begins with a blank continues the field.
    let mut start = 0;
    for (end, pair) in block.windows(2).enumerate() {
        if pair[0] == b'\n' && !matches!(pair[1], b' ' | b'\t') {
            look(&block[start..=end])?;
            start = end + 1;
        }
    }
    look(&block[start..])?;
    Ok(multiparts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_only_an_attack_has_are_refused_before_parsing() {
        let huge = vec![b'x'; MAIL_BYTES_MAX as usize + 1];
        assert_eq!(check_shape(&huge), Err(MailFault::TooLarge));
        assert_eq!(check_shape(&b"--cut\r\n".repeat(70_000)), Err(MailFault::Unreasonable));
        assert_eq!(check_shape(&b"a:\n".repeat(30_000)), Err(MailFault::Unreasonable));
        let folded = b"Content-Type:\n message/\n rfc822\n\nSubject: x\n\nx";
        assert_eq!(check_shape(folded), Err(MailFault::Nested));
        let forwarded = b"--cut\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ntext\r\n--cut--";
        assert_eq!(check_shape(forwarded), Err(MailFault::Nested));
        let lost = b"--cut\r\nContent-Type: multipart/mixed; boundary=lost\r\n\r\n";
        assert_eq!(check_shape(&lost.repeat(MAIL_MULTIPARTS_MAX)), Ok(()));
        assert_eq!(check_shape(&lost.repeat(MAIL_MULTIPARTS_MAX + 1)), Err(MailFault::Unreasonable));
        assert_eq!(check_shape(b"Subject: a message\r\n\r\nContent-Type: message/rfc822\r\n"), Ok(()));
    }
}
