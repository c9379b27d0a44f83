//! The durable spool of all sources: what was accepted is kept, whatever dies next.
//!
//! ```text
//! sources > Spool::store > one writer thread a tenant: seal, write, sync, then answer all who waited > segments
//!           segments > Reader > Unique > records, and a Cursor that says how far
//! ```
//!
//! *Tenants share nothing*: each has a folder, files, keys, room, a writer and cursors of its own.
//!
//! *Group commit.* Whatever waits when the writer is free goes to the disk in one write and one
//! `fdatasync`, and all who wait are answered together. A sync costs the same for one entry as for a
//! thousand, so a busy spool syncs no more often than an idle one.
//!
//! *A full spool asks its sources to wait.* Segments that no consumer has to read any more make room; when
//! there are none, entries are refused with [`Refusal::Full`], which SMTP says as 452 and HTTP as 429.
//!
//! *A consumer has a durable cursor*: it goes on there after a restart, and what lies before it may go.
//!
//! *Once, in the end.* A source that missed the answer sends again; an entry has an id, and [`Unique`] passes
//! one of each. So whatever was acknowledged is read exactly once from a spool's beginning.
//!
//! *At rest it is encrypted*, each segment under a key of its own. A tail that a crash tore is cut off when
//! the spool is opened, and a new segment is begun. A damaged frame elsewhere is named and stepped over.

mod cursor;
mod entry;
mod lock;
mod log;
mod reader;
mod recovery;
mod retention;
mod segment;
mod tenant;
mod unique;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use common::crypto::bulk::InputKey;
use common::id::TenantId;
use common::units::{Millis, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Deserialize;
use tokio::sync::oneshot;

pub use self::cursor::{Cursor, Lag};
pub use self::entry::{Entry, EntryId, Kind};
pub use self::reader::Reader;
pub use self::segment::{HeaderFault, SpoolKey};
pub use self::tenant::TenantSpool;
pub use self::unique::Unique;

use self::lock::Lock;
use crate::limits::TENANTS_MAX;

/// `[spool]` in a node's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of all segments of a tenant together. A full spool refuses.
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
    #[error("the disk is behind: {waiting} {unit} are waiting")]
    Busy {
        /// How much waits.
        waiting: usize,
        /// What is counted.
        unit: &'static str,
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
    /// One tenant more than there may be.
    #[error("{}: more than {TENANTS_MAX} tenants", .0.display())]
    TooManyTenants(PathBuf),
    /// A cursor that nobody wrote.
    #[error("{}: not the cursor of a consumer; without this file it begins with the oldest entry", .0.display())]
    Cursor(PathBuf),
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

/// The spool of a node, open for writing: one log for each tenant. Clones are the same spool; the last one to
/// go closes it.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Logs>);

#[derive(Debug)]
struct Logs {
    dir: PathBuf,
    key: InputKey,
    config: Config,
    open: Mutex<Open>,
    _lock: Lock,
}

#[derive(Debug)]
struct Open {
    tenants: BTreeMap<TenantId, TenantSpool>,
    random: ChaCha20Rng,
}

impl Spool {
    /// Opens the spool in the folder `dir`, which is made if it is not there, with all tenants that it has.
    /// Blocks while the newest segments are checked.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file.
    pub fn open(dir: &Path, key: InputKey, config: Config, random: ChaCha20Rng) -> Result<Self, SpoolError> {
        std::fs::create_dir_all(dir).map_err(io_error("make", dir))?;
        let lock = Lock::take(dir)?;
        let open = Mutex::new(Open { tenants: BTreeMap::new(), random });
        let spool = Self(Arc::new(Logs { dir: dir.to_owned(), key, config, open, _lock: lock }));
        for tenant in tenants(dir)? {
            spool.tenant(tenant)?;
        }
        Ok(spool)
    }

    /// What is a tenant's; begun when there is nothing yet.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file, or says that there are [`TENANTS_MAX`] tenants already.
    pub fn tenant(&self, tenant: TenantId) -> Result<TenantSpool, SpoolError> {
        let Logs { dir, key, config, open, .. } = &*self.0;
        let Open { tenants, random } = &mut *open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = tenants.get(&tenant) {
            return Ok(open.clone());
        }
        if tenants.len() == TENANTS_MAX {
            return Err(SpoolError::TooManyTenants(dir.clone()));
        }
        let key = SpoolKey { key: InputKey(key.0), tenant };
        let random = ChaCha20Rng::from_rng(random);
        let opened = TenantSpool::open(&tenant_dir(dir, tenant), key, *config, random)?;
        tenants.insert(tenant, opened.clone());
        Ok(opened)
    }

    /// Every tenant, and what is its own.
    pub fn tenants(&self) -> BTreeMap<TenantId, TenantSpool> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).tenants.clone()
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
        let spool = self.tenant(entry.tenant).map_err(|error| Refusal::Failed(error.to_string()))?;
        spool.offer(entry)
    }

    /// How all tenants' stand together.
    pub fn status(&self) -> Status {
        self.tenants().values().map(TenantSpool::status).fold(Status::default(), Status::and)
    }
}

/// The tenants whose entries are in the spool of this folder, in order.
///
/// # Errors
///
/// [`SpoolError`] names the folder.
pub fn tenants(dir: &Path) -> Result<Vec<TenantId>, SpoolError> {
    let mut tenants = Vec::new();
    for file in std::fs::read_dir(dir).map_err(io_error("read", dir))? {
        let name = file.map_err(io_error("read", dir))?.file_name();
        tenants.extend(name.to_str().and_then(|name| name.parse::<TenantId>().ok()));
    }
    tenants.sort();
    Ok(tenants)
}

/// The folder of a tenant's entries.
pub fn tenant_dir(dir: &Path, tenant: TenantId) -> PathBuf {
    dir.join(tenant.to_string())
}

/// How a tenant's part of a spool stands on the disk, whether a process has it open or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Segment files.
    pub segments: usize,
    /// When the newest segment was written.
    pub newest: Timestamp,
    /// How far each consumer is behind.
    pub lags: BTreeMap<String, Lag>,
}

/// Looks at a tenant's part of the spool in `dir`, without its key.
///
/// # Errors
///
/// [`SpoolError`] names the file.
pub fn standing(dir: &Path, tenant: TenantId) -> Result<Standing, SpoolError> {
    let dir = tenant_dir(dir, tenant);
    let segments = recovery::list(&dir)?;
    let newest = match segments.last_key_value() {
        Some((&last, _)) => recovery::modified(&recovery::path_of(&dir, last))?,
        None => Timestamp::default(),
    };
    let lags = cursor::lags(&dir, &cursor::marks_in(&dir)?, newest);
    Ok(Standing { bytes: segments.values().sum(), segments: segments.len(), newest, lags })
}

impl Status {
    /// Of two spools together.
    fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            segments: self.segments + other.segments,
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            commits: self.commits + other.commits,
            newest: self.newest.max(other.newest),
        }
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
