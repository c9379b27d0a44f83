//! `models/`: one safetensors file a model, named by its hash, and sealed. `moments/<run>/` likewise: a file for each
//! vector that the run's server remembers, shaped like the model.
//!
//! A file appears under its name only when it is whole and durable: it is written under another
//! name, synced, renamed, and the folder is synced. Whoever reads one checks the hash, which is that of what was sealed: so
//! a file is bound to its folder by its seal, and to its name by its hash.

mod foreign;
mod safetensors;
mod step;

pub use foreign::Foreign;
pub use safetensors::{About, Described};
pub use step::Step;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::crypto::VaultError;
use common::crypto::vault::Opening;
use common::id::ModelHash;
use common::model::Schema;
use custody::Vault;

use super::disk::{Disk, OsDisk};
use super::{MODELS, StoreError, io_error};

/// How the name of a file begins that is not whole yet.
const UNFINISHED: &str = ".unfinished-";

/// Bytes converted, hashed and written at once.
const PIECE_BYTES: usize = 1 << 16;

/// A folder of models, or of vectors shaped like one.
#[derive(Debug)]
pub struct Models {
    disk: Arc<dyn Disk>,
    vault: Arc<Vault>,
    dir: PathBuf,
    /// The folder as its seals name it.
    name: String,
    /// Tells unfinished files of this process apart.
    unfinished: AtomicU64,
}

