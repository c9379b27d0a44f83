//! Every reply there is (RFC 5321, section 4.2), with its enhanced status code (RFC 2034, RFC 3463).

use super::Refusal;
use crate::limits::SMTP_REASON_CHARS_MAX;

/// A reply of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    code: u16,
    /// Empty for codes of the third class, which have none.
    enhanced: &'static str,
    text: &'static str,
}

macro_rules! replies {
    ($($name:ident = $code:literal $enhanced:literal $text:literal;)*) => {
        $(pub(super) const $name: Reply = Reply { code: $code, enhanced: $enhanced, text: $text };)*

        #[cfg(test)]
        const ALL: &[Reply] = &[$($name),*];
    };
}

replies! {
    HELP = 214 "2.0.0" "RFC 5321: telemetry as CSV is taken here, and nothing is sent on";
    TLS_READY = 220 "2.0.0" "go ahead with TLS";
    BYE = 221 "2.0.0" "goodbye";
    LOGGED_IN = 235 "2.7.0" "authenticated";
    DONE = 250 "2.0.0" "done";
    SENDER_TAKEN = 250 "2.1.0" "sender accepted";
    RECIPIENT_TAKEN = 250 "2.1.5" "recipient accepted";
    CHUNK_TAKEN = 250 "2.0.0" "octets taken";
    STORED = 250 "2.0.0" "stored";
    NOT_VERIFIED = 252 "2.0.0" "addresses are not verified; send the mail to find out";
    CONTENT_WANTED = 354 "" "end with a dot on a line of its own";
    SHUTTING_DOWN = 421 "4.3.2" "shutting down";
    TIMED_OUT = 421 "4.4.2" "silent for too long";
    TOO_MANY_ERRORS = 421 "4.7.0" "too many refused commands";
    TOO_MANY_COMMANDS = 421 "4.7.0" "too many commands for one session";
    TOO_MUCH_AHEAD = 421 "4.7.0" "too many bytes sent ahead";
    UNAVAILABLE = 451 "4.3.0" "not stored; try again later";
    FULL = 452 "4.3.1" "not stored: the storage is full; try again later";
    TOO_MANY_RECIPIENTS = 452 "4.5.3" "too many recipients for one mail";
    UNKNOWN_COMMAND = 500 "5.5.1" "no such command here";
    NOT_TEXT = 500 "5.5.2" "a command is UTF-8 text without control characters";
    LINE_TOO_LONG = 500 "5.5.2" "the line is too long";
    AUTH_TOO_LONG = 500 "5.5.6" "the line is too long";
    BAD_ARGUMENT = 501 "5.5.4" "the command's argument is missing or wrong";
    BAD_BASE64 = 501 "5.5.2" "this is not base64, or not what the mechanism asks for";
    AUTH_CANCELLED = 501 "5.7.0" "authentication cancelled";
    BAD_SENDER = 501 "5.1.7" "the sender is no <path>";
    BAD_RECIPIENT = 501 "5.1.3" "the recipient is no <path>";
    NOT_OFFERED = 502 "5.5.1" "the command is not offered";
    HELLO_FIRST = 503 "5.5.1" "say hello first";
    MAIL_FIRST = 503 "5.5.1" "there is no MAIL before this";
    RECIPIENT_FIRST = 503 "5.5.1" "there is no accepted recipient before this";
    MAIL_ALREADY = 503 "5.5.1" "a mail has already begun";
    CHUNKS_BEGUN = 503 "5.5.1" "the chunks of this mail have already begun";
    BINARY_NEEDS_CHUNKS = 503 "5.5.1" "a binary mail is sent by BDAT";
    TLS_ALREADY = 503 "5.5.1" "TLS has already started";
    AUTH_ALREADY = 503 "5.5.1" "already authenticated";
    UNKNOWN_MECHANISM = 504 "5.5.4" "the mechanism is not PLAIN or LOGIN";
    BARE_NEWLINE = 521 "5.5.2" "a line ends with CRLF, not with a bare LF";
    AUTH_REQUIRED = 530 "5.7.0" "authenticate first";
    WRONG_CREDENTIALS = 535 "5.7.8" "the name or the password is wrong";
    TLS_REQUIRED = 538 "5.7.11" "a password is taken under TLS only";
    BARE_NEWLINE_IN_CONTENT = 550 "5.6.11" "the content holds a bare CR or LF";
    CERTIFICATE_NOT_LISTED = 550 "5.7.1" "no name of this certificate is listed here; log in, or come without it";
    NO_RELAYING = 550 "5.7.1" "not an address of this server, or not open to this sender";
    TOO_LARGE = 552 "5.3.4" "the mail is too large";
    UTF8_NOT_DECLARED = 553 "5.6.7" "such an address needs SMTPUTF8 in the MAIL command";
    EARLY_TALKER = 554 "5.5.1" "wait for the greeting";
    NO_MAIL_PROTOCOL = 554 "5.5.1" "this is no command of a mail client";
    REJECTED = 554 "5.6.0" "refused";
    UNKNOWN_PARAMETER = 555 "5.5.4" "the command's parameter is unknown or not offered";
}

