//! What the store asks of a disk: the operating system's, or a simulated one that forgets what was not synced.
//!
//! That a model is durable before the record that names it is a matter of the order of these calls, so a simulation
//! has to be below them.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};

/// A disk. What is not synced may be lost, in part too, when the machine loses power.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder and those above it, unless they are there.
    ///
    /// # Errors
    ///
    /// What the disk says; so in all that follows.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;

    /// The files of a folder.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// A new file, or one that is emptied.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;

    /// A file to be read, and its bytes in all.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)>;

    /// Gives a file another name, atomically.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable (fsync(2), "NOTES").
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// A database in this file.
    ///
    /// # Errors
    ///
    /// What the database says.
    fn database(&self, path: &Path, builder: &Builder) -> Result<Database, DatabaseError>;
}

/// A file being written.
pub trait NewFile: Write {
    /// Makes what was written durable.
    ///
    /// # Errors
    ///
    /// What the disk says.
    fn sync(&mut self) -> io::Result<()>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok((Box::new(file), bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn database(&self, path: &Path, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create(path)
    }
}

impl NewFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
