//! A disk that forgets what was not synced when the machine loses power, and stands still when its process is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coordinator::store::{self, disk::NewFile};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use redb::{Builder, Database, DatabaseError, StorageBackend};

/// What a process has of the disk. A killed process has nothing of it any more.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    platter: Arc<Mutex<Platter>>,
    life: u64,
}

#[derive(Debug)]
struct Platter {
    /// The process whose calls count; those of others fail.
    life: u64,
    /// Calls after which power fails.
    power_left: Option<u32>,
    is_full: bool,
    /// A bug put in on purpose: syncs do nothing.
    deaf: bool,
    dirs: BTreeSet<PathBuf>,
    files: Vec<File>,
    /// As a process sees them.
    names: BTreeMap<PathBuf, usize>,
    /// As they are after power failed.
    durable_names: BTreeMap<PathBuf, usize>,
    /// What was done to names since they were durable, in this order.
    renamings: Vec<Renaming>,
    random: ChaCha20Rng,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// Since the last sync: where, what was there before, and what was written.
    writes: Vec<(usize, Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Renaming {
    Made(PathBuf, usize),
    Moved(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl Renaming {
    fn path(&self) -> &Path {
        let (Self::Made(path, _) | Self::Moved(path, _) | Self::Removed(path)) = self;
        path
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Made(path, file) => drop(names.insert(path.clone(), *file)),
            Self::Moved(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Removed(path) => drop(names.remove(path)),
        }
    }
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        let platter = Platter {
            life: 0,
            power_left: None,
            is_full: false,
            deaf: false,
            dirs: BTreeSet::new(),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renamings: Vec::new(),
            random: ChaCha20Rng::seed_from_u64(seed),
        };
        Self { platter: Arc::new(Mutex::new(platter)), life: 0 }
    }

    /// A new process has the disk; the one before it has nothing of it any more.
    pub(super) fn hand_over(&self) -> Self {
        let mut platter = self.platter();
        platter.life += 1;
        Self { platter: Arc::clone(&self.platter), life: platter.life }
    }

    /// Power fails after so many more calls.
    pub(super) fn cut_power_after(&self, calls: u32) {
        self.platter().power_left = Some(calls);
    }

    /// Whether power has failed.
    pub(super) fn has_no_power(&self) -> bool {
        self.platter().power_left == Some(0)
    }

    /// Power is back: of what was not synced, some is there and some is not.
    pub(super) fn restore_power(&self) {
        self.platter().restore_power();
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.platter().is_full = is_full;
    }

    /// Syncs do nothing from now on.
    pub(super) fn set_deaf(&self) {
        self.platter().deaf = true;
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that changes something.
    fn change<T>(&self, change: impl FnOnce(&mut Platter) -> io::Result<T>) -> io::Result<T> {
        let mut platter = self.platter();
        platter.admit(self.life)?;
        if let Some(left) = &mut platter.power_left {
            *left -= 1;
            if *left == 0 {
                return Err(dead());
            }
        }
        change(&mut platter)
    }

    fn look<T>(&self, look: impl FnOnce(&Platter) -> io::Result<T>) -> io::Result<T> {
        let platter = self.platter();
        platter.admit(self.life)?;
        look(&platter)
    }
}

fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

impl Platter {
    fn admit(&self, life: u64) -> io::Result<()> {
        if life == self.life && self.power_left != Some(0) { Ok(()) } else { Err(dead()) }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A new, empty file under this name.
    fn make(&mut self, path: &Path) -> usize {
        self.files.push(File::default());
        let file = self.files.len() - 1;
        self.rename(Renaming::Made(path.to_owned(), file));
        file
    }

    fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.renamings.push(renaming);
    }

    fn write(&mut self, file: usize, at: usize, bytes: &[u8]) -> io::Result<()> {
        if self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = &mut self.files[file];
        let end = at + bytes.len();
        if file.bytes.len() < end {
            file.bytes.resize(end, 0);
        }
        let before = file.bytes[at..end].to_vec();
        file.bytes[at..end].copy_from_slice(bytes);
        file.writes.push((at, before, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self, file: usize) {
        if !self.deaf {
            self.files[file].writes.clear();
        }
    }

    fn sync_dir(&mut self, dir: &Path) {
        if self.deaf {
            return;
        }
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.renamings.drain(..).partition(|renaming| renaming.path().parent() == Some(dir));
        for renaming in here {
            renaming.apply(&mut self.durable_names);
        }
        self.renamings = elsewhere;
    }

    /// Writes survive or not as chance has it, in part too; renamings in their order, as a journal has them.
    fn restore_power(&mut self) {
        self.power_left = None;
        let survive = self.random.next_u32() as usize % (self.renamings.len() + 1);
        for renaming in self.renamings.drain(..).take(survive) {
            renaming.apply(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
        for file in &mut self.files {
            let writes = std::mem::take(&mut file.writes);
            for (at, before, _) in writes.iter().rev() {
                overwrite(&mut file.bytes, *at, before);
            }
            for (at, _, after) in &writes {
                let length = match self.random.next_u32() % 4 {
                    0 => 0,
                    1 => self.random.next_u32() as usize % (after.len() + 1),
                    _ => after.len(),
                };
                overwrite(&mut file.bytes, *at, &after[..length]);
            }
        }
    }
}

/// As far as the file reaches: it may have been cut since.
fn overwrite(file: &mut [u8], at: usize, bytes: &[u8]) {
    let end = file.len().min(at + bytes.len());
    if let Some(place) = file.get_mut(at..end) {
        place.copy_from_slice(&bytes[..place.len()]);
    }
}

impl store::Disk for Disk {
    /// Folders are durable at once: what is simulated is the files in them.
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|platter| {
            platter.dirs.insert(dir.to_owned());
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.look(|platter| {
            if !platter.dirs.contains(dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(platter.names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        let file = self.change(|platter| Ok(platter.make(path)))?;
        Ok(Box::new(Handle { disk: self.clone(), file, at: 0 }))
    }

    fn open(&self, path: &Path) -> io::Result<(Box<dyn Read>, u64)> {
        let bytes = self.look(|platter| Ok(platter.files[platter.file(path)?].bytes.clone()))?;
        let length = bytes.len() as u64;
        Ok((Box::new(Cursor::new(bytes)), length))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|platter| {
            platter.file(from)?;
            platter.rename(Renaming::Moved(from.to_owned(), to.to_owned()));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|platter| {
            platter.file(path)?;
            platter.rename(Renaming::Removed(path.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|platter| {
            platter.sync_dir(dir);
            Ok(())
        })
    }

    fn database(&self, path: &Path, builder: &Builder) -> Result<Database, DatabaseError> {
        let known = self.look(|platter| Ok(platter.file(path).ok())).map_err(redb::StorageError::Io)?;
        let file = match known {
            Some(file) => file,
            None => self.change(|platter| Ok(platter.make(path))).map_err(redb::StorageError::Io)?,
        };
        builder.create_with_backend(Handle { disk: self.clone(), file, at: 0 })
    }
}

/// An open file.
#[derive(Debug)]
struct Handle {
    disk: Disk,
    file: usize,
    at: usize,
}

impl Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.change(|platter| platter.write(self.file, self.at, bytes))?;
        self.at += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for Handle {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.disk.look(|platter| Ok(platter.files[self.file].bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.look(|platter| {
            let bytes = platter.files[self.file].bytes.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    /// A file's length is metadata that the journal keeps in order: it survives.
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(|platter| {
            if platter.is_full && len as usize > platter.files[self.file].bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            platter.files[self.file].bytes.resize(len as usize, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.change(|platter| {
            platter.sync(self.file);
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.change(|platter| platter.write(self.file, offset as usize, data))
    }
}
