//! What survives a restart: runs and rounds in `state.redb`, models in `models/`.
//!
//! ```text
//! DIR/state.redb                     runs, their configuration, one record for each attempt at a round; what aliases
//!                                    named when, and which models were imported
//! DIR/models/<hash>.sealed           content-addressed: the name is the BLAKE3 of the safetensors file that is sealed
//! DIR/moments/<run>/<hash>.sealed    what the run's server remembers, if it does; only the newest is kept
//! ```
//!
//! All of it is sealed by the [`Vault`] of the folder: each file, and each value of a table. Keys of tables are not, so
//! ids, numbers, the names of aliases and sizes can be seen.
//!
//! A model is durable before the record that names it, and the record before anything is published:
//! a process killed at any instant leaves the state before a commit or the state after it. A model
//! file that no record names is what a kill between the two leaves; it is harmless, and small.
//!
//! Durable writes of one round: the model file, its directory, the same for moments, and one transaction of the state,
//! which reserves the next epochs too.

pub mod disk;
mod drained;
mod entry;
mod joins;
mod leases;
pub mod models;
pub mod registry;
mod state;

pub use disk::{Disk, OsDisk};
pub use entry::{NewRun, RunEntry, RunName, RunStatus, StartKey, Turn};
pub use models::{About, Models};
pub use registry::Alias;
pub use state::{Held, State};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::crypto::VaultError;
use common::id::{EpochId, ModelHash, RoundId, RunId};
use custody::Vault;

const STATE: &str = "state.redb";
const MODELS: &str = "models";
const MOMENTS: &str = "moments";

/// Runs, rounds and models of one coordinator.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    vault: Arc<Vault>,
    dir: PathBuf,
    state: State,
    models: Models,
}

/// The disk, or what is on it, is not as it must be. Each says which file or key, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// A verb: `write`, `read`.
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A model that is wanted is not there.
    #[error("{} is missing; put it back from a copy, or from a node that has it", .0.display())]
    ModelMissing(PathBuf),
    /// A model file is not what was written.
    #[error("{} is damaged: {reason}; delete it, and put it back from a copy", path.display())]
    ModelDamaged {
        /// Which file.
        path: PathBuf,
        /// How.
        reason: String,
    },
    /// A model is of another run, or its run's configuration was changed.
    #[error("{} does not fit the task of the run: {reason}", path.display())]
    ModelMisfit {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        reason: String,
    },
    /// A file that is to be brought in is not a model.
    #[error("{} cannot be imported: {reason}", path.display())]
    NotAModel {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another process has the state open.
    #[error("{} is in use by another process; stop that coordinator first", .0.display())]
    InUse(PathBuf),
    /// The disk refused the state before; what it holds must be read anew.
    #[error("{} could not be read or written before; start the coordinator again", .0.display())]
    Refused(PathBuf),
    /// The state cannot be read or written.
    #[error("{}: {source}", path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// What redb said.
        source: Box<redb::Error>,
    },
    /// The state does not open under the tenant's key.
    #[error("{}: {source}; put back the tenant.key that belongs to it", path.display())]
    Sealed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: VaultError,
    },
    /// An entry of the state is not what was written.
    #[error("{}, {key}: {reason}; put the file back from a copy", path.display())]
    EntryDamaged {
        /// Which file.
        path: PathBuf,
        /// Which table and key.
        key: String,
        /// How.
        reason: String,
    },
    /// The state was written by another version.
    #[error("{} has format {found}, but this version reads format {expected}; use the version that wrote it, or begin in a new folder", path.display())]
    OtherFormat {
        /// Which file.
        path: PathBuf,
        /// Of the file.
        found: u64,
        /// Of this code.
        expected: u64,
    },
    /// An alias cannot be rolled back.
    #[error("`{0}` named no model before this one; `coordinator model promote` makes it name another")]
    NothingBefore(Alias),
    /// No run has this id.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// A run with this id is there already.
    #[error("there is already a run {0}")]
    RunExists(RunId),
    /// A run does not stand so that this could be done.
    #[error("run {run} is {status}; only one that is {wanted} can be {done}")]
    OtherStatus {
        /// Which run.
        run: RunId,
        /// How it stands.
        status: RunStatus,
        /// How it would have to stand.
        wanted: &'static str,
        /// What was to be done with it: `paused`, `resumed`, `stopped`, `extended`.
        done: &'static str,
    },
    /// The record is not of the round that comes next, or starts from another model.
    #[error("run {run}: round {round} of epoch {epoch} cannot follow what is stored")]
    OutOfOrder {
        /// Which run.
        run: RunId,
        /// The record's round.
        round: RoundId,
        /// The record's epoch.
        epoch: EpochId,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room on that disk, then start again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; the coordinator's user must be allowed to write there"
        }
        _ => "",
    }
}

/// For `map_err`: an error of the operating system, with what was tried.
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

impl Store {
    /// Opens the store in a coordinator's folder; makes it when there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`], [`StoreError::InUse`] while another process has it open.
    pub fn open(dir: &Path, vault: Arc<Vault>) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(OsDisk), dir, vault)
    }

    /// Opens the store in a folder of this disk; makes it when there is none.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, vault: Arc<Vault>) -> Result<Self, StoreError> {
        // The state first: its lock says that nobody else writes models.
        let state = State::open(&*disk, &dir.join(STATE), Arc::clone(&vault))?;
        let models = Models::open_on(Arc::clone(&disk), dir, Arc::clone(&vault))?;
        Ok(Self { disk, vault, dir: dir.to_owned(), state, models })
    }

    /// Opens the store that is in a coordinator's folder to look at it: a file that another process is still writing
    /// stays.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_existing(dir: &Path, vault: Arc<Vault>) -> Result<Self, StoreError> {
        let state = State::open(&OsDisk, &dir.join(STATE), Arc::clone(&vault))?;
        let models = Models::of_folder(dir, Arc::clone(&vault));
        Ok(Self { disk: Arc::new(OsDisk), vault, dir: dir.to_owned(), state, models })
    }

    /// Runs and rounds.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// What a run's server remembers, once there is a folder for it: one for each run, so that one may forget what
    /// another still needs.
    pub fn moments(&self, run: RunId) -> Models {
        Models::at(Arc::clone(&self.disk), Arc::clone(&self.vault), &self.dir, format!("{MOMENTS}/{run}"))
    }

    /// Makes the folder of what a run's server remembers, and removes all of it but these.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] names the folder or the file.
    pub fn prepare_moments(&self, run: RunId, kept: &[ModelHash]) -> Result<(), StoreError> {
        Models::at(Arc::clone(&self.disk), Arc::clone(&self.vault), &self.dir, MOMENTS.to_owned()).make()?;
        let moments = self.moments(run);
        moments.make()?;
        moments.retain(kept)
    }
}

#[cfg(test)]
pub(crate) mod tests;
