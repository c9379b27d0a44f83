//! Who takes what the rows of a file become.

use crate::error::RowError;
use crate::record::TelemetryRecord;

/// More than whoever takes the rows may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The limit.
    pub max: u64,
    /// What is counted.
    pub unit: &'static str,
}

/// Takes the rows of a file, one by one.
pub trait Rows {
    /// A row became a record.
    ///
    /// # Errors
    ///
    /// [`Full`] refuses the file.
    fn accept(&mut self, record: TelemetryRecord) -> Result<(), Full>;

    /// A row is left out.
    fn reject(&mut self, row: RowError);

    /// Whether this is enough for now: decoding stops before the next record.
    fn is_full(&self) -> bool {
        false
    }
}
