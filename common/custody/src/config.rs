//! The table `[custody]` of the configuration files.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::secret::Source;

/// Where the secret key of a folder lives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Config {
    /// In `identity.pem`, in the clear, for its owner alone to read.
    File {},
    /// In `identity.enc`, encrypted under a passphrase.
    Passphrase {
        /// Where the passphrase comes from.
        #[serde(default)]
        passphrase: Source,
    },
    /// Decrypted by systemd for the service.
    SystemdCreds {
        /// The name of the credential.
        credential: String,
    },
    /// In a token that is reached by PKCS#11.
    Pkcs11(Pkcs11),
    /// In the TPM 2.0 of this machine.
    Tpm {
        /// How it is reached, in the words of tpm2-tss.
        tcti: String,
    },
}

/// A key in a PKCS#11 token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11 {
    /// The library of its maker.
    pub module: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The label of the key in it.
    pub key: String,
    /// Where the PIN comes from.
    #[serde(default)]
    pub pin: Source,
}

impl Default for Config {
    fn default() -> Self {
        Self::File {}
    }
}

impl Config {
    /// The configuration's lines for the table `[custody]`.
    ///
    /// # Panics
    ///
    /// Never: each kind is a table.
    pub fn lines(&self) -> String {
        let table = toml::Table::try_from(self).expect("each kind is a table");
        let lines: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        lines.concat()
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File {} => f.write_str(super::PEM),
            Self::Passphrase { .. } => f.write_str(super::ENCRYPTED),
            Self::SystemdCreds { credential } => write!(f, "the credential `{credential}`"),
            Self::Pkcs11(Pkcs11 { module, token, key, .. }) => {
                write!(f, "key `{key}` of token `{token}` ({})", module.display())
            }
            Self::Tpm { tcti } => write!(f, "the key of the TPM at `{tcti}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_init_writes_is_what_is_read() {
        let pkcs11 = |pin| {
            let (module, token, key) = ("/lib/p11.so".into(), "a \"b\"".to_owned(), "starling".to_owned());
            Config::Pkcs11(Pkcs11 { module, token, key, pin })
        };
        let all = [
            Config::File {},
            Config::Passphrase { passphrase: Source::Terminal },
            Config::SystemdCreds { credential: "starling-identity".into() },
            pkcs11(Source::File("pin".into())),
            pkcs11(Source::Credential("pin".into())),
            Config::Tpm { tcti: "device:/dev/tpmrm0".into() },
        ];
        for config in all {
            let lines = config.lines();
            assert_eq!(toml::from_str::<Config>(&lines).unwrap(), config, "{lines}");
        }
        assert_eq!(Config::default().lines(), "kind = \"file\"\n");
    }

    #[test]
    fn an_unknown_kind_or_key_is_refused_by_name() {
        let cases = [
            ("kind = \"cloud\"", "cloud"),
            ("kind = \"file\"\npin = \"terminal\"", "pin"),
            ("kind = \"tpm\"", "tcti"),
            ("kind = \"pkcs11\"\nmodule = \"m\"\ntoken = \"t\"\nkey = \"k\"\npni = \"terminal\"", "pni"),
        ];
        for (text, word) in cases {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
