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
pub use tenant::{Shredded, Vault, refuse_shredded, shred};

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
    fs::create_dir_all(dir).map_err(|error| CustodyError(format!("{}: {error}", dir.display())))?;
    let public = dir.join(PUBLIC);
    if public.exists() {
        // A key in a token cannot be taken back: first looked, then made.
        return Err(CustodyError(format!("cannot make {}: there is one", public.display())));
    }
    let identity = make(dir, config, random)?;
    write_new(&public, format!("{}\n", identity.public()).as_bytes(), 0o644).map_err(told)?;
    Ok(identity)
}

fn make(dir: &Path, config: &Config, random: &mut impl CryptoRng) -> Result<Identity, CustodyError> {
    let in_memory = |random: &mut _| SecretKey::generate(random);
    match config {
        Config::File {} => {
            let key = in_memory(random);
            write_new(&dir.join(PEM), key.to_pkcs8_pem().as_bytes(), 0o600).map_err(told)?;
            Ok(key.into())
        }
        Config::Passphrase { passphrase } => {
            let (key, phrase) = (in_memory(random), passphrase.choose(dir, "passphrase")?);
            let text = passphrase::encrypt(&key.to_pkcs8_pem(), &phrase, random);
            write_new(&dir.join(ENCRYPTED), text.as_bytes(), 0o600).map_err(told)?;
            Ok(key.into())
        }
        Config::SystemdCreds { credential } => {
            let key = in_memory(random);
            credential::encrypt(dir, credential, &key.to_pkcs8_pem())?;
            Ok(key.into())
        }
        #[cfg(feature = "pkcs11")]
        Config::Pkcs11(token) => pkcs11::create(dir, token),
        #[cfg(feature = "tpm")]
        Config::Tpm { tcti } => tpm::create(dir, tcti),
        #[cfg(not(all(feature = "pkcs11", feature = "tpm")))]
        absent => Err(token::not_built(absent)),
    }
}

/// Opens the key of a folder, and tries it: it has to be the one of `identity.pub`. `remedy` says what to do where a
/// file is missing.
///
/// # Errors
///
/// [`CustodyError`] names the key's place and says what to do.
pub fn open(dir: &Path, config: &Config, remedy: &str) -> Result<Identity, CustodyError> {
    let identity = find(dir, config, remedy)?;
    let path = dir.join(PUBLIC);
    let wanted: PublicIdentity = file::read(&path, remedy)
        .map_err(told)?
        .trim()
        .parse()
        .map_err(|error| CustodyError(format!("{}: {error}", path.display())))?;
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

fn find(dir: &Path, config: &Config, remedy: &str) -> Result<Identity, CustodyError> {
    let read = |name: &str| file::read(&dir.join(name), remedy).map_err(told);
    let parse = |pem: &str, place: &dyn std::fmt::Display| {
        let key =
            SecretKey::from_pkcs8_pem(pem).map_err(|error| CustodyError(format!("{place}: {error}")))?;
        Ok(key.into())
    };
    match config {
        Config::File {} => parse(&zeroize::Zeroizing::new(read(PEM)?), &dir.join(PEM).display()),
        Config::Passphrase { passphrase } => {
            let (path, text) = (dir.join(ENCRYPTED), read(ENCRYPTED)?);
            let phrase = passphrase.read(dir, "passphrase")?;
            let pem = passphrase::decrypt(&text, &phrase)
                .map_err(|error| CustodyError(format!("{}: {error}", path.display())))?;
            parse(&pem, &path.display())
        }
        Config::SystemdCreds { credential } => parse(&credential::read(credential)?, config),
        #[cfg(feature = "pkcs11")]
        Config::Pkcs11(token) => pkcs11::open(dir, token),
        #[cfg(feature = "tpm")]
        Config::Tpm { tcti } => tpm::open(dir, tcti, remedy),
        #[cfg(not(all(feature = "pkcs11", feature = "tpm")))]
        absent => Err(token::not_built(absent)),
    }
}

fn told(error: impl Into<anyhow::Error>) -> CustodyError {
    CustodyError(format!("{:#}", error.into()))
}

#[cfg(test)]
mod tests;
