//! The durable spool of all sources: what was accepted is kept, whatever dies next.
//!
//! ```text
//! sources > Spool::store > one writer thread: seal, write, sync, then answer all who waited > segment files
//!           segment files > Reader > Unique > records
//! ```
//!
//! *Group commit.* Whatever waits when the writer is free goes to the disk in one write and one
//! `fdatasync`, and all who wait are answered together. A sync costs the same for one entry as for a
//! thousand, so a busy spool syncs no more often than an idle one.
//!
//! *A full spool asks its sources to wait.* Segments that nobody has to read any more make room; when there
//! are none, entries are refused with [`Refusal::Full`], which SMTP says as 452 and HTTP as 429.
//!
//! *Once, in the end.* A source that missed the answer sends again; an entry has an id, and [`Unique`] passes
//! one of each. So whatever was acknowledged is read exactly once from a spool's beginning.
//!
//! *At rest it is encrypted*, each segment under a key of its own. A tail that a crash tore is cut off when
//! the spool is opened, and a new segment is begun. A damaged frame elsewhere is named and stepped over.

mod entry;
mod lock;
mod log;
mod reader;
mod recovery;
mod retention;
mod segment;
mod unique;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use common::crypto::bulk::InputKey;
use common::units::{Millis, Timestamp};
use rand_chacha::ChaCha20Rng;
use serde::Deserialize;
use tokio::sync::{oneshot, watch};

pub use self::entry::{Entry, EntryId, Kind};
pub use self::reader::Reader;
pub use self::segment::HeaderFault;
pub use self::unique::Unique;

use self::lock::Lock;
use self::writer::{Pending, Writer};
use crate::limits::ENTRY_BODY_BYTES_MAX;

/// `[spool]` in a node's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of all segments together. A full spool refuses.
    pub bytes_max: u64,
    /// Bytes after which a new segment is begun.
    pub segment_bytes: u64,
    /// Seconds that entries are kept after they were read.
    pub keep_s: u64,
    /// Bytes of entries in memory that wait for the disk. More of them are refused.
    pub pending_bytes_max: usize,
    /// Whether an entry is acknowledged after it is on the disk (`true`), or after it is handed to the
    /// operating system, which a crash of the machine undoes.
    pub sync: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes_max: 8 << 30,
            segment_bytes: 64 << 20,
            keep_s: 30 * 24 * 3600,
            pending_bytes_max: 64 << 20,
            sync: true,
        }
    }
}

/// A place between two entries of a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment.
    pub segment: u64,
    /// How many frames of it come before.
    pub frame: u64,
    /// How many bytes of the file come before.
    pub offset: u64,
}

/// Why an entry was not taken. Its source may try again, except for [`Refusal::TooLarge`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No room on the disk.
    #[error("the spool is full: {bytes} of {max} bytes, and nothing in it may go")]
    Full {
        /// Bytes of all segments.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Too much is waiting for the disk already.
    #[error("the disk is behind: {bytes} bytes are waiting")]
    Busy {
        /// Bytes that wait.
        bytes: usize,
    },
    /// The disk failed.
    #[error("the spool cannot be written: {0}")]
    Failed(String),
    /// No such entry is ever taken.
    #[error("{bytes} bytes are more than an entry may have")]
    TooLarge {
        /// Bytes of its body.
        bytes: usize,
    },
    /// The spool is closing.
    #[error("the spool is closing")]
    Closing,
}

/// A spool, or a part of it, that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The operating system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{}: another process has this spool open", .0.display())]
    Locked(PathBuf),
    /// A segment whose header is wrong.
    #[error("{}: {fault}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: HeaderFault,
    },
    /// A frame that does not open; the next one is read.
    #[error("{} at byte {offset}: frame {frame} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the frame begins.
        offset: u64,
        /// Its number.
        frame: u64,
    },
}

/// How a spool stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Segment files.
    pub segments: usize,
    /// Entries accepted since it was opened.
    pub accepted: u64,
    /// Entries refused since it was opened.
    pub refused: u64,
    /// Syncs since it was opened: `accepted / commits` entries shared one.
    pub commits: u64,
    /// When the newest entry came.
    pub newest: Timestamp,
}

/// A spool that is open for writing. Clones are the same spool; the last one to go closes it.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    writer: Arc<Writer>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    key: InputKey,
    pending_bytes_max: usize,
    pending_bytes: AtomicUsize,
    refused: AtomicU64,
    /// Segments before this one need not be kept for any reader.
    released: AtomicU64,
    /// Where the durable entries end; changes wake the readers.
    end: watch::Receiver<Position>,
    status: watch::Receiver<Status>,
    _lock: Lock,
}

impl Spool {
    /// Opens the spool in the folder `dir`, which is made if it is not there. Blocks while the newest
    /// segment is checked.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file.
    pub fn open(dir: &Path, key: InputKey, config: Config, random: ChaCha20Rng) -> Result<Self, SpoolError> {
        std::fs::create_dir_all(dir).map_err(io_error("make", dir))?;
        let lock = Lock::take(dir)?;
        let log = log::Log::open(dir, InputKey(key.0), config, random)?;
        let (end, status) = (log.watch_end(), log.watch_status());
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            key,
            pending_bytes_max: config.pending_bytes_max,
            pending_bytes: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            released: AtomicU64::new(0),
            end,
            status,
            _lock: lock,
        });
        let writer = Writer::start(log, Arc::clone(&shared)).map_err(io_error("start a thread for", dir))?;
        Ok(Self { shared, writer: Arc::new(writer) })
    }

    /// Takes an entry; returns when it is durable.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; the entry may then be in the spool or not, so its source tries again.
    pub async fn store(&self, entry: Entry) -> Result<Position, Refusal> {
        self.offer(entry)?.await.unwrap_or(Err(Refusal::Closing))
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
            return refuse(Refusal::Busy { bytes: waiting });
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
        Reader::new(dir, InputKey(key.0), from, Some(end.clone()))
    }

    /// Nobody will read before this position again: what lies before it may go when its time has come.
    pub fn release(&self, before: Position) {
        self.shared.released.fetch_max(before.segment, Ordering::Relaxed);
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let refused = self.shared.refused.load(Ordering::Relaxed);
        let status = *self.shared.status.borrow();
        Status { refused: status.refused + refused, ..status }
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { action, path, source }
}

impl Config {
    fn keep(&self) -> Millis {
        Millis(self.keep_s.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests;
