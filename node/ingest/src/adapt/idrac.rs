//! Alert mails of Dell's `iDRAC` and `OpenManage` Server Administrator.

use super::lines::{self, begins, value};
use super::readings::{Readings, Values};
use super::{Fault, Part, Place, Reading, Reject};
use crate::error::Shown;
use crate::time;

/// What severities count as: the order of Dell's event reference.
const SEVERITIES: [(&str, f32); 8] = [
    ("Informational", 0.0),
    ("Info", 0.0),
    ("Normal", 0.0),
    ("OK", 0.0),
    ("Warning", 1.0),
    ("Non-Critical", 1.0),
    ("Critical", 2.0),
    ("Non-Recoverable", 2.0),
];

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    begins(&head, "Service Tag") && (begins(&head, "Message ID") || begins(&head, "Event Message"))
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let lines = lines::numbered(&text, part)?;
    let refuse = |line, fault| part.reject_at(Place::Line(line), fault);
    let at = match value(&lines, &["Date/Time", "Event Date", "Timestamp"]) {
        Some((line, text)) => Some(
            time::parse_written(text, part.received)
                .ok_or_else(|| refuse(line, Fault::NotATime(Shown::of(text))))?,
        ),
        None => None,
    };
    let mut values = Values::default();
    if let Some((line, severity)) = value(&lines, &["Severity", "Event Severity"]) {
        let known = SEVERITIES.iter().find(|(name, _)| severity.eq_ignore_ascii_case(name));
        let (_, rank) = known.ok_or_else(|| {
            let (column, cell) = (Shown::of("Severity"), Shown::of(severity));
            refuse(line, Fault::NotANumber { column, cell })
        })?;
        values.put("idrac.severity", "", *rank).map_err(|fault| refuse(line, fault))?;
    }
    for (line, text) in &lines {
        let Some((_, id)) = lines::pair(text).filter(|(key, _)| key.eq_ignore_ascii_case("Message ID"))
        else {
            continue;
        };
        values.count(&format!("idrac.message.{id}"), 1.0).map_err(|fault| refuse(*line, fault))?;
    }
    let host = value(&lines, &["System Host Name", "Host Name"]).or_else(|| value(&lines, &["Service Tag"]));
    let mut out = Readings::new(part);
    out.put_at(Place::Whole, host.map(|(_, host)| host), at, values)?;
    out.finish()
}