impl Reply {
    /// Whether the client is to try again later.
    pub(super) const fn is_temporary(self) -> bool {
        self.code / 100 == 4
    }

    /// The line to send.
    pub(super) fn line(self) -> Vec<u8> {
        let Self { code, enhanced, text } = self;
        let space = if enhanced.is_empty() { "" } else { " " };
        format!("{code} {enhanced}{space}{text}\r\n").into_bytes()
    }
}

/// The line that tells what became of a mail.
pub(super) fn stored_line(result: &Result<(), Refusal>) -> Vec<u8> {
    match result {
        Ok(()) => STORED.line(),
        Err(Refusal::Full) => FULL.line(),
        Err(Refusal::Unavailable) => UNAVAILABLE.line(),
        Err(Refusal::Rejected(reason)) => {
            let Reply { code, enhanced, text } = REJECTED;
            format!("{code} {enhanced} {text}: {}\r\n", clean(reason)).into_bytes()
        }
    }
}

/// A greeting or the last line of one; it has no enhanced code (RFC 2034, section 4).
pub(super) fn plain_line(code: u16, text: &str) -> Vec<u8> {
    format!("{code} {}\r\n", clean(text)).into_bytes()
}

/// A reply of several lines (RFC 5321, section 4.2.1), without enhanced codes.
pub(super) fn plain_lines(code: u16, texts: &[String]) -> Vec<u8> {
    let last = texts.len().saturating_sub(1);
    let separator = |index: usize| if index == last { ' ' } else { '-' };
    let line = |(index, text): (usize, &String)| {
        format!("{code}{}{}\r\n", separator(index), clean(text)).into_bytes()
    };
    texts.iter().enumerate().flat_map(line).collect()
}

/// A challenge of an AUTH exchange, already in base64.
pub(super) fn challenge_line(challenge: &str) -> Vec<u8> {
    format!("334 {challenge}\r\n").into_bytes()
}

/// Someone else's words cannot end a line, and keep to the character set of replies.
fn clean(text: &str) -> String {
    let printable = |char: char| if (' '..='~').contains(&char) { char } else { '?' };
    text.chars().take(SMTP_REASON_CHARS_MAX).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_has_an_enhanced_code_of_its_class_and_fits_its_line() {
        for reply in ALL {
            let class = (reply.code / 100).to_string();
            let expected = if class == "3" { "" } else { &class };
            assert_eq!(reply.enhanced.split('.').next(), Some(expected), "{reply:?}");
            let parts = reply.enhanced.split('.').count();
            assert_eq!(parts, if class == "3" { 1 } else { 3 }, "{reply:?}");
            let line = String::from_utf8(reply.line()).unwrap();
            assert!(line.len() <= 512 && line.ends_with("\r\n"), "{line}");
            assert_eq!(clean(reply.text), reply.text);
        }
    }

    #[test]
    fn a_foreign_reason_cannot_forge_a_reply() {
        let reason = format!("a\r\n250 ok ä{}", "x".repeat(1000));
        let line = stored_line(&Err(Refusal::Rejected(reason)));
        let text = String::from_utf8(line).unwrap();
        assert!(text.starts_with("554 5.6.0 refused: a??250 ok ?xxx"), "{text}");
        assert_eq!((text.matches('\n').count(), text.len() < 512), (1, true));
    }

    #[test]
    fn replies_of_several_lines_and_challenges_have_their_separators() {
        let lines = plain_lines(250, &["mx.example.com".into(), "SIZE 1".into()]);
        assert_eq!(lines, b"250-mx.example.com\r\n250 SIZE 1\r\n");
        assert_eq!(challenge_line(""), b"334 \r\n", "RFC 4954, section 4: the space is there");
    }
}
