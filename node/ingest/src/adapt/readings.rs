//! The readings of one part, as they come together: one a source and time, bounded, in the order they came.

use std::collections::BTreeMap;

use common::limits::{METRICS_MAX, NAME_BYTES_MAX};
use common::model::MetricName;
use common::units::Timestamp;

use super::{Fault, Part, Place, Reading, Reject};
use crate::error::Shown;
use crate::limits::{ADAPT_READINGS_MAX, ADAPT_VALUES_MAX};

/// Values of one source at one time, each name once.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<MetricName, f32>);

impl Values {
    /// Adds a value; of two with one name the later counts.
    pub(super) fn put(&mut self, name: &str, unit: &str, value: f32) -> Result<(), Fault> {
        let name = if unit.is_empty() { name.to_owned() } else { format!("{name}[{unit}]") };
        let metric = MetricName::try_from(name.as_str()).map_err(|_| Fault::NameTooLong(Shown::of(&name)))?;
        self.0.insert(metric, value);
        match self.0.len() {
            count if count > METRICS_MAX => {
                Err(Fault::TooMany { max: METRICS_MAX, unit: "metrics in a reading" })
            }
            _ => Ok(()),
        }
    }

    /// Adds a value to what is there under this name.
    pub(super) fn count(&mut self, name: &str, more: f32) -> Result<(), Fault> {
        let before = MetricName::try_from(name).ok().and_then(|name| self.0.get(&name).copied());
        self.put(name, "", before.unwrap_or_default() + more)
    }
}

/// Collects the readings of a part.
pub(super) struct Readings<'p, 'a> {
    part: &'p Part<'a>,
    rows: Vec<(String, Timestamp, BTreeMap<MetricName, f32>)>,
    /// The last reading of each source and time.
    index: BTreeMap<(String, Timestamp), usize>,
    values: usize,
}

impl<'p, 'a> Readings<'p, 'a> {
    pub(super) fn new(part: &'p Part<'a>) -> Self {
        Self { part, rows: Vec::new(), index: BTreeMap::new(), values: 0 }
    }

    /// Adds values: to the reading of this source and time, or as a new one where a name is there already.
    /// Without a source it is the mail's sender, without a time the receipt.
    pub(super) fn put(
        &mut self,
        source: Option<&str>,
        at: Option<Timestamp>,
        values: Values,
    ) -> Result<(), Fault> {
        let source = source.filter(|source| !source.is_empty()).unwrap_or(self.part.sender);
        if source.len() > NAME_BYTES_MAX {
            return Err(Fault::NameTooLong(Shown::of(source)));
        }
        if values.0.is_empty() {
            return Ok(());
        }
        self.values += values.0.len();
        if self.values > ADAPT_VALUES_MAX {
            return Err(Fault::TooMany { max: ADAPT_VALUES_MAX, unit: "values" });
        }
        let at = at.unwrap_or(self.part.received);
        let key = (source.to_owned(), at);
        if let Some(&index) = self.index.get(&key) {
            let there = &mut self.rows[index].2;
            let fits = there.len() + values.0.len() <= METRICS_MAX;
            if fits && !values.0.keys().any(|name| there.contains_key(name)) {
                there.extend(values.0);
                return Ok(());
            }
        }
        if self.rows.len() >= ADAPT_READINGS_MAX {
            return Err(Fault::TooMany { max: ADAPT_READINGS_MAX, unit: "readings" });
        }
        self.rows.push((key.0.clone(), at, values.0));
        self.index.insert(key, self.rows.len() - 1);
        Ok(())
    }

    /// As [`Readings::put`], with the place that a reject names.
    pub(super) fn put_at(
        &mut self,
        place: Place,
        source: Option<&str>,
        at: Option<Timestamp>,
        values: Values,
    ) -> Result<(), Reject> {
        self.put(source, at, values).map_err(|fault| self.part.reject_at(place, fault))
    }

    /// What came together. Without a value the part is refused.
    pub(super) fn finish(self) -> Result<Vec<Reading>, Reject> {
        if self.rows.is_empty() {
            return Err(self.part.reject(Fault::NoValues));
        }
        let reading = |(source, at, values): (String, Timestamp, BTreeMap<MetricName, f32>)| Reading {
            source,
            at,
            values: values.into_iter().collect(),
        };
        Ok(self.rows.into_iter().map(reading).collect())
    }
}
