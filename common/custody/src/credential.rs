//! Credentials of a systemd service: encrypted on the disk (`LoadCredentialEncrypted`), in the clear in the memory of
//! the service alone, under `$CREDENTIALS_DIRECTORY`.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use common::crypto::CustodyError;
use zeroize::Zeroizing;

/// Where `init` leaves the encrypted credential.
const FILE: &str = "identity.cred";

/// Encrypts a key for this machine by the program `systemd-creds`.
pub(crate) fn encrypt(dir: &Path, name: &str, pem: &str) -> Result<(), CustodyError> {
    let path = dir.join(FILE);
    let failed = |why: String| CustodyError(format!("systemd-creds cannot make {}: {why}", path.display()));
    if path.exists() {
        return Err(failed("there is one".to_owned()));
    }
    let mut child = Command::new("systemd-creds")
        .args(["encrypt", "--name", name, "-"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not take it says why itself.
        let _ = input.write_all(pem.as_bytes());
    }
    let ended = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if ended.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&ended.stderr).trim().to_owned()))
    }
}

/// The text of a credential.
pub(crate) fn read(name: &str) -> Result<Zeroizing<String>, CustodyError> {
    let path = path(name)?;
    fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|error| CustodyError(format!("{}: {error}", path.display())))
}

/// Where a credential of this service is.
pub(crate) fn path(name: &str) -> Result<PathBuf, CustodyError> {
    path_in(env::var_os("CREDENTIALS_DIRECTORY"), name)
}

fn path_in(dir: Option<OsString>, name: &str) -> Result<PathBuf, CustodyError> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(CustodyError(format!("`{name}` is no name of a credential: it is one name of a file")));
    }
    match dir.map(|dir| PathBuf::from(dir).join(name)) {
        Some(path) if path.exists() => Ok(path),
        Some(_) => Err(CustodyError(format!(
            "the credential `{name}` was not given to this service: add `LoadCredentialEncrypted={name}:PATH` to its unit"
        ))),
        None => Err(CustodyError(format!(
            "the credential `{name}` cannot be read: $CREDENTIALS_DIRECTORY is not set. Start this as a service of \
             systemd with `LoadCredentialEncrypted={name}:PATH` in its unit"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_was_not_given_is_named_with_the_line_for_the_unit() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), "k").unwrap();
        let at = |name: &str| path_in(Some(dir.path().into()), name);
        assert_eq!(at("key").unwrap(), dir.path().join("key"));
        let told = |path: Result<PathBuf, CustodyError>| path.unwrap_err().to_string();
        assert!(told(at("other")).contains("LoadCredentialEncrypted=other:PATH"));
        assert!(told(path_in(None, "key")).contains("$CREDENTIALS_DIRECTORY is not set"));
        for name in ["", "../key", "/etc/passwd", "."] {
            assert!(told(at(name)).contains("is no name of a credential"));
        }
    }

    #[test]
    fn what_systemd_creds_encrypts_it_decrypts_to_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let decrypt = |path: &Path| {
            let decrypt = ["decrypt", "--name", "starling-identity"];
            Command::new("systemd-creds").args(decrypt).arg(path).arg("-").output()
        };
        // Without the program, and in a container without the host's secret, nothing can be encrypted.
        if let Err(error) = encrypt(dir.path(), "starling-identity", "the key\n") {
            eprintln!("skipped: {error}");
            return;
        }
        let path = dir.path().join(FILE);
        assert!(!fs::read(&path).unwrap().windows(7).any(|bytes| bytes == b"the key"));
        assert_eq!(decrypt(&path).unwrap().stdout, b"the key\n");
        let again = encrypt(dir.path(), "starling-identity", "x").unwrap_err().to_string();
        assert!(again.ends_with("identity.cred: there is one"), "{again}");
    }
}
