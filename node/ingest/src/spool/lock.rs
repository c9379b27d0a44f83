//! One process writes a spool.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::{SpoolError, io_error};

/// Held while a spool is open for writing; the operating system lets go of it when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the spool in `dir`.
    pub(super) fn take(dir: &Path) -> Result<Self, SpoolError> {
        let path = dir.join("lock");
        let file = File::create(&path).map_err(io_error("make", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::Locked(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }
}
