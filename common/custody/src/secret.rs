//! PINs and passphrases. They are never options: other users of a machine see command lines.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use common::crypto::CustodyError;
use console::Term;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::credential;

/// More than any passphrase has, in bytes.
const SECRET_BYTES_MAX: u64 = 4096;

/// Where a PIN or a passphrase comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Asked for, and not shown.
    #[default]
    Terminal,
    /// The first line of a file; a relative path is one in the folder. `/dev/fd/3` is a descriptor of the process.
    File(PathBuf),
    /// The first line of a credential of the service.
    Credential(String),
}

impl Source {
    /// The secret that was chosen once.
    pub(crate) fn read(&self, dir: &Path, what: &str) -> Result<Zeroizing<String>, CustodyError> {
        match self {
            Self::Terminal => ask(what),
            Self::File(path) => first_line(&dir.join(path), what),
            Self::Credential(name) => first_line(&credential::path(name)?, what),
        }
    }

    /// A new secret: at a terminal it is asked for twice.
    pub(crate) fn choose(&self, dir: &Path, what: &str) -> Result<Zeroizing<String>, CustodyError> {
        let chosen = self.read(dir, what)?;
        if *self == Self::Terminal && *ask(&format!("{what} again"))? != *chosen {
            return Err(CustodyError(format!("the two times the {what} was not the same; nothing was made")));
        }
        Ok(chosen)
    }
}

fn ask(what: &str) -> Result<Zeroizing<String>, CustodyError> {
    let terminal = Term::stderr();
    if !terminal.is_term() {
        return Err(CustodyError(format!(
            "there is no terminal to ask for the {what}: let [custody] name a file or a credential that holds it"
        )));
    }
    let asked = terminal.write_str(&format!("{what}: ")).and_then(|()| terminal.read_secure_line());
    let line = asked.map(Zeroizing::new).map_err(|error| CustodyError(format!("{what}: {error}")))?;
    if line.is_empty() { Err(CustodyError(format!("no {what} was given"))) } else { Ok(line) }
}

fn first_line(path: &Path, what: &str) -> Result<Zeroizing<String>, CustodyError> {
    let place = || format!("{what} in {}", path.display());
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX as usize));
    let read = File::open(path).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| CustodyError(format!("{}: {error}", place())))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Zeroizing::new(line.to_owned())),
        None => Err(CustodyError(format!("{}: its first line is empty", place()))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_is_the_first_line_of_its_file_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pin"), "1234 5\r\nmore\n").unwrap();
        let source = Source::File("pin".into());
        assert_eq!(*source.read(dir.path(), "PIN").unwrap(), "1234 5");
        assert_eq!(*source.choose(dir.path(), "PIN").unwrap(), "1234 5");
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("empty"), "\n1234\n").unwrap();
        let told = |name: &str| Source::File(name.into()).read(dir.path(), "PIN").unwrap_err().to_string();
        assert!(told("empty").ends_with("empty: its first line is empty"), "{}", told("empty"));
        assert!(told("gone").starts_with("PIN in ") && told("gone").contains("gone: No such file"));
    }
}
