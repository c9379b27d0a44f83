//! SNMP traps as snmptrapd prints and mails them (`snmptrapd.conf`, "format"; `traptoemail`).
//!
//! Variables that are numbers become metrics, named by their object; the trap's own name is counted.

use common::units::Timestamp;

use super::number::{Comma, quantity};
use super::readings::{Readings, Values};
use super::{Fault, Part, Place, Reading, Reject, lines};
use crate::time;

/// Types whose values are numbers, as net-snmp prints them.
const NUMBERS: [&str; 9] = [
    "INTEGER",
    "Integer32",
    "Gauge32",
    "Gauge",
    "Counter32",
    "Counter64",
    "Unsigned32",
    "Opaque",
    "UInteger32",
];

/// Other types.
const TEXTS: [&str; 8] =
    ["STRING", "Hex-STRING", "OID", "IpAddress", "Timeticks", "BITS", "Network Address", "NULL"];

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    let typed = head.split(['\n', '\t']).any(|piece| {
        variable(piece.trim()).is_some_and(|(_, value)| {
            value.split_once(": ").is_some_and(|(kind, _)| NUMBERS.contains(&kind) || TEXTS.contains(&kind))
        })
    });
    typed || head.contains("snmpTrapOID")
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let mut out = Readings::new(part);
    let mut trap = Trap::default();
    for (number, line) in lines::numbered(&text, part)? {
        let refuse = |fault| part.reject_at(Place::Line(number), fault);
        if let Some((at, host)) = header(line, part) {
            let before = std::mem::replace(&mut trap, Trap { host, at, values: Values::default() });
            before.put(&mut out).map_err(refuse)?;
            continue;
        }
        for (object, value) in line.split('\t').filter_map(|piece| variable(piece.trim())) {
            trap.variable(object, value).map_err(refuse)?;
        }
    }
    trap.put(&mut out).map_err(|fault| part.reject(fault))?;
    out.finish()
}

#[derive(Default)]
struct Trap<'t> {
    host: Option<&'t str>,
    at: Option<Timestamp>,
    values: Values,
}

impl Trap<'_> {
    fn put(self, out: &mut Readings<'_, '_>) -> Result<(), Fault> {
        out.put(self.host, self.at, self.values)
    }

    fn variable(&mut self, object: &str, value: &str) -> Result<(), Fault> {
        let typed = value.split_once(": ").filter(|(kind, _)| NUMBERS.contains(kind) || TEXTS.contains(kind));
        let (kind, value) = typed.unwrap_or(("", value));
        if object.contains("snmpTrapOID") || object.starts_with(".1.3.6.1.6.3.1.1.4.1") {
            return self.values.count(&format!("snmp.trap.{}", value.trim()), 1.0);
        }
        // `Timeticks: (12345) 0:02:03.45` are hundredths of a second.
        let value = match kind {
            "Timeticks" => value.trim_start_matches('(').split(')').next().unwrap_or_default(),
            "Opaque" => value.trim_start_matches("Float: ").trim_start_matches("Double: "),
            // `INTEGER: down(2)`.
            "INTEGER" => value.rsplit_once('(').map_or(value, |(_, number)| number.trim_end_matches(')')),
            _ => value.trim_matches('"'),
        };
        match quantity(value, Comma::Never) {
            Some((value, unit)) => self.values.put(object, unit, value),
            None => Ok(()),
        }
    }
}

/// `OBJECT = TYPE: value`, or `OBJECT value` where mail is written without types.
fn variable(piece: &str) -> Option<(&str, &str)> {
    let (object, value) = piece.split_once(" = ").or_else(|| piece.split_once(' '))?;
    let is_object = object.contains("::") || object.starts_with(".1.") || object.starts_with("iso.");
    (is_object && !object.contains(' ')).then_some((object.trim(), value.trim()))
}

/// `2014-05-14 01:14:00 host [UDP: ...]:`, or `Host: host (UDP: ...)`.
fn header<'t>(line: &'t str, part: &Part<'_>) -> Option<(Option<Timestamp>, Option<&'t str>)> {
    if let Some((_, host)) = lines::pair(line).filter(|(key, _)| key.eq_ignore_ascii_case("host")) {
        return Some((None, host.split_whitespace().next()));
    }
    let at = time::parse_written(line.get(..19)?, part.received)?;
    Some((Some(at), line.get(19..)?.split_whitespace().next()))
}
