//! The edge of [`Follow`]: lists a directory, reads what the plan says, decodes it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use common::id::TenantId;
use common::model::MetricName;

use super::content::{io_error, is_gzip};
use super::csv::{Position, READ_BYTES, TAIL_BYTES};
use super::error::{IngestError, MailFault};
use super::file::{is_whole, read_file_as, shown};
use super::follow::{Follow, Listed, Read, Stage};
use super::limits::{FILES_MAX, LINE_BYTES_MAX, LOOK_RECORDS};
use super::lines::Syntax;
use super::{Format, Ingested};

/// Follows a directory, or one file in it, as it grows. When to look is the caller's business.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    tenant: TenantId,
    format: Format,
    required: Option<Vec<MetricName>>,
    follow: Follow,
    /// What the lines of all files are; else their names tell.
    syntax: Option<Syntax>,
}

impl Follower {
    /// Follows the directory, or the file, at `path`, from what an earlier run had read
    /// (`Follow::default()` for a first run).
    pub fn new(
        path: &Path,
        tenant: TenantId,
        format: Format,
        required: Option<&[MetricName]>,
        follow: Follow,
    ) -> Self {
        let required = required.map(<[_]>::to_vec);
        Self { path: path.to_owned(), tenant, format, required, follow, syntax: None }
    }

    /// Takes the lines of all files for this, whatever the files' names tell.
    #[must_use]
    pub fn of(self, syntax: Syntax) -> Self {
        Self { syntax: Some(syntax), ..self }
    }

    /// What is read so far: to be kept together with the records.
    pub fn follow(&self) -> &Follow {
        &self.follow
    }

    /// Reads what is new. A look that finds very much stops after about [`LOOK_RECORDS`] records; look
    /// again at once while one gives that many.
    ///
    /// # Errors
    ///
    /// [`IngestError`] when the directory cannot be listed. A file that cannot be read is reported in
    /// [`Ingested::refused`], once, and does not keep the others from being read.
    pub fn look(&mut self) -> Result<Ingested, IngestError> {
        let (directory, listing) = if self.path.is_dir() {
            (self.path.clone(), list(&self.path)?)
        } else {
            (self.path.parent().unwrap_or(Path::new("")).to_owned(), vec![list_one(&self.path)?])
        };
        let mut out = Ingested::default();
        for read in self.follow.plan(&listing) {
            if out.records.len() >= LOOK_RECORDS {
                break;
            }
            let Some(listed) = listing.iter().find(|listed| listed.name == read.name) else {
                continue;
            };
            match self.read(&directory.join(&read.name), &read, &mut out) {
                Ok(Some(stage)) => self.follow.set(listed, stage),
                Ok(None) => (),
                Err(error) => {
                    self.follow.set(listed, stage_after(&error, &read));
                    out.refused.push(error);
                }
            }
        }
        Ok(out)
    }

    /// Reads one file; `None` when nothing can be said of it yet.
    fn read(&self, path: &Path, read: &Read, out: &mut Ingested) -> Result<Option<Stage>, IngestError> {
        let name = shown(path);
        let mut file = File::open(path).map_err(|error| io_error(&name, &error))?;
        let mut whole = self.syntax.is_none() && is_whole(path);
        if !whole && read.from.bytes == 0 {
            let mut head = Vec::new();
            (&mut file).take(2).read_to_end(&mut head).map_err(|error| io_error(&name, &error))?;
            let Some(gzip) = is_gzip(&head) else {
                return Ok(None);
            };
            whole = gzip;
        }
        if !whole {
            return self.read_lines(&name, file, read, out).map(|position| Some(Stage::Lines(position)));
        }
        match read_file_as(self.syntax, path, self.tenant, &self.format, self.required.as_deref(), out) {
            Ok(()) => Ok(Some(Stage::Closed { bytes: read.bytes })),
            Err(IngestError::TruncatedGzip { .. }) if !read.settled => {
                Ok(Some(Stage::Incomplete { bytes: read.bytes, reported: false }))
            }
            Err(error) => Err(error),
        }
    }

    /// Decodes complete lines until the end of the file, or until the look has enough.
    fn read_lines(
        &self,
        name: &str,
        mut file: File,
        read: &Read,
        out: &mut Ingested,
    ) -> Result<Position, IngestError> {
        let from = if is_continued(&mut file, &read.from).map_err(|error| io_error(name, &error))? {
            read.from.clone()
        } else {
            Position::default()
        };
        file.seek(SeekFrom::Start(from.bytes)).map_err(|error| io_error(name, &error))?;
        let syntax = self.syntax.unwrap_or_else(|| Syntax::of_name(name));
        let decoder = syntax.decoder(name, self.tenant, &self.format, self.required.as_deref());
        let mut decoder = decoder.resume(from)?;
        let mut buffer = vec![0; READ_BYTES + LINE_BYTES_MAX];
        let mut filled = 0;
        while out.records.len() < LOOK_RECORDS {
            match file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(io_error(name, &error)),
            }
            let used = decoder.decode(&buffer[..filled], out)?;
            buffer.copy_within(used..filled, 0);
            filled -= used;
        }
        Ok(decoder.into_position())
    }
}

/// A file that the operating system could not read, or that stopped in its middle, may do better when it
/// has changed; one with wrong content will not.
fn stage_after(error: &IngestError, read: &Read) -> Stage {
    match error {
        IngestError::Io { .. }
        | IngestError::TruncatedGzip { .. }
        | IngestError::Mail { fault: MailFault::Broken(_), .. } => {
            Stage::Incomplete { bytes: read.bytes, reported: true }
        }
        _ => Stage::Closed { bytes: read.bytes },
    }
}

/// Whether the bytes before `position` are those that were read there.
fn is_continued(file: &mut File, position: &Position) -> std::io::Result<bool> {
    let length = (position.tail.len().min(TAIL_BYTES) as u64).min(position.bytes);
    file.seek(SeekFrom::Start(position.bytes - length))?;
    let mut found = Vec::new();
    (&mut *file).take(length).read_to_end(&mut found)?;
    Ok(found == position.tail)
}

/// The files of a directory, in the order of their names.
///
/// # Errors
///
/// [`IngestError::Io`], or [`IngestError::TooLarge`] over [`FILES_MAX`].
pub(super) fn list(directory: &Path) -> Result<Vec<Listed>, IngestError> {
    let name = shown(directory);
    let mut listing = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| io_error(&name, &error))? {
        let entry = entry.map_err(|error| io_error(&name, &error))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let is_unfinished = [".tmp", ".part", "~"].iter().any(|ending| file.ends_with(ending));
        if file.starts_with('.') || is_unfinished {
            continue;
        }
        // A file that vanishes between the listing and this look is simply gone.
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        if metadata.is_file() {
            listing.push(Listed { name: file, file_id: file_id(&metadata), bytes: metadata.len() });
        }
        if listing.len() > FILES_MAX {
            return Err(IngestError::TooLarge { file: name, max: FILES_MAX as u64, unit: "files" });
        }
    }
    listing.sort();
    Ok(listing)
}

fn list_one(path: &Path) -> Result<Listed, IngestError> {
    let metadata = fs::metadata(path).map_err(|error| io_error(&shown(path), &error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Listed { name, file_id: file_id(&metadata), bytes: metadata.len() })
}

#[cfg(unix)]
fn file_id(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn file_id(_metadata: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests;
