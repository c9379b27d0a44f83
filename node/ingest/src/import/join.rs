//! Ranges decoded by several threads, joined in the order of the file.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Builder};

use super::range::{Gathered, Range, guessed_start};
use super::source::Source;
use super::state::shift;
use super::{Batch, Import, State, lines};
use crate::content::io_error;
use crate::csv::{Decoder, Position};
use crate::error::IngestError;

/// Bytes that are decoded at a time, at most, until the header is there.
const HEAD_BYTES: u64 = 64 * 1024;

/// Takes what was decoded, in the order of the file.
pub(super) struct Join<'a, S, F> {
    import: &'a Import<'a>,
    name: &'a str,
    source: &'a S,
    file_bytes: u64,
    state: State,
    sink: F,
}

/// A part of what a thread made of a range.
struct Part {
    /// Where the thread began; `None` when no record seems to begin in the range.
    start: Option<u64>,
    rows: Gathered,
    /// How far it came, with lines and rows counted from `start`.
    position: Position,
    is_last: bool,
}

type Parts = Receiver<Result<Part, IngestError>>;

/// The ranges that are left of those that a file is cut into. The cuts are the same wherever an import goes on,
/// and so are its batches.
#[derive(Clone, Copy)]
struct Cuts {
    /// Where the first one begins now.
    begin: u64,
    range_bytes: u64,
    file_bytes: u64,
}

impl Cuts {
    fn count(self) -> u64 {
        self.file_bytes.div_ceil(self.range_bytes).saturating_sub(self.begin / self.range_bytes)
    }

    /// Where range `index` of them begins; at or after its last one, the end of the file.
    fn cut(self, index: u64) -> u64 {
        let number = (self.begin / self.range_bytes).saturating_add(index);
        number.saturating_mul(self.range_bytes).clamp(self.begin, self.file_bytes)
    }
}

impl<'a, S: Source, E: From<IngestError>, F: FnMut(Batch) -> Result<(), E>> Join<'a, S, F> {
    pub(super) fn new(
        import: &'a Import<'a>,
        name: &'a str,
        source: &'a S,
        file_bytes: u64,
        state: State,
        sink: F,
    ) -> Self {
        Self { import, name, source, file_bytes, state, sink }
    }

    pub(super) fn into_state(self) -> State {
        self.state
    }

    /// Decodes until the header is there: no range means anything without it.
    pub(super) fn head(&mut self) -> Result<(), E> {
        while !self.state.has_header() && self.state.bytes() < self.file_bytes {
            self.decode(self.state.bytes() + HEAD_BYTES.min(self.import.range_bytes.get()))?;
        }
        Ok(())
    }

    /// Decodes all that is left.
    pub(super) fn ranges(&mut self) -> Result<(), E> {
        let (begin, file_bytes) = (self.state.bytes(), self.file_bytes);
        let cuts = Cuts { begin, range_bytes: self.import.range_bytes.get(), file_bytes };
        let workers = (self.import.workers.get() as u64).min(cuts.count());
        if workers < 2 {
            return (0..cuts.count()).try_for_each(|range| self.decode(cuts.cut(range + 1)));
        }
        let begin = self.state.position().clone();
        let file = (self.name, self.source, file_bytes);
        let job = Job { import: self.import, file, begin: &begin, cuts, step: workers };
        thread::scope(|scope| {
            let start = |worker: u64| {
                let (sender, parts) = sync_channel(1);
                // A thread that cannot be started sends nothing; its ranges are then decoded here.
                drop(Builder::new().spawn_scoped(scope, move || job.ranges(worker, &sender)));
                parts
            };
            let parts: Vec<Parts> = (0..workers).map(start).collect();
            for range in 0..cuts.count() {
                self.join(&parts[(range % workers) as usize], cuts.cut(range + 1))?;
            }
            Ok(())
        })
    }

    /// Takes over a range that ends at `until`, as far as it was begun where the one before it ended.
    fn join(&mut self, parts: &Parts, until: u64) -> Result<(), E> {
        let base = self.state.position().clone();
        // Of a thread that failed nothing more comes; decoding here finds the same error, if it is one.
        while let Ok(Ok(Part { start, mut rows, position, is_last })) = parts.recv() {
            if start == Some(base.bytes) {
                shift(&mut rows, &base, self.import);
                self.take(rows, base.plus(position))?;
            }
            if is_last {
                break;
            }
        }
        if self.state.bytes() < until { self.decode(until) } else { Ok(()) }
    }

    /// Decodes the records that begin before `until`, from where the import is.
    fn decode(&mut self, until: u64) -> Result<(), E> {
        let file = (self.name, self.source, self.file_bytes);
        let mut range = Range::new(self.import, file, self.state.position().clone(), until)?;
        loop {
            let mut rows = Gathered::default();
            let is_last = range.next(&mut rows)?;
            self.take(rows, range.position().clone())?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn take(&mut self, rows: Gathered, position: Position) -> Result<(), E> {
        if position == *self.state.position() {
            return Ok(());
        }
        let exceptions = lines(&rows.rejected);
        self.state.advance(&rows, &exceptions, position, self.file_bytes);
        let Gathered { records, rejected } = rows;
        (self.sink)(Batch { records, rejected, exceptions, state: self.state.clone() })
    }
}

/// What the threads share.
struct Job<'a, S> {
    import: &'a Import<'a>,
    /// Its name, its bytes and their count.
    file: (&'a str, &'a S, u64),
    /// Where the first range begins.
    begin: &'a Position,
    cuts: Cuts,
    /// How many threads there are: each takes the ranges that are so far apart.
    step: u64,
}

impl<S> Clone for Job<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Job<'_, S> {}

impl<S: Source> Job<'_, S> {
    /// Decodes every range of one thread, until nobody takes the parts.
    fn ranges(self, first: u64, sender: &SyncSender<Result<Part, IngestError>>) {
        let mut index = first;
        while index < self.cuts.count() {
            let sent = match self.range(index, sender) {
                Ok(is_taken) => is_taken,
                Err(error) => sender.send(Err(error)).is_ok(),
            };
            if !sent {
                return;
            }
            index += self.step;
        }
    }

    /// Decodes one range; `false` when nobody takes the parts.
    fn range(self, index: u64, sender: &SyncSender<Result<Part, IngestError>>) -> Result<bool, IngestError> {
        let (cut, until) = (self.cuts.cut(index), self.cuts.cut(index + 1));
        let start = if index == 0 { Some(cut) } else { self.guess(cut, until)? };
        let Some(bytes) = start else {
            let (rows, position) = (Gathered::default(), Position::default());
            return Ok(sender.send(Ok(Part { start, rows, position, is_last: true })).is_ok());
        };
        let mut range = Range::new(self.import, self.file, self.begin.headed(bytes), until)?;
        loop {
            let mut rows = Gathered::default();
            let is_last = range.next(&mut rows)?;
            let position = range.position().clone();
            if sender.send(Ok(Part { start, rows, position, is_last })).is_err() || is_last {
                return Ok(is_last);
            }
        }
    }

    fn guess(self, cut: u64, until: u64) -> Result<Option<u64>, IngestError> {
        let Import { tenant, format, required, .. } = self.import;
        let (name, source, _) = self.file;
        let decoder = Decoder::new(name, *tenant, format, *required).resume(self.begin.headed(cut))?;
        guessed_start(&decoder, source, cut, until).map_err(|error| io_error(name, &error))
    }
}
