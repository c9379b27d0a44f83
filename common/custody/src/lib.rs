//! Where long-term keys live: files, credentials of a service, PKCS#11 tokens, the TPM; and the key of a tenant's data,
//! which one of them seals.
//!
//! | room | what it holds |
//! |---|---|
//! | `config` | the table `[custody]` of the configuration files, and the options of `init` that write it |
//! | `secret` | PINs and passphrases: from a file, a credential or the terminal, never from the command line |
//! | `passphrase` | a key file encrypted under a passphrase |
//! | `credential` | what systemd decrypts for a service |
//! | `tenant` | the key of a tenant's data in a folder, which the identity seals |
//! | `pkcs11`, `tpm` | keys that are made in a token and never leave it; each a cargo feature |
//!
//! A token is asked once: a wrong PIN ends the program, so that no retry locks the token.

mod config;
mod credential;
mod options;
mod passphrase;
mod secret;
mod tenant;
mod token;

#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(feature = "tpm")]
mod tpm;

pub use config::Config;
pub use options::Options;
pub use secret::Source;
pub use tenant::{Shredded, Vault, make_next, refuse_shredded, shred};

use std::fs;
use std::path::Path;

use common::crypto::{CustodyError, Identity, Label, PublicIdentity, SecretKey};
use edge::file::{self, write_new};
use rand_core::CryptoRng;

/// What a program ends with when its key cannot be used. Starting it again does not help, so a service manager should
/// not (`RestartPreventExitStatus`).
pub const EXIT: u8 = 7;

/// What [`EXIT`] means, for people.
pub const EXIT_MEANING: &str =
    "the key of the folder cannot be used: its token, PIN or passphrase; stderr says which";

const PEM: &str = "identity.pem";
const ENCRYPTED: &str = "identity.enc";
const PUBLIC: &str = "identity.pub";

/// The folder, in that of a key, of the one that is to take its place.
pub const NEXT: &str = "next";

/// What [`NEXT`] is called while its files take the place of the older ones.
const MOVING: &str = "succeeding";

/// Whether a key that cannot be used is the cause.
pub fn is_cause(error: &anyhow::Error) -> bool {
    error.chain().any(<dyn std::error::Error>::is::<CustodyError>)
}

/// Makes a key where it is to live, and writes `identity.pub` into the folder; nothing that exists is overwritten.
///
/// # Errors
///
/// [`CustodyError`] when there is an identity, or none can be made there.
pub fn create(dir: &Path, config: &Config, random: &mut impl CryptoRng) -> Result<Identity, CustodyError> {
    let folder = Folder { keys: dir, secrets: dir };
    let public = dir.join(PUBLIC);
    if public.exists() {
        // A key in a token cannot be taken back: first looked, then made.
        return Err(CustodyError(format!("cannot make {}: there is one", public.display())));
    }
    #[cfg(feature = "pkcs11")]
    if let Config::Pkcs11(token) = config {
        pkcs11::require_vacant(dir, token)?;
    }
    folder.create(config, random)
}

/// The key that is to take the place of the one in this folder, in the same custody: made in [`NEXT`], unless it was.
///
/// # Errors
///
/// [`CustodyError`] when none can be made there, or the one that is there cannot be used.
pub fn create_next(
    dir: &Path,
    config: &Config,
    random: &mut impl CryptoRng,
) -> Result<Identity, CustodyError> {
    let keys = dir.join(NEXT);
    let folder = Folder { keys: &keys, secrets: dir };
    if keys.join(PUBLIC).exists() { folder.open(config, "delete it") } else { folder.create(config, random) }
}

/// Opens the key of a folder, and tries it: it has to be the one of `identity.pub`. `remedy` says what to do where a
/// file is missing.
///
/// # Errors
///
/// [`CustodyError`] names the key's place and says what to do.
pub fn open(dir: &Path, config: &Config, remedy: &str) -> Result<Identity, CustodyError> {
    complete(dir)?;
    Folder { keys: dir, secrets: dir }.open(config, remedy)
}

/// The public half of the key that is to take the place of this folder's, if there is one.
pub fn next(dir: &Path) -> Option<PublicIdentity> {
    fs::read_to_string(dir.join(NEXT).join(PUBLIC)).ok()?.trim().parse().ok()
}

/// The key in [`NEXT`] becomes that of the folder. A process killed on the way finds the one or the other: what was begun
/// is completed when the folder is opened.
///
/// # Errors
///
/// [`CustodyError`] names the file.
pub fn succeed(dir: &Path) -> Result<(), CustodyError> {
    let (next, moving) = (dir.join(NEXT), dir.join(MOVING));
    moved(&next, &moving)?;
    complete(dir)
}

/// Completes what [`succeed`] began, if it was.
fn complete(dir: &Path) -> Result<(), CustodyError> {
    let moving = dir.join(MOVING);
    let failed = |error: std::io::Error| CustodyError(format!("{}: {error}", moving.display()));
    let entries = match fs::read_dir(&moving) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?,
    };
    for entry in entries {
        moved(&entry.path(), &dir.join(entry.file_name()))?;
    }
    fs::remove_dir(&moving).map_err(failed)?;
    file::sync_names(dir).map_err(failed)
}

