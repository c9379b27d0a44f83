//! Zabbix's default problem and recovery mails (Zabbix manual, "Media type message templates").

use super::lines::{self, begins, value};
use super::number::{Comma, quantity};
use super::readings::{Readings, Values};
use super::{Fault, Part, Place, Reading, Reject};
use crate::error::Shown;
use crate::time;

/// Trigger severities in their order: 0 to 5.
const SEVERITIES: [&str; 6] = ["Not classified", "Information", "Warning", "Average", "High", "Disaster"];

/// How a mail's first line begins, and whether the problem is still there.
const STARTS: [(&str, f32); 3] =
    [("Problem started at", 1.0), ("Problem has been resolved", 0.0), ("Problem resolved", 0.0)];

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    begins(&head, "Original problem ID:") || STARTS.iter().any(|(start, _)| begins(&head, start))
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let lines = lines::numbered(&text, part)?;
    let refuse = |line, fault| part.reject_at(Place::Line(line), fault);
    let start = lines.iter().find_map(|(number, line)| {
        let line = line.trim();
        let (_, problem) = STARTS.iter().find(|(start, _)| line.starts_with(start))?;
        Some((*number, line, *problem))
    });
    let (number, line, problem) = start.ok_or_else(|| part.reject(Fault::NoValues))?;
    let at = at(line, part).ok_or_else(|| refuse(number, Fault::NotATime(Shown::of(line))))?;
    let name = value(&lines, &["Problem name"]).map_or_else(|| from_subject(part.subject), |(_, name)| name);
    let mut values = Values::default();
    let mut put = |line, name: &str, unit: &str, value| {
        values.put(name, unit, value).map_err(|fault| refuse(line, fault))
    };
    put(number, &format!("zabbix.{name}.problem"), "", problem)?;
    if let Some((line, severity)) = value(&lines, &["Severity"]) {
        let rank = SEVERITIES.iter().position(|known| known.eq_ignore_ascii_case(severity));
        let rank = rank.ok_or_else(|| {
            let (column, cell) = (Shown::of("Severity"), Shown::of(severity));
            refuse(line, Fault::NotANumber { column, cell })
        })?;
        put(line, &format!("zabbix.{name}.severity"), "", rank as f32)?;
    }
    if let Some((line, operational)) = value(&lines, &["Operational data"]) {
        // What an item was when the trigger fired: `5.2 %`, or `Load: 5.2, Processes: 80`.
        for piece in operational.split(", ") {
            let (item, measured) = piece.rsplit_once(": ").unwrap_or(("value", piece));
            if let Some((value, unit)) = quantity(measured, Comma::Prose) {
                put(line, &format!("zabbix.{name}.{}", item.trim()), unit, value)?;
            }
        }
    }
    let mut out = Readings::new(part);
    out.put_at(Place::Whole, value(&lines, &["Host"]).map(|(_, host)| host), Some(at), values)?;
    out.finish()
}

/// `... at 12:34:56 on 2023.05.14`.
fn at(line: &str, part: &Part<'_>) -> Option<common::units::Timestamp> {
    let (rest, date) = line.rsplit_once(" on ")?;
    let (_, clock) = rest.rsplit_once(" at ")?;
    time::parse_written(&format!("{date} {clock}"), part.received)
}

/// `Problem: name`, `Resolved in 5m: name`.
fn from_subject(subject: &str) -> &str {
    let name = subject.split_once(": ").map_or(subject, |(_, name)| name).trim();
    if name.is_empty() { "problem" } else { name }
}
