//! `tenant.key`: the key of a tenant's data in a folder, sealed by the identity of that folder. It is made once, when data
//! is first wanted; whoever destroys it destroys all that was sealed under it.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use common::crypto::bulk::InputKey;
use common::crypto::vault::{Opening, Sealing};
use common::crypto::{CustodyError, Identity, TenantKey, ValueKey, VaultError};
use common::id::TenantId;
use common::units::Timestamp;
use edge::file::{folder_of, sync_names, write_new, write_replacing};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::{Config, NEXT, create_next};

const KEY: &str = "tenant.key";

/// Stands where a key was destroyed: which tenant's, and when.
const SHREDDED: &str = "tenant.shredded";

/// What the key is for: its custody is told so.
const PURPOSE: &[u8] = b"tenant key";

/// The key of a tenant's data, and the randomness that sealing takes.
#[derive(Debug)]
pub struct Vault {
    key: TenantKey,
    random: Mutex<ChaCha20Rng>,
}

/// The key was destroyed, and with it what was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tenant {0}; what was sealed for it here is gone for good: begin in a new folder")]
pub struct Shredded(String);

impl Vault {
    /// With a key that is at hand.
    pub fn new(key: TenantKey, random: ChaCha20Rng) -> Self {
        Self { key, random: Mutex::new(random) }
    }

    /// Opens the key of a folder. It is made where there is none and nothing in the folder has one of the names `sealed`.
    ///
    /// # Errors
    ///
    /// [`Shredded`]; [`CustodyError`] when it is of another identity or tenant; or it is missing, or cannot be written.
    pub fn open(
        dir: &Path,
        tenant: &str,
        identity: &Identity,
        sealed: &[&str],
        mut random: ChaCha20Rng,
    ) -> Result<Self> {
        refuse_shredded(dir)?;
        let (path, context) = (dir.join(KEY), context(tenant));
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(orphan) = sealed.iter().find(|name| dir.join(name).exists()) {
                    bail!(
                        "{} is missing, and without it {orphan} cannot be read: put it back from a copy, or begin in a \
                         new folder if a version that did not seal wrote that",
                        path.display()
                    );
                }
                make(&path, &context, identity, &mut random)?
            }
            read => read.with_context(|| path.display().to_string())?,
        };
        let key = unsealed(&path, &context, text.trim(), identity)?;
        Ok(Self::new(TenantKey::new(TenantId::of_name(tenant), key), random))
    }

    /// Begins a file: see [`TenantKey::seal_file`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn seal_file<W: Write>(&self, name: &str, plain_bytes: u64, file: W) -> io::Result<Sealing<W>> {
        self.key.seal_file(name, plain_bytes, file, &mut *self.random())
    }

    /// Opens a file: see [`TenantKey::open_file`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_file<R: Read>(&self, name: &str, bytes: u64, file: R) -> io::Result<Opening<R>> {
        self.key.open_file(name, bytes, file)
    }

    /// Writes a small file of a folder, sealed, whole or not at all. Its path in the folder is its name.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn write(&self, path: &Path, name: &str, plain: &[u8]) -> Result<()> {
        let sealed = self.key.seal_bytes(name, plain, &mut *self.random());
        write_replacing(path, &sealed.with_context(|| path.display().to_string())?)
    }

    /// Reads what [`Self::write`] wrote; none where there is no such file.
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub fn read(&self, path: &Path, name: &str) -> Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => {
                let opened = read.and_then(|sealed| self.key.open_bytes(name, &sealed));
                opened.map(Some).with_context(|| path.display().to_string())
            }
        }
    }

    /// The key of something that seals by itself, which is stored in `path` as [`Self::write`] does; made when there is
    /// none.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn data_key(&self, path: &Path, name: &str) -> Result<InputKey> {
        if let Some(known) = self.read(path, name)? {
            let key = known.try_into().ok().with_context(|| format!("{}: {}", path.display(), no_key()))?;
            return Ok(InputKey(key));
        }
        let mut key = InputKey([0; 32]);
        self.random().fill_bytes(&mut key.0);
        self.write(path, name, &key.0)?;
        Ok(key)
    }

    /// A new key for the values of a database, and how it is stored there.
    pub fn new_values(&self, name: &str) -> (ValueKey, Vec<u8>) {
        ValueKey::generate(&self.key, name, &mut *self.random())
    }

    /// The key for the values of a database, as it is stored there.
    ///
    /// # Errors
    ///
    /// [`VaultError`].
    pub fn values(&self, name: &str, wrapped: &[u8]) -> Result<ValueKey, VaultError> {
        ValueKey::open(&self.key, name, wrapped)
    }

    /// Seals a value of a database for its place.
    pub fn seal_value(&self, values: &ValueKey, place: &[u8], plain: &[u8]) -> Vec<u8> {
        values.seal_value(place, plain, &mut *self.random())
    }

    fn random(&self) -> MutexGuard<'_, ChaCha20Rng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_key() -> CustodyError {
    CustodyError("it holds no key".to_owned())
}

