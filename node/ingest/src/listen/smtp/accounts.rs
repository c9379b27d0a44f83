//! Who may log in: names and Argon2id hashes of passwords.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use tokio::sync::Semaphore;

/// Hashes computed at once: each takes tens of milliseconds of a core and 19 MB, so that a flood of log-ins
/// waits for itself and not for the others' mail.
const AT_ONCE_MAX: usize = 1;

/// A hash of a password that nobody has, with the parameters that OWASP recommends for Argon2id.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c3RhcmxpbmctLW5vYm9keQ$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The accounts of a bridge.
#[derive(Clone, Debug)]
pub struct Accounts {
    hashes: Arc<BTreeMap<String, String>>,
    at_once: Arc<Semaphore>,
}

/// An accounts file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// The operating system did not give it.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// A line that is no account.
    #[error("{} line {line}: expected `name:$argon2id$...`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
    },
}

impl Accounts {
    /// Reads `name:$argon2id$...` lines; without a file there is no account. Empty lines and those that begin
    /// with `#` do not count.
    ///
    /// # Errors
    ///
    /// [`AccountsError`] names the file and the line.
    pub fn read(path: Option<&Path>) -> Result<Self, AccountsError> {
        let mut hashes = BTreeMap::new();
        if let Some(path) = path {
            let text = std::fs::read_to_string(path);
            let text =
                text.map_err(|error| AccountsError::Io { path: path.to_owned(), reason: error.to_string() })?;
            for (index, line) in text.lines().enumerate() {
                let fault = AccountsError::Line { path: path.to_owned(), line: index + 1 };
                if let Some((name, hash)) = account(line).map_err(|()| fault)? {
                    hashes.insert(name.to_owned(), hash.to_owned());
                }
            }
        }
        Ok(Self { hashes: Arc::new(hashes), at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)) })
    }

    /// Whether the password is that of the name. On a thread of its own: it takes a while, and as long for a
    /// name that does not exist.
    pub async fn check(&self, name: &str, password: &str) -> bool {
        let Ok(permit) = Arc::clone(&self.at_once).acquire_owned().await else { return false };
        let hash = self.hashes.get(name).map_or(NOBODY, String::as_str).to_owned();
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(&hash);
            let right =
                hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
            drop(permit);
            right
        });
        checked.await.unwrap_or(false)
    }
}

/// Name and hash of a line, if it is not empty and no comment.
fn account(line: &str) -> Result<Option<(&str, &str)>, ()> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, hash) = line.split_once(':').ok_or(())?;
    let known = hash.starts_with("$argon2id$") && PasswordHash::new(hash).is_ok();
    if known && !name.is_empty() { Ok(Some((name, hash))) } else { Err(()) }
}
