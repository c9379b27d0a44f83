//! Digests of syslog lines (RFC 3164, RFC 5424): how many of each severity a source wrote.
//!
//! Every source gets all severities, zeros too: that it was quiet is a measurement.

use std::collections::BTreeMap;

use common::units::Timestamp;

use super::readings::{Readings, Values};
use super::{Part, Place, Reading, Reject, lines};
use crate::time;

/// RFC 5424, section 6.2.1, in the order of their numbers; the last is for lines that say none.
const SEVERITIES: [&str; 9] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "unspecified"];

const UNSPECIFIED: usize = 8;

/// Words that begin a message, or stand in brackets, where no priority does.
const WORDS: [(&str, usize); 17] = [
    ("emerg", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("critical", 2),
    ("fatal", 2),
    ("err", 3),
    ("error", 3),
    ("fail", 3),
    ("failed", 3),
    ("warn", 4),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("information", 6),
    ("debug", 7),
    ("trace", 7),
];

/// A line of a digest.
#[derive(Debug, PartialEq)]
struct Entry<'t> {
    at: Timestamp,
    host: &'t str,
    severity: usize,
}

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    let lines: Vec<&str> = head.lines().filter(|line| !line.trim().is_empty()).collect();
    let entries = lines.iter().filter(|line| entry(line, part.received).is_some()).count();
    entries >= 2 && entries * 2 >= lines.len()
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let mut counts: BTreeMap<&str, (Timestamp, [u32; 9])> = BTreeMap::new();
    for (_, line) in lines::numbered(&text, part)? {
        let Some(Entry { at, host, severity }) = entry(line, part.received) else { continue };
        let (last, count) = counts.entry(host).or_default();
        *last = (*last).max(at);
        count[severity] += 1;
    }
    let mut out = Readings::new(part);
    for (host, (at, count)) in counts {
        let mut values = Values::default();
        for (name, count) in SEVERITIES.iter().zip(count) {
            values.put(&format!("syslog.{name}"), "", count as f32).map_err(|fault| part.reject(fault))?;
        }
        out.put_at(Place::Whole, Some(host), Some(at), values)?;
    }
    out.finish()
}

fn entry(line: &str, received: Timestamp) -> Option<Entry<'_>> {
    let (severity, line) = priority(line.trim_start());
    let (at, rest) = match line.strip_prefix("1 ").filter(|_| severity.is_some()) {
        // RFC 5424, section 6: VERSION SP TIMESTAMP SP HOSTNAME SP ...
        Some(rest) => stamp(rest, received)?,
        None => old_time(line, received).or_else(|| stamp(line, received))?,
    };
    let (host, message) = rest.split_once(' ')?;
    let is_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host == "-" || !host.chars().all(is_host) {
        return None;
    }
    Some(Entry { at, host, severity: severity.unwrap_or_else(|| severity_of(message)) })
}

/// `<34>`: the severity is the last three bits (RFC 5424, section 6.2.1).
fn priority(line: &str) -> (Option<usize>, &str) {
    let found = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let number = found.and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest)));
    match number {
        Some((number, rest)) if number < 192 => (Some(usize::from(number % 8)), rest),
        _ => (None, line),
    }
}

/// RFC 3164, section 4.1.2: `Mmm dd hh:mm:ss`.
fn old_time(line: &str, received: Timestamp) -> Option<(Timestamp, &str)> {
    let (text, rest) = (line.get(..15)?, line.get(15..)?);
    Some((time::parse_written(text, received)?, rest.strip_prefix(' ')?))
}

/// RFC 3339, as rsyslog and journald write it.
fn stamp(line: &str, received: Timestamp) -> Option<(Timestamp, &str)> {
    let (text, rest) = line.split_once(' ')?;
    let is_whole = text.len() >= 19 && text.as_bytes()[10] == b'T';
    Some((is_whole.then(|| time::parse_written(text, received))??, rest))
}

/// `app[1]: error: ...`, `app: [warn] ...`.
fn severity_of(message: &str) -> usize {
    let text = message.split_once(": ").map_or(message, |(_, text)| text);
    let word = text.split_whitespace().next().unwrap_or_default();
    let word = word.trim_matches(['[', ']', '<', '>', ':', '(', ')']).to_ascii_lowercase();
    WORDS.iter().find(|(known, _)| *known == word).map_or(UNSPECIFIED, |(_, severity)| *severity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_line_give_their_host_and_severity() {
        let received = Timestamp(1_400_100_000_000_000);
        let of = |line| entry(line, received).map(|entry| (entry.host, entry.severity));
        assert_eq!(of("<34>May 14 01:14:00 db-07 su: denied"), Some(("db-07", 2)));
        assert_eq!(
            of("<165>1 2014-05-14T01:14:00.003Z db-07.example.com app - ID47 - up"),
            Some(("db-07.example.com", 5))
        );
        assert_eq!(of("May  4 01:14:00 db-07 app[1]: error: no disk"), Some(("db-07", 3)));
        assert_eq!(of("May  4 01:14:00 db-07 app[1]: started"), Some(("db-07", UNSPECIFIED)));
        assert_eq!([of("Monday we met, all of us"), of("<999>x"), of("")], [None; 3]);
    }
}
