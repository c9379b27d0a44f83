//! What a header says, and the rows that it explains.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use common::limits::METRICS_MAX;
use common::model::MetricName;
use common::units::Timestamp;

use crate::config::Format;
use crate::error::{HeaderFault, RowFault, Shown};
use crate::limits::COLUMNS_MAX;
use crate::time;

/// The meaning of each column.
#[derive(Debug)]
pub(super) struct Columns {
    /// What the records hold, in the order of their values.
    pub(super) metrics: Arc<[MetricName]>,
    names: Vec<String>,
    roles: Vec<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Time,
    /// The index of the value in the record.
    Metric(usize),
    /// Not asked for.
    Other,
}

/// A bad cell: the index of its column, if one is to blame, and what is wrong.
pub(super) type CellFault = (Option<usize>, RowFault);

impl Columns {
    /// Reads the header line, without its line break.
    pub(super) fn parse(
        line: &[u8],
        format: &Format,
        required: Option<&[MetricName]>,
    ) -> Result<Self, HeaderFault> {
        let line = std::str::from_utf8(line).map_err(|_| HeaderFault::NotText)?;
        let names = names(line)?;
        let time = match &format.timestamp_column {
            Some(column) => Some(
                names
                    .iter()
                    .position(|name| name == column)
                    .ok_or(HeaderFault::NoTimestamp(Shown::of(column)))?,
            ),
            None => None,
        };
        let (metrics, roles) = match required {
            Some(required) => required_roles(&names, time, required)?,
            None => all_roles(&names, time)?,
        };
        Ok(Self { metrics, names, roles })
    }

    /// Reads a row into `values`, which come in as NaN: an empty cell stays a missing value.
    /// Its time is `None` where the file has no timestamp column.
    pub(super) fn row(&self, line: &[u8], values: &mut [f32]) -> Result<Option<Timestamp>, CellFault> {
        let line = std::str::from_utf8(line).map_err(|_| (None, RowFault::NotText))?;
        let mut found = 0;
        let mut at = None;
        for_each_cell(line, |cell| {
            let role = self.roles.get(found);
            found += 1;
            match role {
                Some(&Role::Metric(index)) => {
                    values[index] = number(cell).map_err(|fault| (Some(found - 1), fault))?;
                }
                Some(Role::Time) => {
                    let time = time::parse(cell).ok_or_else(|| RowFault::NotATime(Shown::of(cell)));
                    at = Some(time.map_err(|fault| (Some(found - 1), fault))?);
                }
                Some(Role::Other) | None => (),
            }
            Ok(())
        })
        .unwrap_or(Err((None, RowFault::OpenQuote)))
        .map_err(|fault| self.blame(line, fault))?;
        if found == self.roles.len() { Ok(at) } else { Err(self.wrong_count(found)) }
    }

    /// The name of a column, for an error.
    pub(super) fn shown(&self, index: usize) -> Shown {
        self.names.get(index).map_or_else(|| Shown::of("?"), |name| Shown::of(name))
    }

    /// In a row with too many or too few cells the cells are shifted: the count is to blame, not the cell.
    fn blame(&self, line: &str, fault: CellFault) -> CellFault {
        let mut found = 0;
        let counted = for_each_cell::<Infallible>(line, |_| {
            found += 1;
            Ok(())
        });
        match counted {
            Some(_) if found != self.roles.len() => self.wrong_count(found),
            _ => fault,
        }
    }

    fn wrong_count(&self, found: usize) -> CellFault {
        (None, RowFault::Columns { found, expected: self.roles.len() })
    }
}

fn names(line: &str) -> Result<Vec<String>, HeaderFault> {
    let mut names = Vec::new();
    let mut count = 0;
    for_each_cell::<HeaderFault>(line, |cell| {
        count += 1;
        if count <= COLUMNS_MAX {
            names.push(cell.to_owned());
        }
        Ok(())
    })
    .ok_or(HeaderFault::OpenQuote)??;
    if count > COLUMNS_MAX {
        return Err(HeaderFault::TooManyColumns(count));
    }
    if names.iter().all(|name| name.is_empty() || name.parse::<f64>().is_ok()) {
        return Err(HeaderFault::Numbers);
    }
    if let Some(unnamed) = names.iter().position(String::is_empty) {
        return Err(HeaderFault::Unnamed(unnamed + 1));
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(HeaderFault::Duplicate(Shown::of(twice))),
        None => Ok(names),
    }
}

type Roles = (Arc<[MetricName]>, Vec<Role>);

fn required_roles(
    names: &[String],
    time: Option<usize>,
    required: &[MetricName],
) -> Result<Roles, HeaderFault> {
    let role = |(column, name): (usize, &String)| {
        if time == Some(column) {
            return Role::Time;
        }
        required.iter().position(|metric| metric.as_str() == name).map_or(Role::Other, Role::Metric)
    };
    let roles: Vec<Role> = names.iter().enumerate().map(role).collect();
    let mut missing = required
        .iter()
        .enumerate()
        .filter(|(index, _)| !roles.contains(&Role::Metric(*index)))
        .map(|(_, name)| name);
    match missing.next() {
        Some(first) => Err(HeaderFault::Missing { first: Shown::of(first), others: missing.count() }),
        None if required.is_empty() => Err(HeaderFault::NoMetrics),
        None => Ok((required.into(), roles)),
    }
}

fn all_roles(names: &[String], time: Option<usize>) -> Result<Roles, HeaderFault> {
    let mut metrics = Vec::new();
    let mut roles = Vec::new();
    for (column, name) in names.iter().enumerate() {
        if time == Some(column) {
            roles.push(Role::Time);
            continue;
        }
        roles.push(Role::Metric(metrics.len()));
        metrics.push(MetricName::try_from(name.as_str()).map_err(|_| HeaderFault::NameTooLong(column + 1))?);
    }
    match metrics.len() {
        0 => Err(HeaderFault::NoMetrics),
        count if count > METRICS_MAX => Err(HeaderFault::TooManyColumns(names.len())),
        _ => Ok((metrics.into(), roles)),
    }
}

/// A cell of a metric; empty and NaN are missing values.
fn number(cell: &str) -> Result<f32, RowFault> {
    if cell.is_empty() {
        return Ok(f32::NAN);
    }
    match cell.parse::<f32>() {
        Ok(value) if value.is_infinite() => Err(RowFault::NotFinite(Shown::of(cell))),
        Ok(value) => Ok(value),
        Err(_) => Err(RowFault::NotANumber(Shown::of(cell))),
    }
}

/// Each cell of a line, without blanks around it. `None` when a quotation mark is not closed.
///
/// Almost no telemetry has quotation marks, and without them a cell ends at the next comma.
fn for_each_cell<E>(line: &str, mut each: impl FnMut(&str) -> Result<(), E>) -> Option<Result<(), E>> {
    if !line.contains('"') {
        return Some(line.split(',').try_for_each(|cell| each(cell.trim_ascii())));
    }
    if line.matches('"').count() % 2 == 1 {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(line.as_bytes());
    let mut cells = csv::ByteRecord::new();
    match reader.read_byte_record(&mut cells) {
        Ok(true) => Some(cells.iter().try_for_each(|cell| {
            let cell: Cow<'_, str> = String::from_utf8_lossy(cell);
            each(cell.trim_ascii())
        })),
        _ => None,
    }
}
