//! A coordinator's folder: configuration, identity, and the list of nodes it may hear.
//!
//! ```text
//! coordinator.toml   configuration
//! identity.pem       secret key, mode 0600: whoever has it is this coordinator
//! identity.pub       public key: copy it to every node as `coordinator.pub`
//! allowed-nodes      one line a node: its name and its public key
//! state.redb         runs and rounds
//! models/            models, by the hash of their file
//! control.sock       local control socket while `coordinator serve` runs
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use common::crypto::{Identity, PublicIdentity};
use common::id::NodeId;
use common::limits::{COHORT_MAX, NAME_BYTES_MAX};
use edge::file::{self, write_new};

use crate::config::CoordinatorConfig;
use crate::members::AllowedNode;

/// The configuration file that `init` writes, with every key explained.
pub const SAMPLE_CONFIG: &str = include_str!("../samples/coordinator.toml");

const ALLOWED_HEADER: &str = "\
# Nodes that this coordinator hears, one a line: a name and the public key that `node init` printed.
# A line that starts with # is a comment. Read when `coordinator serve` starts.
";

/// What to do where a file is missing.
const REMEDY: &str = "`coordinator init` makes a folder with all files";

/// What a coordinator's folder holds, read and checked.
#[derive(Debug)]
pub struct Folder {
    /// `coordinator.toml`.
    pub config: CoordinatorConfig,
    /// `identity.pem`.
    pub identity: Identity,
    /// `allowed-nodes`.
    pub allowed: BTreeMap<NodeId, AllowedNode>,
}

impl Folder {
    /// Reads a folder.
    ///
    /// # Errors
    ///
    /// Each names the file and, where there is one, the line or key.
    pub fn open(dir: &Path) -> Result<Self> {
        let config_path = dir.join("coordinator.toml");
        let config = CoordinatorConfig::parse(&file::read(&config_path, REMEDY)?)
            .with_context(|| config_path.display().to_string())?;
        let identity_path = dir.join("identity.pem");
        let identity = Identity::from_pkcs8_pem(&file::read(&identity_path, REMEDY)?)
            .with_context(|| identity_path.display().to_string())?;
        let allowed_path = dir.join("allowed-nodes");
        let allowed = parse_allowed(&file::read(&allowed_path, REMEDY)?)
            .with_context(|| allowed_path.display().to_string())?;
        Ok(Self { config, identity, allowed })
    }

    /// Makes a folder with a starter configuration and an identity; nothing that exists is overwritten.
    ///
    /// # Errors
    ///
    /// When a file exists or cannot be written.
    pub fn init(dir: &Path, config: &str, identity: &Identity) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        write_new(&dir.join("identity.pem"), identity.to_pkcs8_pem().as_bytes(), 0o600)?;
        write_new(&dir.join("identity.pub"), format!("{}\n", identity.public()).as_bytes(), 0o644)?;
        write_new(&dir.join("coordinator.toml"), config.as_bytes(), 0o644)?;
        write_new(&dir.join("allowed-nodes"), ALLOWED_HEADER.as_bytes(), 0o644)
    }
}

/// Reads the text of `allowed-nodes`.
///
/// # Errors
///
/// Each names the line.
pub fn parse_allowed(text: &str) -> Result<BTreeMap<NodeId, AllowedNode>> {
    let mut allowed: BTreeMap<NodeId, AllowedNode> = BTreeMap::new();
    let lines = text.lines().map(str::trim).enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let number = index + 1;
        let mut words = line.split_whitespace();
        let (Some(name), Some(key), None) = (words.next(), words.next(), words.next()) else {
            bail!("line {number}: expected a name and a public key");
        };
        let key: PublicIdentity = key.parse().with_context(|| format!("line {number}"))?;
        if name.len() > NAME_BYTES_MAX {
            bail!("line {number}: a name has at most {NAME_BYTES_MAX} bytes");
        }
        if allowed.values().any(|node| node.name == name) {
            bail!("line {number}: the name `{name}` is there twice");
        }
        let node = AllowedNode { name: name.to_owned(), key };
        if let Some(other) = allowed.insert(node.key.node_id(), node) {
            bail!("line {number}: `{}` has the same key", other.name);
        }
    }
    if allowed.len() > COHORT_MAX {
        bail!("{} nodes are more than the limit of {COHORT_MAX}", allowed.len());
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn key(seed: u64) -> PublicIdentity {
        *Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)).public()
    }

    #[test]
    fn a_folder_opens_as_it_was_made_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::generate(&mut ChaCha20Rng::seed_from_u64(1));
        Folder::init(dir.path(), SAMPLE_CONFIG, &identity).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert_eq!(folder.identity.node_id(), identity.node_id());
        assert!(folder.allowed.is_empty());
        let again = Folder::init(dir.path(), SAMPLE_CONFIG, &identity).unwrap_err();
        assert!(again.to_string().starts_with("cannot make "), "{again}");
    }

    #[test]
    fn a_missing_key_file_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::generate(&mut ChaCha20Rng::seed_from_u64(1));
        Folder::init(dir.path(), SAMPLE_CONFIG, &identity).unwrap();
        fs::remove_file(dir.path().join("identity.pem")).unwrap();
        let error = Folder::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("identity.pem is missing; `coordinator init`"), "{error}");
    }

    #[test]
    fn the_allow_list_names_the_line_that_is_wrong() {
        let good = format!("# fleet\nweb-1 {}\n\nweb-2 {}\n", key(1), key(2));
        let names: Vec<String> = parse_allowed(&good).unwrap().into_values().map(|node| node.name).collect();
        assert_eq!(names.iter().filter(|name| name.starts_with("web-")).count(), 2);
        let twice = format!("{good}web-1 {}\n", key(3));
        assert_eq!(parse_allowed(&twice).unwrap_err().to_string(), "line 5: the name `web-1` is there twice");
        assert_eq!(parse_allowed("web-1 02ff").unwrap_err().to_string(), "line 1");
        assert_eq!(
            parse_allowed("web-1").unwrap_err().to_string(),
            "line 1: expected a name and a public key"
        );
    }
}