fn moved(from: &Path, to: &Path) -> Result<(), CustodyError> {
    let failed = |error: std::io::Error| CustodyError(format!("cannot rename {}: {error}", from.display()));
    fs::rename(from, to).map_err(failed)
}

/// Where a key has its files, and where the files are that hold its PIN or passphrase.
#[derive(Clone, Copy)]
struct Folder<'a> {
    keys: &'a Path,
    secrets: &'a Path,
}

impl Folder<'_> {
    fn create(self, config: &Config, random: &mut impl CryptoRng) -> Result<Identity, CustodyError> {
        let failed = |error| CustodyError(format!("{}: {error}", self.keys.display()));
        fs::create_dir_all(self.keys).map_err(failed)?;
        let identity = self.make(config, random)?;
        let line = format!("{}\n", identity.public());
        write_new(&self.keys.join(PUBLIC), line.as_bytes(), 0o644).map_err(told)?;
        Ok(identity)
    }

    fn make(self, config: &Config, random: &mut impl CryptoRng) -> Result<Identity, CustodyError> {
        let Self { keys, secrets } = self;
        let in_memory = |random: &mut _| SecretKey::generate(random);
        match config {
            Config::File {} => {
                let key = in_memory(random);
                write_new(&keys.join(PEM), key.to_pkcs8_pem().as_bytes(), 0o600).map_err(told)?;
                Ok(key.into())
            }
            Config::Passphrase { passphrase } => {
                let (key, phrase) = (in_memory(random), passphrase.choose(secrets, "passphrase")?);
                let text = passphrase::encrypt(&key.to_pkcs8_pem(), &phrase, random);
                write_new(&keys.join(ENCRYPTED), text.as_bytes(), 0o600).map_err(told)?;
                Ok(key.into())
            }
            Config::SystemdCreds { credential } => {
                let key = in_memory(random);
                credential::encrypt(keys, credential, &key.to_pkcs8_pem())?;
                Ok(key.into())
            }
            #[cfg(feature = "pkcs11")]
            Config::Pkcs11(token) => pkcs11::create(secrets, token, random),
            #[cfg(feature = "tpm")]
            Config::Tpm { tcti } => tpm::create(keys, tcti),
            #[cfg(not(all(feature = "pkcs11", feature = "tpm")))]
            absent => Err(token::not_built(absent)),
        }
    }

    fn open(self, config: &Config, remedy: &str) -> Result<Identity, CustodyError> {
        let path = self.keys.join(PUBLIC);
        let wanted: PublicIdentity = file::read(&path, remedy)
            .map_err(told)?
            .trim()
            .parse()
            .map_err(|error| CustodyError(format!("{}: {error}", path.display())))?;
        let identity = self.find(config, &wanted, remedy)?;
        if *identity.public() != wanted {
            return Err(CustodyError(format!(
                "{config} is the key {}, and {} says {wanted}: bring back the one that belongs to this folder",
                identity.public(),
                path.display()
            )));
        }
        // No message: nobody takes a signature under this label. A token that does not sign is found now.
        identity.sign(Label::Custody, b"")?;
        Ok(identity)
    }

    #[cfg_attr(
        not(feature = "pkcs11"),
        expect(unused_variables, reason = "only such a token has several keys")
    )]
    fn find(self, config: &Config, wanted: &PublicIdentity, remedy: &str) -> Result<Identity, CustodyError> {
        let Self { keys, secrets } = self;
        let read = |name: &str| file::read(&keys.join(name), remedy).map_err(told);
        let parse = |pem: &str, place: &dyn std::fmt::Display| {
            let key =
                SecretKey::from_pkcs8_pem(pem).map_err(|error| CustodyError(format!("{place}: {error}")))?;
            Ok(key.into())
        };
        match config {
            Config::File {} => parse(&zeroize::Zeroizing::new(read(PEM)?), &keys.join(PEM).display()),
            Config::Passphrase { passphrase } => {
                let (path, text) = (keys.join(ENCRYPTED), read(ENCRYPTED)?);
                let phrase = passphrase.read(secrets, "passphrase")?;
                let pem = passphrase::decrypt(&text, &phrase)
                    .map_err(|error| CustodyError(format!("{}: {error}", path.display())))?;
                parse(&pem, &path.display())
            }
            Config::SystemdCreds { credential } => parse(&credential::read(credential)?, config),
            #[cfg(feature = "pkcs11")]
            Config::Pkcs11(token) => pkcs11::open(secrets, token, wanted),
            #[cfg(feature = "tpm")]
            Config::Tpm { tcti } => tpm::open(keys, tcti, remedy),
            #[cfg(not(all(feature = "pkcs11", feature = "tpm")))]
            absent => Err(token::not_built(absent)),
        }
    }
}

fn told(error: impl Into<anyhow::Error>) -> CustodyError {
    CustodyError(format!("{:#}", error.into()))
}

#[cfg(test)]
mod tests;
