//! The options by which `init` chooses where a key lives.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{Config, Pkcs11};
use crate::secret::Source;

/// Where the new secret key is to live.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where the secret key lives: what the file protects, what a token never gives out.
    #[arg(long, value_enum, default_value_t = Kind::File, value_name = "KIND")]
    custody: Kind,
    /// The file whose first line is the PIN or the passphrase; a relative path is one in the folder.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_credential")]
    secret_file: Option<PathBuf>,
    /// The credential of the service whose first line is the PIN or the passphrase; without either, it is asked for.
    #[arg(long, value_name = "NAME")]
    secret_credential: Option<String>,
    /// For systemd-creds: the name of the credential that is the key.
    #[arg(long, value_name = "NAME", default_value = "starling-identity")]
    credential: String,
    /// For pkcs11: the library of the token's maker.
    #[arg(long, value_name = "FILE", required_if_eq("custody", "pkcs11"))]
    module: Option<PathBuf>,
    /// For pkcs11: the label of the token.
    #[arg(long, value_name = "LABEL", default_value = "starling")]
    token: String,
    /// For pkcs11: the label of the key, which must not be there yet.
    #[arg(long, value_name = "LABEL", default_value = "starling-identity")]
    key: String,
    /// For tpm: how the TPM is reached, in the words of tpm2-tss.
    #[arg(long, value_name = "TCTI", default_value = "device:/dev/tpmrm0")]
    tcti: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// In identity.pem, in the clear, for its owner alone to read.
    File,
    /// In identity.enc, encrypted under a passphrase (Argon2id).
    Passphrase,
    /// Encrypted for this machine by systemd-creds, and decrypted for the service.
    SystemdCreds,
    /// In a token or HSM with a PKCS#11 library.
    Pkcs11,
    /// In the TPM 2.0 of this machine.
    Tpm,
}

impl Options {
    /// What they say, as the configuration has it.
    pub fn config(&self) -> Config {
        let secret = match (&self.secret_file, &self.secret_credential) {
            (Some(file), _) => Source::File(file.clone()),
            (None, Some(credential)) => Source::Credential(credential.clone()),
            (None, None) => Source::Terminal,
        };
        match self.custody {
            Kind::File => Config::File {},
            Kind::Passphrase => Config::Passphrase { passphrase: secret },
            Kind::SystemdCreds => Config::SystemdCreds { credential: self.credential.clone() },
            Kind::Pkcs11 => Config::Pkcs11(Pkcs11 {
                module: self.module.clone().unwrap_or_default(),
                token: self.token.clone(),
                key: self.key.clone(),
                pin: secret,
            }),
            Kind::Tpm => Config::Tpm { tcti: self.tcti.clone() },
        }
    }
}