impl Models {
    /// Opens the models of a coordinator's folder, makes theirs when it is not there, and removes what a killed process
    /// left unfinished.
    pub(super) fn open_on(disk: Arc<dyn Disk>, dir: &Path, vault: Arc<Vault>) -> Result<Self, StoreError> {
        let models = Self::at(disk, vault, dir, MODELS.to_owned());
        models.make()?;
        models.remove(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(UNFINISHED)
        })?;
        Ok(models)
    }

    /// The models of a coordinator's folder, whoever has its state open.
    pub fn of_folder(dir: &Path, vault: Arc<Vault>) -> Self {
        Self::at(Arc::new(OsDisk), vault, dir, MODELS.to_owned())
    }

    /// A folder of this name in a coordinator's, that is there or is not needed.
    pub(super) fn at(disk: Arc<dyn Disk>, vault: Arc<Vault>, dir: &Path, name: String) -> Self {
        Self { disk, vault, dir: dir.join(&name), name, unfinished: AtomicU64::new(0) }
    }

    /// Makes the folder, durably, unless it is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] names the folder.
    pub fn make(&self) -> Result<(), StoreError> {
        self.disk.make_dir(&self.dir).map_err(io_error("make", &self.dir))?;
        self.sync_dir(self.dir.parent().unwrap_or(Path::new(".")))
    }

    /// Where a model is, or would be.
    pub fn path(&self, model: ModelHash) -> PathBuf {
        self.dir.join(format!("{model}.sealed"))
    }

    /// Removes all but these.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] names the folder or the file.
    pub fn retain(&self, kept: &[ModelHash]) -> Result<(), StoreError> {
        let kept: Vec<PathBuf> = kept.iter().map(|model| self.path(*model)).collect();
        self.remove(|path| !kept.iter().any(|kept| kept == path))
    }

    fn remove(&self, is_old: impl Fn(&Path) -> bool) -> Result<(), StoreError> {
        for path in self.disk.list(&self.dir).map_err(io_error("read", &self.dir))? {
            if is_old(&path) {
                self.disk.remove(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.disk.sync_dir(dir).map_err(io_error("sync", dir))
    }

    /// Makes a model durable and tells its hash. The same values under the same schema and
    /// [`About`] have the same hash, on every machine. The values are streamed, not copied.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; there is no file then.
    ///
    /// # Panics
    ///
    /// When there are not as many values as the schema has.
    pub fn save(&self, about: &About<'_>, schema: &Schema, values: &[f32]) -> Result<ModelHash, StoreError> {
        assert_eq!(values.len(), schema.parameters(), "the values are the schema's");
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        // A command may bring one in while a coordinator stores another.
        let unfinished = self.dir.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
        let saved = self.save_as(&unfinished, &safetensors::header(about, schema), values);
        if saved.is_err() {
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&unfinished);
        }
        saved
    }

    fn save_as(&self, unfinished: &Path, header: &[u8], values: &[f32]) -> Result<ModelHash, StoreError> {
        let file = self.disk.create(unfinished).map_err(io_error("make", unfinished))?;
        let plain_bytes = (header.len() + size_of_val(values)) as u64;
        let write = || {
            let mut sealing = self.vault.seal_file(&self.name, plain_bytes, file)?;
            let model = write_values(&mut sealing, header, values)?;
            Ok((model, sealing.finish()?))
        };
        let (model, mut file) = write().map_err(io_error("write", unfinished))?;
        file.sync().map_err(io_error("sync", unfinished))?;
        let path = self.path(model);
        self.disk.rename(unfinished, &path).map_err(io_error("rename a file to", &path))?;
        self.sync_dir(&self.dir)?;
        Ok(model)
    }

    /// What the file of a model says of it. The file is not read whole, so its hash is not checked.
    ///
    /// # Errors
    ///
    /// [`StoreError::ModelMissing`] or [`StoreError::ModelDamaged`].
    pub fn describe(&self, model: ModelHash) -> Result<Described, StoreError> {
        let mut reader = self.reader(model)?;
        let bytes = reader.left;
        let header = reader.header()?;
        safetensors::describe(&header, bytes).map_err(|reason| reader.damaged(reason))
    }

    /// Reads the whole file of a model and checks its hash; its size in bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError::ModelMissing`] or [`StoreError::ModelDamaged`].
    pub fn check(&self, model: ModelHash) -> Result<u64, StoreError> {
        let mut reader = self.reader(model)?;
        let bytes = reader.left;
        reader.skip()?;
        reader.finish(model)?;
        Ok(bytes)
    }

    /// Reads the values of a model and checks them against its hash. Holds them once.
    ///
    /// # Errors
    ///
    /// [`StoreError::ModelMissing`], [`StoreError::ModelDamaged`], or [`StoreError::ModelMisfit`]
    /// when it is a model of another schema.
    pub fn load(&self, model: ModelHash, schema: &Schema) -> Result<Vec<f32>, StoreError> {
        let path = self.path(model);
        let mut reader = self.reader(model)?;
        let header = reader.header()?;
        if let Err(reason) = safetensors::fits(&header, schema, reader.left) {
            // Only a whole file can be said to be another model.
            reader.skip()?;
            reader.finish(model)?;
            return Err(StoreError::ModelMisfit { path, reason });
        }
        let values = reader.values(schema.parameters())?;
        reader.finish(model)?;
        Ok(values)
    }

    /// Writes what was sealed of a model to `output`, and checks its hash on the way.
    /// `output` appears when it is whole, not before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file that is missing, damaged or cannot be written.
    pub fn export(&self, model: ModelHash, output: &Path) -> Result<(), StoreError> {
        let mut reader = self.reader(model)?;
        let mut unfinished = output.as_os_str().to_owned();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let copied = copy(&mut reader, &unfinished, model);
        let copied = copied.and_then(|()| fs::rename(&unfinished, output).map_err(io_error("write", output)));
        if copied.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        copied
    }

    fn reader(&self, model: ModelHash) -> Result<Reader, StoreError> {
        let path = self.path(model);
        let (file, bytes) = match self.disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::ModelMissing(path));
            }
            opened => opened.map_err(io_error("read", &path))?,
        };
        let opened = self.vault.open_file(&self.name, bytes, file);
        let file = opened.map_err(|error| unreadable(error, &path))?;
        Ok(Reader { path, left: file.plain_bytes(), file, hasher: blake3::Hasher::new() })
    }
}

/// Writes a model for whoever may read it, not sealed, to a file of the folder `dir` that its hash names.
///
/// # Errors
///
/// [`StoreError::Io`] names the folder or the file.
///
/// # Panics
///
/// When there are not as many values as the schema has.
pub fn write_plain(
    dir: &Path,
    about: &About<'_>,
    schema: &Schema,
    values: &[f32],
) -> Result<(ModelHash, PathBuf), StoreError> {
    fs::create_dir_all(dir).map_err(io_error("make", dir))?;
    let model = hash(about, schema, values);
    let path = dir.join(format!("{model}.safetensors"));
    let write = || {
        let mut file = File::create(&path)?;
        write_values(&mut file, &safetensors::header(about, schema), values)?;
        file.sync_data()
    };
    write().map_err(io_error("write", &path))?;
    Ok((model, path))
}

