//! What a header says, and the rows that it explains.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use common::limits::METRICS_MAX;
use common::model::MetricName;
use common::units::Timestamp;

use memchr::memchr;

use super::{cells, decimal};
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
    /// Reads the header, without its line break.
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

    /// Reads a record into `values`, which come in as NaN: an empty cell stays a missing value.
    /// Its time is `None` where the file has no timestamp column.
    pub(super) fn row(&self, record: &[u8], values: &mut [f32]) -> Result<Option<Timestamp>, CellFault> {
        let record = std::str::from_utf8(record).map_err(|_| (None, RowFault::NotText))?;
        if memchr(b'"', record.as_bytes()).is_none() {
            return self.plain_row(record, values).map_err(|fault| self.blame(record, fault));
        }
        let (mut found, mut at) = (0, None);
        cells::for_each(record, |cell| {
            found += 1;
            self.cell(found - 1, cell, values, &mut at)
        })
        .unwrap_or(Err((None, RowFault::OpenQuote)))
        .map_err(|fault| self.blame(record, fault))?;
        if found == self.roles.len() { Ok(at) } else { Err(self.wrong_count(found)) }
    }

    /// A record without quotation marks: a usual number is read on the way to its comma.
    fn plain_row(&self, record: &str, values: &mut [f32]) -> Result<Option<Timestamp>, CellFault> {
        let (mut rest, mut at) = (Some(record), None);
        for (column, role) in self.roles.iter().enumerate() {
            let text = rest.ok_or_else(|| self.wrong_count(column))?;
            let usual = match role {
                Role::Metric(index) => decimal::cell(text.as_bytes()).map(|found| (*index, found)),
                _ => None,
            };
            let end = if let Some((index, (value, end))) = usual {
                values[index] = value;
                end
            } else {
                let end = memchr(b',', text.as_bytes()).unwrap_or(text.len());
                self.cell(column, text[..end].trim_ascii(), values, &mut at)?;
                end
            };
            rest = text.get(end + 1..);
        }
        match rest {
            None => Ok(at),
            Some(text) => Err(self.wrong_count(self.roles.len() + text.split(',').count())),
        }
    }

    fn cell(
        &self,
        column: usize,
        cell: &str,
        values: &mut [f32],
        at: &mut Option<Timestamp>,
    ) -> Result<(), CellFault> {
        let blame = |fault| (Some(column), fault);
        match self.roles.get(column) {
            Some(&Role::Metric(index)) => values[index] = number(cell).map_err(blame)?,
            Some(Role::Time) => {
                let time = time::parse(cell).ok_or_else(|| RowFault::NotATime(Shown::of(cell)));
                *at = Some(time.map_err(blame)?);
            }
            Some(Role::Other) | None => (),
        }
        Ok(())
    }

    /// Whether a record has a cell for each column.
    pub(super) fn fit(&self, record: &[u8]) -> bool {
        std::str::from_utf8(record).is_ok_and(|record| count(record) == Some(self.roles.len()))
    }

    /// The name of a column, for an error.
    pub(super) fn shown(&self, index: usize) -> Shown {
        self.names.get(index).map_or_else(|| Shown::of("?"), |name| Shown::of(name))
    }

    /// In a row with too many or too few cells the cells are shifted: the count is to blame, not the cell.
    fn blame(&self, record: &str, fault: CellFault) -> CellFault {
        match count(record) {
            Some(found) if found != self.roles.len() => self.wrong_count(found),
            _ => fault,
        }
    }

    fn wrong_count(&self, found: usize) -> CellFault {
        (None, RowFault::Columns { found, expected: self.roles.len() })
    }
}

/// The number of cells; `None` when a quotation mark has no partner.
fn count(record: &str) -> Option<usize> {
    let mut count = 0;
    cells::for_each::<Infallible>(record, |_| {
        count += 1;
        Ok(())
    })
    .map(|_| count)
}

fn names(line: &str) -> Result<Vec<String>, HeaderFault> {
    let mut names = Vec::new();
    let mut count = 0;
    cells::for_each::<HeaderFault>(line, |cell| {
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
