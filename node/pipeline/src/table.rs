//! [`Table`]: rows of telemetry, from cleaning to windows.

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
    /// Whether the machine was down then; only known where somebody asked.
    pub down: bool,
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
