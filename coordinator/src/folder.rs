//! A coordinator's folder: configuration, identity, and the list of nodes it may hear.
//!
//! ```text
//! coordinator.toml   configuration
//! identity.pem       secret key, mode 0600: whoever has it is this coordinator; elsewhere if [custody] says so
//! identity.pub       public key: copy it to every node as `coordinator.pub`
//! allowed-nodes      one line a node: its name, its public key, its labels
//! state.redb         runs and rounds
//! models/            models, by the hash of their file
//! moments/           what the servers of runs remember, by run
//! control.sock       local control socket while `coordinator serve` runs
//! ```

use std::path::Path;

use anyhow::{Context, Result};
use common::crypto::Identity;
use common::known::{self, Known};
use edge::file::{self, write_new};
use rand_chacha::rand_core::CryptoRng;

use crate::config::{CoordinatorConfig, RelayConfig};

/// The configuration file that `init` writes, with every key explained.
pub const SAMPLE_CONFIG: &str = include_str!("../samples/coordinator.toml");

/// The configuration file that `relay-init` writes, with every key explained.
pub const SAMPLE_RELAY_CONFIG: &str = include_str!("../samples/relay.toml");

const ALLOWED_HEADER: &str = "\
# Nodes that this coordinator hears, one a line: a name and the public key that `node init` printed, and labels if you
# like (rack=A zone=eu), by which runs select nodes.
# A line that starts with # is a comment. Read when `coordinator serve` starts.
";

/// What to do where a file is missing.
pub const REMEDY: &str = "`coordinator init` makes a folder with all files";

/// What to do where a file of a relay is missing.
const RELAY_REMEDY: &str = "`coordinator relay-init` makes a folder with all files";

/// What a coordinator's folder holds, read and checked.
#[derive(Debug)]
pub struct Folder {
    /// `coordinator.toml`.
    pub config: CoordinatorConfig,
    /// The key, where `[custody]` says.
    pub identity: Identity,
    /// `allowed-nodes`.
    pub allowed: Known,
}

impl Folder {
    /// Reads a folder.
    ///
    /// # Errors
    ///
    /// Each names the file and, where there is one, the line or key.
    pub fn open(dir: &Path) -> Result<Self> {
        let config = Self::config(dir)?;
        let identity = custody::open(dir, &config.custody, REMEDY)?;
        Ok(Self { config, identity, allowed: allowed(dir)? })
    }

    /// Reads the configuration alone.
    ///
    /// # Errors
    ///
    /// Names the file and the line or key.
    pub fn config(dir: &Path) -> Result<CoordinatorConfig> {
        let path = dir.join("coordinator.toml");
        CoordinatorConfig::parse(&file::read(&path, REMEDY)?).with_context(|| path.display().to_string())
    }

    /// Makes a folder with a starter configuration and an identity; nothing that exists is overwritten.
    ///
    /// # Errors
    ///
    /// When a file exists or cannot be written.
    pub fn init(
        dir: &Path,
        config: &str,
        custody: &custody::Config,
        random: &mut impl CryptoRng,
    ) -> Result<Identity> {
        let identity = custody::create(dir, custody, random)?;
        write_new(&dir.join("coordinator.toml"), config.as_bytes(), 0o644)?;
        write_new(&dir.join("allowed-nodes"), ALLOWED_HEADER.as_bytes(), 0o644)?;
        Ok(identity)
    }
}

/// The list of allowed nodes alone.
///
/// # Errors
///
/// Names the file and the line.
pub fn allowed(dir: &Path) -> Result<Known> {
    let path = dir.join("allowed-nodes");
    known::parse(&file::read(&path, REMEDY)?).with_context(|| path.display().to_string())
}

/// What a relay's folder holds, read and checked: `relay.toml`, the key and `identity.pub`.
#[derive(Debug)]
pub struct RelayFolder {
    /// `relay.toml`.
    pub config: RelayConfig,
    /// The key, where `[custody]` says.
    pub identity: Identity,
}

impl RelayFolder {
    /// Reads a folder.
    ///
    /// # Errors
    ///
    /// Each names the file and, where there is one, the line or key.
    pub fn open(dir: &Path) -> Result<Self> {
        let config_path = dir.join("relay.toml");
        let config = RelayConfig::parse(&file::read(&config_path, RELAY_REMEDY)?)
            .with_context(|| config_path.display().to_string())?;
        let identity = custody::open(dir, &config.custody, RELAY_REMEDY)?;
        Ok(Self { config, identity })
    }

    /// Makes a folder with a starter configuration and an identity; nothing that exists is overwritten.
    ///
    /// # Errors
    ///
    /// When a file exists or cannot be written.
    pub fn init(
        dir: &Path,
        config: &str,
        custody: &custody::Config,
        random: &mut impl CryptoRng,
    ) -> Result<Identity> {
        let identity = custody::create(dir, custody, random)?;
        write_new(&dir.join("relay.toml"), config.as_bytes(), 0o644)?;
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn init(dir: &Path) -> Result<Identity> {
        let custody = custody::Config::default();
        Folder::init(dir, SAMPLE_CONFIG, &custody, &mut ChaCha20Rng::seed_from_u64(1))
    }

    #[test]
    fn a_folder_opens_as_it_was_made_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let identity = init(dir.path()).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert_eq!(folder.identity.node_id(), identity.node_id());
        assert!(folder.allowed.is_empty());
        let again = init(dir.path()).unwrap_err();
        assert!(again.to_string().starts_with("cannot make "), "{again}");
    }

    #[test]
    fn a_missing_key_file_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        init(dir.path()).unwrap();
        fs::remove_file(dir.path().join("identity.pem")).unwrap();
        let error = Folder::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("identity.pem is missing; `coordinator init`"), "{error}");
    }
}