/// The identity that is to take the place of a folder's own, made unless it was: the key of the folder's data, which is
/// for a tenant and seals these names, is sealed for it too.
///
/// # Errors
///
/// [`Shredded`]; [`CustodyError`] when either identity cannot be used; or a file cannot be read or written.
pub fn make_next(
    dir: &Path,
    config: &Config,
    identity: &Identity,
    (tenant, sealed): (&str, &[&str]),
) -> Result<Identity> {
    let mut random = edge::entropy()?;
    // Data that is sealed later is so under this key as well.
    Vault::open(dir, tenant, identity, sealed, edge::entropy()?)?;
    let next = create_next(dir, config, &mut random)?;
    reseal(dir, tenant, identity, &next, &mut random)?;
    Ok(next)
}

/// Seals the key of a folder again, for another identity.
fn reseal(
    dir: &Path,
    tenant: &str,
    identity: &Identity,
    next: &Identity,
    random: &mut ChaCha20Rng,
) -> Result<()> {
    refuse_shredded(dir)?;
    let (path, context) = (dir.join(KEY), context(tenant));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let sealed = next.seal(&context, &unsealed(&path, &context, text.trim(), identity)?, random)?;
    write_replacing(&dir.join(NEXT).join(KEY), format!("{}\n", hex::encode(sealed)).as_bytes())
}

/// What the custody binds the key of a tenant to.
fn context(tenant: &str) -> Vec<u8> {
    [PURPOSE, &TenantId::of_name(tenant).0].concat()
}

fn unsealed(path: &Path, context: &[u8], text: &str, identity: &Identity) -> Result<InputKey, CustodyError> {
    let open = || identity.unseal(context, &hex::decode(text).map_err(|_| no_key())?);
    open().map_err(|error| {
        CustodyError(format!("{}: {error}; put back the one that belongs to this folder", path.display()))
    })
}

/// Makes a key; the one that counts, if another process made one at the same time.
fn make(path: &Path, context: &[u8], identity: &Identity, random: &mut ChaCha20Rng) -> Result<String> {
    let mut key = InputKey([0; 32]);
    random.fill_bytes(&mut key.0);
    let text = format!("{}\n", hex::encode(identity.seal(context, &key, random)?));
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = Path::new(&new);
    // Whole when it appears, and never in place of another.
    write_new(new, text.as_bytes(), 0o600)?;
    let linked = fs::hard_link(new, path);
    fs::remove_file(new).with_context(|| new.display().to_string())?;
    sync_names(folder_of(path)).with_context(|| path.display().to_string())?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::read_to_string(path).with_context(|| path.display().to_string())
        }
        linked => linked.map(|()| text).with_context(|| path.display().to_string()),
    }
}

