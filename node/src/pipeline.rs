//! From records to windows that can be learned: clean, scale, split, window.
//!
//! Each stage is a pure function of its input and its parameters; all work on one [`Table`].

pub mod clean;
pub mod moments;
pub mod scale;
pub mod split;
pub mod window;

pub use clean::{Clean, CleanError, Cleaned, clean};
pub use moments::Moments;
pub use scale::{Scale, ScaleError, Scaler};
pub use split::{Parts, Split, split};
pub use window::{Window, Windows, window};

use common::units::Timestamp;

/// Rows of telemetry: one source after the other, each in time order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// How many values a row has.
    pub columns: usize,
    /// Where each row comes from.
    pub rows: Vec<Row>,
    /// `rows.len()` x `columns` values, row-major; NaN where nothing is known.
    pub values: Vec<f32>,
}

/// Where a row of a [`Table`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index of the source, in the order of source names.
    pub source: u32,
    /// When it was measured.
    pub at: Timestamp,
    /// Index of the record in the input of the first stage.
    pub record: usize,
}

impl Table {
    /// The values of one row.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.columns..][..self.columns]
    }

    /// Appends a row.
    ///
    /// # Panics
    ///
    /// When the row is not as wide as the table.
    pub fn push(&mut self, row: Row, values: &[f32]) {
        assert_eq!(values.len(), self.columns, "a row is as wide as its table");
        self.rows.push(row);
        self.values.extend_from_slice(values);
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Small tables for the tests of the stages.

    use std::sync::Arc;

    use common::model::MetricName;
    use common::units::Timestamp;

    use super::{Row, Table};
    use common::id::TenantId;
    use ingest::record::{Origin, TelemetryRecord};

    /// One source, a row a second, these values.
    pub(crate) fn table(columns: usize, values: &[f32]) -> Table {
        let rows = (0..values.len() / columns).map(|record| row(0, record)).collect();
        Table { columns, rows, values: values.to_vec() }
    }

    pub(crate) fn row(source: u32, record: usize) -> Row {
        Row { source, at: Timestamp::from_millis(record as u64 * 1000), record }
    }

    /// A record of `source` at this second.
    pub(crate) fn record(source: &str, second: u64, metrics: &[&str], values: &[f32]) -> TelemetryRecord {
        TelemetryRecord {
            origin: Origin::new(TenantId::default(), source),
            at: Timestamp::from_millis(second * 1000),
            metrics: names(metrics),
            values: values.to_vec(),
        }
    }

    pub(crate) fn names(names: &[&str]) -> Arc<[MetricName]> {
        names.iter().map(|name| MetricName::try_from(*name).unwrap()).collect()
    }
}
