//! One message: its severity, its host and its time. The rest of it is not looked at.

use std::str;

use common::units::Timestamp;

use crate::limits::SOURCE_BYTES_MAX;
use crate::time;

/// The largest PRI: facility 23, severity 7 (RFC 5424, section 6.2.1).
const PRIORITY_MAX: u8 = 191;

/// Months as RFC 3164, section 4.1.2, writes them.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What a message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'m> {
    /// 0 (emergency) to 7 (debug).
    pub severity: u8,
    /// When it was written, if it tells.
    pub at: Option<Timestamp>,
    /// Who wrote it, if it tells.
    pub host: Option<&'m str>,
}

impl<'m> Message<'m> {
    /// Reads a message; `None` when it is no syslog. Dates of RFC 3164 are UTC, in the year that brings them
    /// nearest to `received`. A message that has only a PRI is taken (RFC 3164, section 4.3.2).
    pub fn parse(line: &'m [u8], received: Timestamp) -> Option<Self> {
        let (priority, rest) = priority(line)?;
        let severity = priority % 8;
        match rest.strip_prefix(b"1 ") {
            Some(rest) => rfc5424(severity, rest),
            None => Some(rfc3164(severity, rest, received)),
        }
    }
}

/// `<PRI>`: one to three digits, 0 to 191.
fn priority(line: &[u8]) -> Option<(u8, &[u8])> {
    let line = line.strip_prefix(b"<")?;
    let end = line.iter().take(4).position(|&byte| byte == b'>')?;
    let (digits, rest) = (&line[..end], &line[end + 1..]);
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let priority: u8 = str::from_utf8(digits).ok()?.parse().ok()?;
    (priority <= PRIORITY_MAX).then_some((priority, rest))
}

/// RFC 5424, section 6: TIMESTAMP, HOSTNAME, APP-NAME, PROCID and MSGID have to be there, `-` for none.
fn rfc5424(severity: u8, rest: &[u8]) -> Option<Message<'_>> {
    let mut fields = rest.splitn(6, |&byte| byte == b' ');
    let [at, host, application, process, id] =
        [fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?];
    let structured = fields.next()?;
    let is_present = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_graphic);
    if ![at, host, application, process, id].into_iter().all(is_present)
        || !structured.starts_with(b"-") && !structured.starts_with(b"[")
    {
        return None;
    }
    let at = match at {
        b"-" => None,
        at => Some(time::rfc3339(str::from_utf8(at).ok()?)?),
    };
    Some(Message { severity, at, host: named(host) })
}

/// RFC 3164, section 4.1.2: `Mmm dd hh:mm:ss HOSTNAME TAG`. Where the date is missing, so is the host.
fn rfc3164(severity: u8, rest: &[u8], received: Timestamp) -> Message<'_> {
    const DATE_BYTES: usize = "Mmm dd hh:mm:ss".len();
    let without = Message { severity, at: None, host: None };
    let Some((date, rest)) = rest.split_at_checked(DATE_BYTES) else { return without };
    let Some(at) = str::from_utf8(date).ok().and_then(|date| bsd_date(date, received)) else {
        return without;
    };
    // A word that ends with a colon is the tag of a device that leaves its name out.
    let word = rest.strip_prefix(b" ").and_then(|rest| rest.split(|&byte| byte == b' ').next());
    let host = word.filter(|word| !word.ends_with(b":") && !word.contains(&b'[')).and_then(named);
    Message { severity, at: Some(at), host }
}

fn bsd_date(date: &str, received: Timestamp) -> Option<Timestamp> {
    let month = MONTHS.iter().position(|month| date.get(..3) == Some(month))?;
    let day = date.get(3..6)?.strip_prefix(' ')?;
    let day = day.strip_prefix(' ').unwrap_or(day);
    let day = day.bytes().all(|byte| byte.is_ascii_digit()).then(|| day.parse().ok())??;
    let clock = date.get(6..)?.strip_prefix(' ')?;
    time::without_year(month as i64 + 1, day, clock, received)
}

/// A host's name or address, if it is one.
fn named(host: &[u8]) -> Option<&str> {
    let is_name = !host.is_empty() && host.len() <= SOURCE_BYTES_MAX && host.iter().all(u8::is_ascii_graphic);
    str::from_utf8(host).ok().filter(|host| is_name && *host != "-")
}
