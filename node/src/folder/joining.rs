//! A folder before and after its node joins with a token.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use common::crypto::{Certificate, Identity, PublicIdentity};
use common::roster::Roster;
use edge::file::{self, write_new};
use rand_chacha::rand_core::CryptoRng;

use super::{Folder, REMEDY, certificate, identity, keep_roster, roster};
use crate::config::NodeConfig;

/// A folder with a key, and the rest of it if it was made before.
#[derive(Debug)]
pub struct Joining {
    dir: PathBuf,
    operator: PublicIdentity,
    /// The key, which asks to be let in.
    pub identity: Identity,
    /// `node.toml`, of a folder that was made before.
    pub config: Option<NodeConfig>,
}

impl Joining {
    /// Opens a folder, or makes one with nothing but a key; a join that was cut off goes on with the key that it made.
    ///
    /// # Errors
    ///
    /// When the folder is another operator's: nothing is changed then. Or the key cannot be opened or made.
    pub fn begin(
        dir: &Path,
        custody: &custody::Config,
        operator: &PublicIdentity,
        random: &mut impl CryptoRng,
    ) -> Result<Self> {
        let pinned = dir.join("operator.pub");
        if pinned.exists() {
            let known: PublicIdentity = file::parsed(&pinned, REMEDY, |text| text.trim().parse())?;
            ensure!(
                known == *operator,
                "{}: this folder is another operator's than the token; join with a new folder (--dir)",
                pinned.display()
            );
        }
        let config = dir.join("node.toml").exists().then(|| Folder::config(dir)).transpose()?;
        let identity = match &config {
            Some(config) => identity(dir, config)?,
            None if dir.join("identity.pub").exists() => custody::open(dir, custody, REMEDY)?,
            None => custody::create(dir, custody, random)?,
        };
        Ok(Self { dir: dir.to_owned(), operator: *operator, identity, config })
    }

    /// Writes what the folder lacks, after a look at who signed the roster; `node.toml` last, for it says that the rest
    /// is there.
    ///
    /// # Errors
    ///
    /// When the roster is not the token's operator's or of another tenant, or a file cannot be written.
    pub fn complete(&self, tenant: &str, text: &str, config: impl FnOnce() -> String) -> Result<()> {
        let Self { dir, operator, config: made, .. } = self;
        let came = Roster::open(text, operator)
            .context("the coordinator's roster is not of the operator whom the token names")?;
        let wanted = made.as_ref().map_or(tenant, |config| &config.tenant);
        ensure!(
            came.tenant == wanted && tenant == wanted,
            "the coordinator works for the tenant `{tenant}`, its roster is of `{}`, and this folder of `{wanted}`",
            came.tenant
        );
        let pinned = dir.join("operator.pub");
        if !pinned.exists() {
            write_new(&pinned, format!("{operator}\n").as_bytes(), 0o644)?;
        }
        if roster(dir, operator)?.is_none_or(|known| known.version < came.version) {
            keep_roster(dir, text, &came.operator(operator))?;
        }
        let path = dir.join("node.toml");
        if path.exists() { Ok(()) } else { write_new(&path, config().as_bytes(), 0o644) }
    }

    /// Keeps the certificate that the answer brought, after a look at whose it is and who issued it; without bytes, none
    /// came.
    ///
    /// # Errors
    ///
    /// When it is not for this key or not of the roster's coordinator, or a file cannot be written.
    pub fn certify(&self, der: &[u8]) -> Result<()> {
        if der.is_empty() {
            return Ok(());
        }
        let context = "the certificate that the coordinator sent";
        let came = Certificate::parse(der).context(context)?;
        let known = roster(&self.dir, &self.operator)?;
        let authority = known.as_ref().and_then(|known| known.authority.as_ref());
        let authority =
            authority.context("the roster names no authority for certificates").context(context)?;
        came.verify(authority.coordinator.key()).context(context)?;
        ensure!(came.key() == self.identity.public(), "{context} is of another key");
        certificate::keep(&self.dir, &came, authority)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::folder::SAMPLE_CONFIG;

    fn key(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn begin(dir: &Path, operator: &Identity) -> Result<Joining> {
        let custody = custody::Config::default();
        Joining::begin(dir, &custody, operator.public(), &mut ChaCha20Rng::seed_from_u64(7))
    }

    #[test]
    fn a_join_that_was_cut_off_goes_on_with_its_key_and_ends_in_a_whole_folder() {
        let (dir, operator) = (tempfile::tempdir().unwrap(), key(1));
        let first = begin(dir.path(), &operator).unwrap().identity.node_id();
        let again = begin(dir.path(), &operator).unwrap();
        assert_eq!((again.identity.node_id(), again.config.is_none()), (first, true));
        let text = Roster::new("default", *key(2).public()).sign(&operator, edge::now()).unwrap();
        again.complete("default", &text, || SAMPLE_CONFIG.to_owned()).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert_eq!((folder.identity.node_id(), folder.operator), (first, *operator.public()));
        assert_eq!(folder.roster.unwrap().version, 1);
    }

    #[test]
    fn a_folder_of_another_operator_or_tenant_is_left_alone() {
        let (dir, operator) = (tempfile::tempdir().unwrap(), key(1));
        let joining = begin(dir.path(), &operator).unwrap();
        let text = |tenant: &str, operator: &Identity| {
            Roster::new(tenant, *key(2).public()).sign(operator, edge::now()).unwrap()
        };
        let complete = |joining: &Joining, tenant: &str, text: &str| {
            joining.complete(tenant, text, || SAMPLE_CONFIG.to_owned()).map_err(|error| format!("{error:#}"))
        };
        let other = key(3);
        let refused = complete(&joining, "default", &text("default", &other)).unwrap_err();
        assert!(refused.contains("not of the operator whom the token names"), "{refused}");
        assert!(
            complete(&joining, "default", &text("acme", &operator)).unwrap_err().contains("is of `acme`")
        );
        assert!(!dir.path().join("node.toml").exists() && !dir.path().join("operator.pub").exists());
        complete(&joining, "default", &text("default", &operator)).unwrap();

        let before = fs::read(dir.path().join("roster")).unwrap();
        let refused = begin(dir.path(), &other).unwrap_err().to_string();
        assert!(refused.contains("another operator's than the token"), "{refused}");
        let again = begin(dir.path(), &operator).unwrap();
        let refused = complete(&again, "acme", &text("acme", &operator)).unwrap_err();
        assert!(refused.contains("this folder of `default`"), "{refused}");
        assert_eq!(fs::read(dir.path().join("roster")).unwrap(), before);
    }
}
