//! Named fields of one row, object or block, and what their names say they are.

use std::borrow::Cow;

use common::units::Timestamp;

use super::number::{Comma, quantity};
use super::readings::{Readings, Values};
use super::{Fault, Part};
use crate::error::Shown;
use crate::time;

/// What a field is, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The host.
    Source,
    /// The time, or the time of day where there is a date too.
    Time,
    /// The day.
    Date,
    /// What the row is about: goes before the names of its values (`/var.used`).
    Label,
    /// The value of what the label names, in the long form.
    Value,
    /// The unit of that value.
    Unit,
    /// A metric, or a text.
    Plain,
}

/// The names that have a role: in lower case, letters and digits only.
const ROLES: [(Role, &[&str]); 6] = [
    (
        Role::Source,
        &[
            "host",
            "hostname",
            "source",
            "node",
            "nodename",
            "server",
            "servername",
            "system",
            "systemname",
            "machine",
            "computer",
            "computername",
            "device",
            "devicename",
            "instance",
            "systemhostname",
            "hostid",
        ],
    ),
    (
        Role::Time,
        &[
            "time",
            "timestamp",
            "datetime",
            "ts",
            "when",
            "at",
            "sampletime",
            "measuredat",
            "dateandtime",
            "zeit",
        ],
    ),
    (Role::Date, &["date", "day", "datum"]),
    (
        Role::Label,
        &[
            "metric",
            "metricname",
            "name",
            "item",
            "counter",
            "measurement",
            "key",
            "disk",
            "filesystem",
            "mount",
            "mountedon",
            "volume",
            "drive",
            "interface",
            "sensor",
            "component",
            "probe",
        ],
    ),
    (Role::Value, &["value", "val", "reading", "wert"]),
    (Role::Unit, &["unit", "units", "uom"]),
];

/// What a name says: its last one or two words decide (`report.host.name`).
pub(super) fn role(name: &str) -> Role {
    let plain = |text: &str| {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>()
    };
    let last_two = name.rmatch_indices('.').nth(1).map_or(name, |(at, _)| &name[at..]);
    let last = last_word(name);
    let find = |word: &str| ROLES.iter().find(|(_, names)| names.contains(&word)).map(|(role, _)| *role);
    find(&plain(last_two)).or_else(|| find(&plain(last))).unwrap_or(Role::Plain)
}

/// One field.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) role: Role,
    pub(super) name: Cow<'a, str>,
    pub(super) text: Cow<'a, str>,
}

impl<'a> Field<'a> {
    pub(super) fn new(name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) -> Self {
        let name = name.into();
        let role = role(&name);
        Self::of_role(role, name, text)
    }

    /// A field whose name has this role, as far as its text agrees: `system` is a host, but `system` 3 is
    /// time of a processor; a label that is a number is a value.
    pub(super) fn of_role(role: Role, name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) -> Self {
        let (name, text) = (name.into(), text.into());
        let may_be_metric = match role {
            Role::Source => last_word(&name).eq_ignore_ascii_case("system"),
            role => role == Role::Label,
        };
        let is_metric = may_be_metric && quantity(&text, Comma::Prose).is_some();
        Self { role: if is_metric { Role::Plain } else { role }, name, text }
    }

    /// A row's host and time also hold for the rows inside it.
    pub(super) fn is_context(&self) -> bool {
        matches!(self.role, Role::Source | Role::Time | Role::Date)
    }

    pub(super) fn is_number(&self, comma: Comma) -> bool {
        quantity(&self.text, comma).is_some()
    }
}

/// Makes one row of fields a reading.
pub(super) fn put(
    fields: &[Field<'_>],
    comma: Comma,
    part: &Part<'_>,
    out: &mut Readings<'_, '_>,
) -> Result<(), Fault> {
    // Where the configuration names the time, nothing else is one.
    let told = part.time_column.filter(|column| fields.iter().any(|field| field.name == *column));
    let role_of = |field: &Field<'_>| match (told, field.role) {
        (Some(column), _) if field.name == column => Role::Time,
        (Some(_), Role::Time | Role::Date) => Role::Plain,
        (_, role) => role,
    };
    let text_of = |role| {
        let found = fields.iter().find(|field| role_of(field) == role && !field.text.trim().is_empty());
        found.map(|field| field.text.trim())
    };
    let at = time_of(text_of(Role::Date), text_of(Role::Time), part)?;
    // `time=0.02` in a log line is how long something took.
    let duration = at.is_none();
    let labels = fields.iter().filter(|field| role_of(field) == Role::Label).map(|field| field.text.trim());
    let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
    let label = labels.join(".");
    let mut values = Values::default();
    for field in fields {
        let measured = match role_of(field) {
            Role::Source | Role::Date | Role::Unit | Role::Label => false,
            Role::Time => duration,
            Role::Value | Role::Plain => true,
        };
        let Some((value, unit)) = measured.then(|| quantity(&field.text, comma)).flatten() else { continue };
        let is_value = field.role == Role::Value && !label.is_empty();
        let unit = if is_value && unit.is_empty() { text_of(Role::Unit).unwrap_or_default() } else { unit };
        // An index, or what stands below an empty heading.
        if field.name.trim().is_empty() {
            continue;
        }
        values.put(&labelled(field.name.trim(), &label, is_value), unit, value)?;
    }
    out.put(text_of(Role::Source), at, values)
}

/// The label goes before the last word of a name (`disks.sda.used`), or in its place (`sensors.inlet`).
fn labelled<'n>(name: &'n str, label: &str, is_value: bool) -> Cow<'n, str> {
    if label.is_empty() {
        return Cow::Borrowed(name);
    }
    let last = last_word(name);
    let before = &name[..name.len() - last.len()];
    Cow::Owned(if is_value { format!("{before}{label}") } else { format!("{before}{label}.{last}") })
}

fn last_word(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn time_of(date: Option<&str>, clock: Option<&str>, part: &Part<'_>) -> Result<Option<Timestamp>, Fault> {
    let text = match (date, clock) {
        (None, None) => return Ok(None),
        (Some(date), Some(clock)) => Cow::Owned(format!("{date} {clock}")),
        (Some(text), None) | (None, Some(text)) => Cow::Borrowed(text),
    };
    match time::parse_written(&text, part.received) {
        Some(at) => Ok(Some(at)),
        None if date.is_none() && is_quantity(&text) => Ok(None),
        None => Err(Fault::NotATime(Shown::of(&text))),
    }
}

fn is_quantity(text: &str) -> bool {
    quantity(text, Comma::Prose).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_name_tell_its_role() {
        let names = ["Host Name", "report.host.name", "@timestamp", "used", "disk", "Mounted on", "a.value"];
        let roles =
            [Role::Source, Role::Source, Role::Time, Role::Plain, Role::Label, Role::Label, Role::Value];
        assert_eq!(names.map(role), roles);
    }
}