/// Says so where the key of a folder was destroyed.
///
/// # Errors
///
/// [`Shredded`], or the folder cannot be read.
pub fn refuse_shredded(dir: &Path) -> Result<()> {
    let path = dir.join(SHREDDED);
    match fs::read_to_string(&path) {
        Ok(note) => Err(Shredded(note.trim().to_owned()).into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Destroys the key of a folder: it is written over and removed, and a note says when. A crash in
/// between leaves a key that opens nothing; then it is done again.
///
/// # Errors
///
/// [`Shredded`] when that was done before; there is no key; or the file cannot be written.
pub fn shred(dir: &Path, tenant: &str, now: Timestamp) -> Result<()> {
    refuse_shredded(dir)?;
    let path = dir.join(KEY);
    ensure!(path.exists(), "{}: there is nothing to shred", path.display());
    // The copy for the next identity, if there is one, goes first.
    let copies = [dir.join(NEXT).join(KEY), path];
    for copy in copies.iter().filter(|copy| copy.exists()) {
        write_over(copy).with_context(|| copy.display().to_string())?;
    }
    // The note before the files go: from now on it is known what became of them.
    write_new(&dir.join(SHREDDED), format!("{tenant} was shredded on {now}\n").as_bytes(), 0o644)?;
    for copy in copies.iter().filter(|copy| copy.exists()) {
        let gone = fs::remove_file(copy).and_then(|()| sync_names(folder_of(copy)));
        gone.with_context(|| copy.display().to_string())?;
    }
    Ok(())
}

fn write_over(path: &Path) -> io::Result<()> {
    let bytes = fs::metadata(path)?.len();
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(&vec![b'0'; bytes as usize])?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn random(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }

    fn identity() -> Identity {
        Identity::generate(&mut random(1))
    }

    fn open(dir: &Path, tenant: &str, seed: u64) -> Result<Vault> {
        Vault::open(dir, tenant, &identity(), &["state.redb"], random(seed))
    }

    #[test]
    fn a_key_is_made_once_and_opens_for_its_identity_and_tenant_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        open(dir.path(), "acme", 2).unwrap().write(&file, "file", b"plain").unwrap();
        let again = open(dir.path(), "acme", 3).unwrap();
        assert_eq!(again.read(&file, "file").unwrap().unwrap(), b"plain");
        let moved = format!("{:#}", again.read(&file, "other").unwrap_err());
        assert!(moved.ends_with("file: it is the file of `file`, put in another's place"), "{moved}");
        assert!(again.read(&dir.path().join("none"), "none").unwrap().is_none());
        let other = Identity::generate(&mut random(9));
        let stranger = Vault::open(dir.path(), "acme", &other, &[], random(4)).unwrap_err();
        for error in [stranger, open(dir.path(), "other", 5).unwrap_err()] {
            assert!(crate::is_cause(&error) && error.to_string().contains("tenant.key: "), "{error}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_data_key_is_the_same_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool.key");
        let made = open(dir.path(), "acme", 2).unwrap().data_key(&path, "spool.key").unwrap();
        let known = open(dir.path(), "acme", 3).unwrap().data_key(&path, "spool.key").unwrap();
        assert_eq!(made.0, known.0);
        assert!(!fs::read(&path).unwrap().windows(8).any(|bytes| bytes == &made.0[..8]));
    }

    #[test]
    fn a_key_that_is_missing_beside_what_it_sealed_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state.redb"), "").unwrap();
        let error = open(dir.path(), "acme", 2).unwrap_err().to_string();
        assert!(error.contains("tenant.key is missing, and without it state.redb cannot be read"), "{error}");
    }

    #[test]
    fn the_next_identity_of_a_folder_opens_what_the_first_one_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, next) = (dir.path().join("file"), Identity::generate(&mut random(9)));
        open(dir.path(), "acme", 2).unwrap().write(&path, "file", b"plain").unwrap();
        fs::create_dir(dir.path().join(NEXT)).unwrap();
        reseal(dir.path(), "acme", &identity(), &next, &mut random(3)).unwrap();
        fs::rename(dir.path().join(NEXT).join(KEY), dir.path().join(KEY)).unwrap();
        let vault = Vault::open(dir.path(), "acme", &next, &[], random(4)).unwrap();
        assert_eq!(vault.read(&path, "file").unwrap().unwrap(), b"plain");
        assert!(open(dir.path(), "acme", 5).is_err());

        // Both copies go.
        reseal(dir.path(), "acme", &next, &identity(), &mut random(6)).unwrap();
        shred(dir.path(), "acme", Timestamp(0)).unwrap();
        assert!(!dir.path().join(KEY).exists() && !dir.path().join(NEXT).join(KEY).exists());
        assert!(reseal(dir.path(), "acme", &next, &identity(), &mut random(7)).unwrap_err().is::<Shredded>());
    }

    #[test]
    fn what_was_shredded_says_when_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            shred(dir.path(), "acme", Timestamp(0)).unwrap_err().to_string().contains("nothing to shred")
        );
        open(dir.path(), "acme", 2).unwrap();
        shred(dir.path(), "acme", Timestamp::from_millis(86_400_000)).unwrap();
        assert!(!dir.path().join(KEY).exists());
        let told = "tenant acme was shredded on 1970-01-02T00:00:00.000Z; what was sealed for it here is gone for good";
        for error in
            [open(dir.path(), "acme", 3).unwrap_err(), shred(dir.path(), "acme", Timestamp(9)).unwrap_err()]
        {
            assert!(error.is::<Shredded>() && error.to_string().starts_with(told), "{error}");
        }
    }
}
