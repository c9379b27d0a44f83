//! Notification mails of Nagios and Icinga, with performance data (Nagios plugin guidelines, section 2.6).

use super::lines::{self, begins, value};
use super::number::{Comma, quantity};
use super::readings::{Readings, Values};
use super::{Fault, Part, Place, Reading, Reject};
use crate::error::Shown;
use crate::time;

/// What the states of hosts and services count as: the exit codes of plugins.
const STATES: [(&str, f32); 7] = [
    ("OK", 0.0),
    ("UP", 0.0),
    ("WARNING", 1.0),
    ("CRITICAL", 2.0),
    ("DOWN", 2.0),
    ("UNKNOWN", 3.0),
    ("UNREACHABLE", 3.0),
];

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    ["***** Nagios", "***** Icinga"].iter().any(|mark| head.contains(mark))
        || ["Notification Type:", "Host:", "State:"].iter().all(|key| begins(&head, key))
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let lines = lines::numbered(&text, part)?;
    let refuse = |line, fault| part.reject_at(Place::Line(line), fault);
    let at = match value(&lines, &["Date/Time", "When"]) {
        Some((line, text)) => Some(
            time::parse_written(text, part.received)
                .ok_or_else(|| refuse(line, Fault::NotATime(Shown::of(text))))?,
        ),
        None => None,
    };
    let service = value(&lines, &["Service"]).map_or("host", |(_, service)| service);
    let mut values = Values::default();
    let (line, state) = value(&lines, &["State"]).ok_or_else(|| part.reject(Fault::NoValues))?;
    let known = STATES.iter().find(|(name, _)| state.eq_ignore_ascii_case(name));
    let (_, severity) = known.ok_or_else(|| {
        let (column, cell) = (Shown::of("State"), Shown::of(state));
        refuse(line, Fault::NotANumber { column, cell })
    })?;
    values.put(&format!("nagios.{service}.state"), "", *severity).map_err(|fault| refuse(line, fault))?;
    for (number, line) in &lines {
        let Some((_, data)) = line.split_once('|') else { continue };
        performance(service, data, &mut values).map_err(|fault| refuse(*number, fault))?;
    }
    let mut out = Readings::new(part);
    out.put_at(Place::Whole, value(&lines, &["Host"]).map(|(_, host)| host), at, values)?;
    out.finish()
}

/// `'label'=value[unit];warn;crit;min;max`, separated by blanks; `U` is a value that was not measured.
fn performance(service: &str, data: &str, values: &mut Values) -> Result<(), Fault> {
    let mut rest = data.trim_start();
    while !rest.is_empty() {
        let (label, after) = if let Some(quoted) = rest.strip_prefix('\'') {
            let Some(end) = quoted.find("'=") else { return Ok(()) };
            (&quoted[..end], &quoted[end + 2..])
        } else {
            let Some((label, after)) = rest.split_once('=') else { return Ok(()) };
            (label.trim(), after)
        };
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let measured = after[..end].split(';').next().unwrap_or_default();
        if let Some((value, unit)) = quantity(measured, Comma::Decimal) {
            values.put(&format!("nagios.{service}.{label}"), unit, value)?;
        }
        rest = after[end..].trim_start();
    }
    Ok(())
}
