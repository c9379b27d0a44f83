//! A coordinator's folder: configuration, identity, and who belongs to its tenant.
//!
//! ```text
//! coordinator.toml   configuration
//! identity.pem       secret key, mode 0600: whoever has it is this coordinator; elsewhere if [custody] says so
//! identity.pub       public key: the roster names it
//! next/              the key that is to take its place: see `coordinator rotate`
//! operator.pub       public key of the operator: copy it to every node
//! operator/          the operator's secret key, when `init` made it: keep it elsewhere
//! roster             the coordinator and the nodes of the tenant, signed by the operator
//! tenant.key         key of all that follows, which the secret key alone opens; made when it is first needed
//! state.redb         runs and rounds, sealed
//! models/            models, by the hash of their file, sealed
//! moments/           what the servers of runs remember, by run, sealed
//! control.sock       local control socket while `coordinator serve` runs
//! ```

mod signer;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use common::crypto::{Identity, PublicIdentity};
use common::roster::Roster;
use custody::Vault;
use edge::file::{self, write_changed, write_new, write_replacing};
use rand_chacha::rand_core::CryptoRng;

use crate::config::{CoordinatorConfig, RelayConfig};

pub use signer::{OPERATOR, open_operator, place_operator};

/// The configuration file that `init` writes, with every key explained.
pub const SAMPLE_CONFIG: &str = include_str!("../samples/coordinator.toml");

/// The configuration file that `relay-init` writes, with every key explained.
pub const SAMPLE_RELAY_CONFIG: &str = include_str!("../samples/relay.toml");

/// What to do where a file is missing.
pub const REMEDY: &str = "`coordinator init` makes a folder with all files";

/// What is sealed in a folder.
pub const SEALED: [&str; 3] = ["state.redb", "models", "moments"];

/// What a person, another program or a peer has to read.
pub const OPEN: [&str; 5] = ["coordinator.toml", "identity.pub", "operator.pub", "operator", "roster"];

/// What to do where a file of a relay is missing.
const RELAY_REMEDY: &str = "`coordinator relay-init` makes a folder with all files";

/// What a coordinator's folder holds, read and checked.
#[derive(Debug)]
pub struct Folder {
    /// `coordinator.toml`.
    pub config: CoordinatorConfig,
    /// The key, where `[custody]` says.
    pub identity: Identity,
    /// `roster`.
    pub enrolled: Enrolled,
}

/// Who belongs to a tenant, and who says so.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// The key that signs rosters: that of `operator.pub`, or one that it was handed over to.
    pub operator: PublicIdentity,
    /// `roster`, as it was signed.
    pub text: String,
    /// What it says.
    pub roster: Roster,
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
        let enrolled = Enrolled::open(dir)?;
        let Roster { tenant, coordinator, .. } = &enrolled.roster;
        let path = dir.join("roster");
        ensure!(
            coordinator == identity.public(),
            "{}: its coordinator has another key than this one; `coordinator roster appoint {}` appoints this one",
            path.display(),
            identity.public()
        );
        ensure!(
            *tenant == config.tenant,
            "{}: it is of the tenant `{tenant}`, and coordinator.toml names `{}`",
            path.display(),
            config.tenant
        );
        Ok(Self { config, identity, enrolled })
    }

    /// Reads the configuration alone.
    ///
    /// # Errors
    ///
    /// Names the file and the line or key.
    pub fn config(dir: &Path) -> Result<CoordinatorConfig> {
        file::parsed(&dir.join("coordinator.toml"), REMEDY, CoordinatorConfig::parse)
    }

    /// The next key of the folder, made unless it was; what is sealed here is sealed for it too.
    ///
    /// # Errors
    ///
    /// [`CustodyError`](common::crypto::CustodyError), or names the file.
    pub fn make_next(dir: &Path) -> Result<Identity> {
        let config = Self::config(dir)?;
        let identity = custody::open(dir, &config.custody, REMEDY)?;
        custody::make_next(dir, &config.custody, &identity, (&config.tenant, &SEALED))
    }

    /// Takes the next key of the folder, when it is the one that the operator appointed; whether it was.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn take_next(dir: &Path) -> Result<bool> {
        let Some(next) = custody::next(dir) else { return Ok(false) };
        let appointed = Enrolled::open(dir)?.roster.coordinator == next;
        if appointed {
            custody::succeed(dir)?;
        }
        Ok(appointed)
    }

    /// Opens the key of what a folder holds of its tenant, for who has only that to do there.
    ///
    /// # Errors
    ///
    /// As [`vault`], or the secret key does not open.
    pub fn vault(dir: &Path) -> Result<Arc<Vault>> {
        custody::refuse_shredded(dir)?;
        let config = Self::config(dir)?;
        let identity = custody::open(dir, &config.custody, REMEDY)?;
        vault(dir, &config.tenant, &identity)
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
        Ok(identity)
    }
}

