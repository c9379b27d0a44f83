//! Very large CSV files: read in ranges by several threads, handed over in order, resumed after a kill.
//!
//! ```text
//! header > cuts every few MB > each range is decoded from where a record seems to begin (guess.rs)
//!        > joined in order: a range counts only if it began where the one before it ended, else it is
//!          decoded again from there > batches, each with the state to resume from
//! ```
//!
//! So the records, the rejected rows and the counts are those of one pass from the first byte to the last,
//! whatever the cuts, the threads and the bytes; a wrong guess costs time only. Whoever takes a [`Batch`]
//! makes its records, its lines of the exceptions log and its [`State`] durable together. After a kill the
//! import goes on from the last state: the rows before it are not read again, those behind it are.

mod entries;
mod exceptions;
mod guess;
mod join;
mod range;
mod source;
mod state;
mod summary;

use std::fs::File;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;

use common::id::TenantId;
use common::model::MetricName;

pub use self::entries::entries;
pub use self::exceptions::Exceptions;
pub use self::state::State;
pub use self::summary::Summary;

use self::exceptions::lines;
use self::join::Join;
use self::source::Source;
use crate::config::Format;
use crate::content::{io_error, is_gzip};
use crate::error::{ImportFault, IngestError, RowError};
use crate::file::shown;
use crate::limits::IMPORT_RANGE_BYTES;
use crate::record::TelemetryRecord;

/// How large CSV files are imported. They must be complete: one that grows is for
/// [`directory::Follower`](crate::directory::Follower).
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// Whose telemetry it is.
    pub tenant: TenantId,
    /// How the rows get their time.
    pub format: &'a Format,
    /// The metrics of each record, in this order; all columns when `None`.
    pub required: Option<&'a [MetricName]>,
    /// Threads that decode; with one, the calling thread does.
    pub workers: NonZeroUsize,
    /// Bytes that a thread decodes at a stretch.
    pub range_bytes: NonZeroU64,
}

/// What the rows of a part of the file became, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The records.
    pub records: Vec<TelemetryRecord>,
    /// The rows that were left out.
    pub rejected: Vec<RowError>,
    /// The same as lines for the exceptions log.
    pub exceptions: Vec<u8>,
    /// How far the file is imported with this batch.
    pub state: State,
}

impl<'a> Import<'a> {
    /// All columns, by the calling thread.
    pub fn new(tenant: TenantId, format: &'a Format) -> Self {
        let range_bytes = NonZeroU64::new(IMPORT_RANGE_BYTES).unwrap_or(NonZeroU64::MIN);
        Self { tenant, format, required: None, workers: NonZeroUsize::MIN, range_bytes }
    }

    /// By what an import of the file at `path` is known: its size, both its ends, and how its rows are read.
    ///
    /// # Errors
    ///
    /// [`IngestError::Io`].
    pub fn identity(&self, path: &Path) -> Result<String, IngestError> {
        let name = shown(path);
        let file = File::open(path).map_err(|error| io_error(&name, &error))?;
        let identity = file.bytes().and_then(|bytes| state::identity(self, &file, bytes));
        identity.map_err(|error| io_error(&name, &error))
    }

    /// Imports the file at `path`, all of it or what is left after `from`, and returns the last state.
    /// Importing once more from that state does nothing.
    ///
    /// The calling thread calls `sink`. At most two batches a thread are in memory besides the one with it.
    ///
    /// # Errors
    ///
    /// What `sink` says, or [`IngestError`]: the file cannot be read, has no usable header or no row, is
    /// gzip, or is not the file that `from` belongs to. Batches that `sink` took stay taken.
    pub fn run<E: From<IngestError>>(
        &self,
        path: &Path,
        from: Option<State>,
        sink: impl FnMut(Batch) -> Result<(), E>,
    ) -> Result<State, E> {
        let name = shown(path);
        let file = File::open(path).map_err(|error| io_error(&name, &error))?;
        self.run_on(&name, &file, from, sink)
    }

    fn run_on<E: From<IngestError>>(
        &self,
        name: &str,
        source: &impl Source,
        from: Option<State>,
        sink: impl FnMut(Batch) -> Result<(), E>,
    ) -> Result<State, E> {
        let unreadable = |error| io_error(name, &error);
        let bytes = source.bytes().map_err(unreadable)?;
        let mut head = [0; 2];
        let length = source::read_full(source, 0, &mut head).map_err(unreadable)?;
        let refuse = |fault| IngestError::Import { file: name.to_owned(), fault };
        if is_gzip(&head[..length]) == Some(true) {
            return Err(refuse(ImportFault::Gzip).into());
        }
        let identity = state::identity(self, source, bytes).map_err(unreadable)?;
        let state = from.unwrap_or_else(|| State::new(identity.clone()));
        if !state.is_of(&identity) {
            return Err(refuse(ImportFault::OtherFile).into());
        }
        if state.is_finished() {
            return Ok(state);
        }
        let mut join = Join::new(self, name, source, bytes, state, sink);
        join.head()?;
        join.ranges()?;
        let state = join.into_state();
        let file = || name.to_owned();
        match (state.has_header(), state.rows()) {
            (false, _) => Err(IngestError::Empty { file: file() }.into()),
            (true, 0) => Err(IngestError::NoRows { file: file() }.into()),
            _ => Ok(state),
        }
    }
}

#[cfg(test)]
mod tests;