/// The hash of a model, and the name that [`Models::save`] gives it.
///
/// # Panics
///
/// When there are not as many values as the schema has.
pub fn hash(about: &About<'_>, schema: &Schema, values: &[f32]) -> ModelHash {
    assert_eq!(values.len(), schema.parameters(), "the values are the schema's");
    write_values(&mut io::sink(), &safetensors::header(about, schema), values)
        .expect("a sink takes everything")
}

fn copy(reader: &mut Reader, unfinished: &Path, model: ModelHash) -> Result<(), StoreError> {
    let mut file = File::create(unfinished).map_err(io_error("write", unfinished))?;
    reader.rest(|piece| file.write_all(piece).map_err(io_error("write", unfinished)))?;
    file.sync_data().map_err(io_error("sync", unfinished))?;
    reader.finish(model)
}

fn write_values(file: &mut impl Write, header: &[u8], values: &[f32]) -> io::Result<ModelHash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    file.write_all(header)?;
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    for values in values.chunks(PIECE_BYTES / 4) {
        piece.clear();
        piece.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        hasher.update(&piece);
        file.write_all(&piece)?;
    }
    Ok(ModelHash(*hasher.finalize().as_bytes()))
}

/// A model file being read and hashed.
struct Reader {
    path: PathBuf,
    file: Opening<Box<dyn Read>>,
    /// Bytes of what was sealed that are not read yet.
    left: u64,
    hasher: blake3::Hasher,
}

impl Reader {
    /// The header's JSON, without its padding.
    fn header(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut length = [0; 8];
        self.read(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > self.left.min(safetensors::HEADER_BYTES_MAX) {
            return Err(self.damaged(format!("its header claims {length} bytes")));
        }
        let mut header = vec![0; length as usize];
        self.read(&mut header)?;
        Ok(header)
    }

    fn values(&mut self, count: usize) -> Result<Vec<f32>, StoreError> {
        let mut values = Vec::with_capacity(count);
        let mut piece = vec![0; PIECE_BYTES];
        while values.len() < count {
            let length = (count - values.len()).min(PIECE_BYTES / 4) * 4;
            self.read(&mut piece[..length])?;
            let pieces = piece[..length].as_chunks::<4>().0;
            values.extend(pieces.iter().map(|value| f32::from_le_bytes(*value)));
        }
        Ok(values)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        match self.file.read_exact(bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged("it is cut short".into()));
            }
            read => read.map_err(|error| unreadable(error, &self.path))?,
        }
        self.left = self.left.saturating_sub(bytes.len() as u64);
        self.hasher.update(bytes);
        Ok(())
    }

    fn skip(&mut self) -> Result<(), StoreError> {
        self.rest(|_| Ok(()))
    }

    /// Hashes what is left of the file, and hands it on.
    fn rest(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = self.file.read(&mut piece).map_err(|error| unreadable(error, &self.path))?;
            if length == 0 {
                return Ok(());
            }
            self.hasher.update(&piece[..length]);
            take(&piece[..length])?;
        }
    }

    fn finish(&self, model: ModelHash) -> Result<(), StoreError> {
        match ModelHash(*self.hasher.finalize().as_bytes()) {
            found if found == model => Ok(()),
            found => Err(self.damaged(format!("its hash is {found}"))),
        }
    }

    fn damaged(&self, reason: String) -> StoreError {
        StoreError::ModelDamaged { path: self.path.clone(), reason }
    }
}

/// A file that is not what was sealed, or cannot be read at all.
fn unreadable(error: io::Error, path: &Path) -> StoreError {
    match VaultError::of(&error) {
        Some(fault) => StoreError::ModelDamaged { path: path.to_owned(), reason: fault.to_string() },
        None => io_error("read", path)(error),
    }
}

#[cfg(test)]
mod tests;