impl Enrolled {
    /// Reads the roster of a folder.
    ///
    /// # Errors
    ///
    /// Names the file, and the line or what is wrong with the signature.
    pub fn open(dir: &Path) -> Result<Self> {
        let operator = operator(dir)?;
        let path = dir.join("roster");
        let text = file::read(&path, "the operator makes one with `coordinator roster appoint`")?;
        let roster = Roster::open(&text, &operator).with_context(|| path.display().to_string())?;
        Ok(Self { operator: roster.operator(&operator), text, roster })
    }

    /// Makes this roster that of a folder; it is on the disk afterwards. Nodes that are made from now on begin with the
    /// operator who signed it.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn store(&self, dir: &Path) -> Result<()> {
        write_replacing(&dir.join("roster"), self.text.as_bytes())?;
        write_changed(&dir.join("operator.pub"), format!("{}\n", self.operator).as_bytes())
    }

    /// A roster that may follow this one.
    ///
    /// # Errors
    ///
    /// When it is not this operator's, or of another tenant, or no newer.
    pub fn newer(&self, text: &str) -> Result<Self> {
        let roster = self.roster.newer(text, &self.operator).context("the roster")?;
        let operator = roster.operator(&self.operator);
        Ok(Self { operator, text: text.to_owned(), roster })
    }
}

/// Opens the key of what a folder holds of its tenant.
///
/// # Errors
///
/// It was shredded, is missing beside what it sealed, or is of another identity or tenant.
pub fn vault(dir: &Path, tenant: &str, identity: &Identity) -> Result<Arc<Vault>> {
    Vault::open(dir, tenant, identity, &SEALED, edge::entropy()?).map(Arc::new)
}

/// The key by which rosters are known to be the operator's.
///
/// # Errors
///
/// Names the file.
pub fn operator(dir: &Path) -> Result<PublicIdentity> {
    file::parsed(&dir.join("operator.pub"), REMEDY, |text| text.trim().parse())
}

/// Pins the operator's key.
///
/// # Errors
///
/// When there is one, or it cannot be written.
pub fn pin_operator(dir: &Path, operator: &PublicIdentity) -> Result<()> {
    write_new(&dir.join("operator.pub"), format!("{operator}\n").as_bytes(), 0o644)
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
        let config = file::parsed(&dir.join("relay.toml"), RELAY_REMEDY, RelayConfig::parse)?;
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

    fn identity(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn init(dir: &Path) -> Result<Identity> {
        let custody = custody::Config::default();
        Folder::init(dir, SAMPLE_CONFIG, &custody, &mut ChaCha20Rng::seed_from_u64(1))
    }

    /// A folder whose operator says that it is of this tenant.
    fn made(dir: &Path, tenant: &str) -> Identity {
        let (own, operator) = (init(dir).unwrap(), identity(2));
        pin_operator(dir, operator.public()).unwrap();
        let text = Roster::new(tenant, *own.public()).sign(&operator, edge::now()).unwrap();
        fs::write(dir.join("roster"), text).unwrap();
        own
    }

    #[test]
    fn a_roster_is_replaced_by_a_newer_one_of_its_operator_only() {
        let dir = tempfile::tempdir().unwrap();
        made(dir.path(), "default");
        let enrolled = Enrolled::open(dir.path()).unwrap();
        let next = |version, tenant: &str, operator| {
            let mut roster = Roster { version, ..Roster::new(tenant, *identity(1).public()) };
            roster.sign(&identity(operator), edge::now()).unwrap()
        };
        let refusal = |text: &str| format!("{:#}", enrolled.newer(text).unwrap_err());
        assert!(refusal(&next(2, "default", 3)).contains("not the operator's"));
        assert!(refusal(&next(2, "other", 2)).contains("of the tenant `other`"));
        assert!(refusal(&next(1, "default", 2)).contains("version 1 counts already"));
        let enrolled = enrolled.newer(&next(5, "default", 2)).unwrap();
        enrolled.store(dir.path()).unwrap();
        assert_eq!((enrolled.roster.version, Enrolled::open(dir.path()).unwrap().roster.version), (5, 5));
    }

    #[test]
    fn a_roster_of_another_tenant_or_coordinator_is_refused_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        made(dir.path(), "other");
        let refusal = || format!("{:#}", Folder::open(dir.path()).unwrap_err());
        assert!(refusal().contains("roster: it is of the tenant `other`"), "{}", refusal());
        let text = Roster::new("default", *identity(3).public()).sign(&identity(2), edge::now()).unwrap();
        fs::write(dir.path().join("roster"), text).unwrap();
        assert!(refusal().contains("roster: its coordinator has another key"), "{}", refusal());
    }

    #[test]
    fn a_folder_opens_as_it_was_made_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let identity = made(dir.path(), "default");
        let folder = Folder::open(dir.path()).unwrap();
        assert_eq!(folder.identity.node_id(), identity.node_id());
        assert!(folder.enrolled.roster.nodes.is_empty());
        let again = init(dir.path()).unwrap_err();
        assert!(again.to_string().starts_with("cannot make "), "{again}");
    }

    #[test]
    fn a_missing_key_file_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        made(dir.path(), "default");
        fs::remove_file(dir.path().join("identity.pem")).unwrap();
        let error = Folder::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("identity.pem is missing; `coordinator init`"), "{error}");
    }
}
