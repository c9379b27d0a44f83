//! Files of a program's folder: read with a word on what to do, written whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The text of a file that a folder must have.
///
/// # Errors
///
/// Names the file; when it is missing, `remedy` says what to do.
pub fn read(path: &Path, remedy: &str) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{} is missing; {remedy}", path.display()),
        read => read.with_context(|| path.display().to_string()),
    }
}

/// What the text of a file that a folder must have says.
///
/// # Errors
///
/// As [`read`]; or names the file and what is wrong with its text.
pub fn parsed<T, E>(path: &Path, remedy: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T>
where
    Result<T, E>: Context<T, E>,
{
    parse(&read(path, remedy)?).with_context(|| path.display().to_string())
}

/// Writes a file that does not exist yet, with these permissions, and syncs it.
///
/// # Errors
///
/// Names the file.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let open = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = open.with_context(|| format!("cannot make {}", path.display()))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| sync_names(folder_of(path))).with_context(|| path.display().to_string())
}

/// Writes a file whole or not at all, durably: under another name, synced, then renamed.
///
/// # Errors
///
/// Names the file.
pub fn write_replacing(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o666)
}

/// Writes a file as [`write_replacing`] does, for its owner alone.
///
/// # Errors
///
/// Names the file.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, 0o600)
}

/// The process may allow less than this mode.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let write = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_names(folder_of(path))
    };
    write().with_context(|| path.display().to_string())
}

/// Writes a file as [`write_replacing`] does, unless it says that already.
///
/// # Errors
///
/// Names the file.
pub fn write_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|known| known == bytes) { Ok(()) } else { write_replacing(path, bytes) }
}

/// Makes the names in a folder durable (fsync(2), "NOTES").
///
/// # Errors
///
/// What the disk says.
pub fn sync_names(folder: &Path) -> std::io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Where a file is; a name alone is in the folder that the process is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_new_file_is_never_written_over_and_a_replaced_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new(&path, b"one", 0o600).unwrap();
        assert!(write_new(&path, b"two", 0o600).unwrap_err().to_string().starts_with("cannot make "));
        write_replacing(&path, b"three").unwrap();
        assert_eq!(read(&path, "").unwrap(), "three");
        let written = || fs::metadata(&path).unwrap().ino();
        let before = written();
        write_changed(&path, b"three").unwrap();
        assert_eq!(written(), before, "it was left alone");
        write_changed(&path, b"four").unwrap();
        assert_eq!(read(&path, "").unwrap(), "four");
        write_private(&path, b"five").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_file_is_named_with_what_to_do() {
        let error = read(Path::new("nowhere/a.pem"), "`init` makes it").unwrap_err().to_string();
        assert_eq!(error, "nowhere/a.pem is missing; `init` makes it");
    }

    #[test]
    fn a_file_that_does_not_say_what_it_should_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new(&path, b"seven", 0o600).unwrap();
        let error = parsed(&path, "", str::parse::<u8>).unwrap_err();
        assert_eq!(format!("{error:#}"), format!("{}: invalid digit found in string", path.display()));
        write_replacing(&path, b"7").unwrap();
        assert_eq!(parsed(&path, "", str::parse::<u8>).unwrap(), 7);
    }
}
