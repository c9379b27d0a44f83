//! The log of one tenant: what goes in is written by one thread, what comes out is read by any number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rand_chacha::ChaCha20Rng;
use tokio::sync::{oneshot, watch};

use super::cursor::{Cursors, lags};
use super::log::Log;
use super::writer::{Pending, Writer};
use super::{Config, Cursor, Entry, Lag, Position, Reader, Refusal, SpoolError, SpoolKey, Status, io_error};
use crate::limits::ENTRY_BODY_BYTES_MAX;

/// What is one tenant's, open for writing. Clones are the same; the last one to go closes it.
#[derive(Clone, Debug)]
pub struct TenantSpool {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
}

#[derive(Debug)]
pub(super) struct Shared {
    dir: PathBuf,
    key: SpoolKey,
    pending_bytes_max: usize,
    pub(super) pending_bytes: AtomicUsize,
    refused: AtomicU64,
    pub(super) cursors: Cursors,
    /// Where the durable entries end; changes wake the readers.
    end: watch::Receiver<Position>,
    status: watch::Receiver<Status>,
}

impl TenantSpool {
    /// Opens the folder `dir`, which is made if it is not there. Blocks while the newest segment is checked.
    pub(super) fn open(
        dir: &Path,
        key: SpoolKey,
        config: Config,
        random: ChaCha20Rng,
    ) -> Result<Self, SpoolError> {
        std::fs::create_dir_all(dir).map_err(io_error("make", dir))?;
        let log = Log::open(dir, key.clone(), config, random)?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            key,
            pending_bytes_max: config.pending_bytes_max,
            pending_bytes: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            cursors: Cursors::open(dir)?,
            end: log.watch_end(),
            status: log.watch_status(),
        });
        let writer = Writer::start(log, Arc::clone(&shared)).map_err(io_error("start a thread for", dir))?;
        Ok(Self { shared, writer: Arc::new(writer) })
    }

    /// Takes an entry, to be answered when it is durable.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it is not even tried.
    pub fn offer(&self, entry: Entry) -> Result<oneshot::Receiver<Result<Position, Refusal>>, Refusal> {
        let shared = &self.shared;
        let bytes = entry.body.len();
        let refuse = |refusal| {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            Err(refusal)
        };
        if bytes > ENTRY_BODY_BYTES_MAX {
            return refuse(Refusal::TooLarge { bytes });
        }
        let waiting = shared.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        // One entry is always let in, however large.
        if waiting > 0 && waiting + bytes > shared.pending_bytes_max {
            shared.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return refuse(Refusal::Busy { waiting, unit: "bytes" });
        }
        let (answer, answered) = oneshot::channel();
        match self.writer.push(Pending { entry, answer }) {
            Ok(()) => Ok(answered),
            Err(refusal) => {
                shared.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
                refuse(refusal)
            }
        }
    }

    /// Reads on from a position; `Position::default()` is the beginning.
    pub fn reader(&self, from: Position) -> Reader {
        let Shared { dir, key, end, .. } = &*self.shared;
        Reader::new(dir, key.clone(), from, Some(end.clone()))
    }

    /// The cursor of a consumer, which stands where it left it. From now on nothing behind it goes, whether the
    /// consumer is there or not.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file.
    pub fn cursor(&self, consumer: &str) -> Result<Cursor, SpoolError> {
        self.shared.cursors.take(consumer)
    }

    /// How far each consumer lags.
    pub fn lags(&self) -> BTreeMap<String, Lag> {
        lags(&self.shared.dir, &self.shared.cursors.all(), self.status().newest)
    }

    /// Where the durable entries end; changes when there are more.
    pub fn end(&self) -> watch::Receiver<Position> {
        self.shared.end.clone()
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let refused = self.shared.refused.load(Ordering::Relaxed);
        let status = *self.shared.status.borrow();
        Status { refused: status.refused + refused, ..status }
    }
}
