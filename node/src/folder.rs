//! A node's folder: configuration, identity, and what it has learned.
//!
//! ```text
//! node.toml            configuration
//! identity.pem         secret key, mode 0600: whoever has it is this node; elsewhere if [custody] says so
//! identity.pub         public key: the operator's roster lists it
//! next/                the key that is to take its place, and what both keys sign of that: see `node rotate`
//! operator.pub         public key of the operator, whose roster says which coordinator this node trusts
//! roster               the newest roster that came; made when the first one comes
//! certificate.pem      X.509 certificates of this node and of its coordinator; renewed while the node runs
//! authority.pem        that of the operator, which signed the coordinator's
//! marks                newest epoch of each run that was acted on, and what the coordinator signed of it
//! allowed-bridges      bridges that may forward telemetry to this node: a name and a public key a line
//! forward-nodes        nodes that this bridge may forward to, in the same form
//! tenant.key           key of the folder's data, which the secret key alone opens; made when it is first needed
//! spool.key            key of what is accepted and not yet read, sealed; made when first needed
//! spool/               what sources pushed, sealed: see `ingest::spool`
//! imports/             of each imported file how far it is, and which rows were left out, without what is in them
//! controls/            of each run with control variates those of this node, sealed: see `participant::control`
//! model/               the model kept for scoring, with this node's scaling and calibration, sealed
//! alarms.*             what was unusual since, and what people decided about it, mode 0600: see `alarms`
//! ```

pub mod certificate;
mod joining;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use common::crypto::bulk::InputKey;
use common::crypto::{Identity, Manifest, PublicIdentity, Succession};
use common::id::{EpochId, RunId, TenantId};
use common::known::{self, Known};
use common::roster::Roster;
use common::units::Timestamp;
use common::wire;
use custody::Vault;
use edge::file::{self, write_changed, write_new, write_replacing};
use rand_chacha::rand_core::CryptoRng;

use crate::config::NodeConfig;

pub use joining::Joining;

/// The configuration file that `init` writes, with every key explained.
pub const SAMPLE_CONFIG: &str = include_str!("../samples/node.toml");

/// Runs whose marks are kept. An announcement of an older run could not be opened anyway: its keys are gone.
const MARKS_MAX: usize = 64;

/// What is sealed in a folder.
const SEALED: [&str; 5] = ["spool.key", "spool", "controls", "model", "drift.sealed"];

/// What to do where a file is missing.
const REMEDY: &str = "`node init` makes a folder with all files";

/// What a node's folder holds, read and checked.
#[derive(Debug)]
pub struct Folder {
    /// Where it is.
    pub dir: PathBuf,
    /// `node.toml`.
    pub config: NodeConfig,
    /// The key, where `[custody]` says.
    pub identity: Identity,
    /// The key that signs rosters: that of `operator.pub`, or one that it was handed over to.
    pub operator: PublicIdentity,
    /// `roster`.
    pub roster: Option<Roster>,
    /// `marks`.
    pub marks: Marks,
    /// Until when `certificate.pem` is good, 0 when there is none.
    pub certified: Timestamp,
    /// `tenant.key`.
    pub vault: Arc<Vault>,
}

impl Folder {
    /// Reads a folder.
    ///
    /// # Errors
    ///
    /// Each names the file and, where there is one, the line or key.
    pub fn open(dir: &Path) -> Result<Self> {
        let config = Self::config(dir)?;
        let identity = identity(dir, &config)?;
        let pinned = operator(dir)?;
        let roster = roster(dir, &pinned)?;
        let operator = roster.as_ref().map_or(pinned, |roster| roster.operator(&pinned));
        let marks = Marks::open(&dir.join("marks"))?;
        let certified = certificate::kept_until(dir, identity.public(), roster.as_ref());
        let vault = vault(dir, &config, &identity)?;
        Ok(Self { dir: dir.to_owned(), config, identity, operator, roster, marks, certified, vault })
    }

    /// Opens the key of the folder's data, for who has only that to do there.
    ///
    /// # Errors
    ///
    /// As [`vault`], or the secret key does not open.
    pub fn vault(dir: &Path, config: &NodeConfig) -> Result<Arc<Vault>> {
        vault(dir, config, &identity(dir, config)?)
    }

    /// The next key of the folder, made unless it was, and what both keys say of that; what is sealed here is sealed for
    /// it too.
    ///
    /// # Errors
    ///
    /// [`CustodyError`](common::crypto::CustodyError), or names the file.
    pub fn make_next(dir: &Path) -> Result<Succession> {
        let config = Self::config(dir)?;
        let identity = identity(dir, &config)?;
        let next = custody::make_next(dir, &config.custody, &identity, (&config.tenant, &SEALED))?;
        Ok(Succession::sign(TenantId::of_name(&config.tenant), &identity, &next)?)
    }

    /// Reads the configuration alone.
    ///
    /// # Errors
    ///
    /// Names the file and the line or key.
    pub fn config(dir: &Path) -> Result<NodeConfig> {
        file::parsed(&dir.join("node.toml"), REMEDY, NodeConfig::parse)
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
        operator: &PublicIdentity,
        random: &mut impl CryptoRng,
    ) -> Result<Identity> {
        let identity = custody::create(dir, custody, random)?;
        write_new(&dir.join("operator.pub"), format!("{operator}\n").as_bytes(), 0o644)?;
        write_new(&dir.join("node.toml"), config.as_bytes(), 0o644)?;
        Ok(identity)
    }
}

/// The newest epoch of each run that was acted on, and what the coordinator signed of its model: one line an epoch,
/// appended and synced, so that a mark costs one write. The last line of a run counts; a half-written last line is cut when the file is opened.
#[derive(Debug)]
pub struct Marks {
    file: fs::File,
    path: PathBuf,
    newest: BTreeMap<RunId, EpochId>,
    models: BTreeMap<RunId, Manifest>,
}

impl Marks {
    fn open(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| path.display().to_string())?,
        };
        let (mut newest, mut models) = (BTreeMap::new(), BTreeMap::new());
        let mut order = Vec::new();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, line) in whole.lines().enumerate() {
            let Some((run, epoch, model)) = parsed_mark(line) else {
                bail!("{} line {}: expected a run, an epoch and a manifest", path.display(), index + 1);
            };
            order.retain(|known| *known != run);
            order.push(run);
            newest.insert(run, epoch);
            models.insert(run, model);
        }
        for run in order.iter().rev().skip(MARKS_MAX) {
            newest.remove(run);
            models.remove(run);
        }
        // Rewritten short, then appended to.
        let lines: Vec<String> =
            newest.iter().map(|(run, epoch)| mark_line(*run, *epoch, &models[run])).collect();
        write_replacing(path, lines.concat().as_bytes())?;
        let file =
            fs::OpenOptions::new().append(true).open(path).with_context(|| path.display().to_string())?;
        Ok(Self { file, path: path.to_owned(), newest, models })
    }

    /// All marks.
    pub fn all(&self) -> &BTreeMap<RunId, EpochId> {
        &self.newest
    }

    /// What the coordinator signed of their models.
    pub fn models(&self) -> &BTreeMap<RunId, Manifest> {
        &self.models
    }

    /// Makes a mark durable.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn set(&mut self, run: RunId, epoch: EpochId, model: Manifest) -> Result<()> {
        let line = mark_line(run, epoch, &model);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| self.path.display().to_string())?;
        self.newest.insert(run, epoch);
        self.models.insert(run, model);
        Ok(())
    }
}

fn mark_line(run: RunId, epoch: EpochId, model: &Manifest) -> String {
    format!("{run} {epoch} {}\n", hex::encode(wire::encode(model)))
}

fn parsed_mark(line: &str) -> Option<(RunId, EpochId, Manifest)> {
    let mut words = line.split(' ');
    let (run, epoch) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let model = wire::decode(&hex::decode(words.next()?).ok()?).ok()?;
    words.next().is_none().then_some((run, EpochId(epoch), model))
}

/// The roster that came last, if one did.
fn roster(dir: &Path, operator: &PublicIdentity) -> Result<Option<Roster>> {
    let path = dir.join("roster");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| path.display().to_string())?,
    };
    let remedy = || format!("{}; without this file, the next one that comes counts", path.display());
    Roster::open(&text, operator).map(Some).with_context(remedy)
}

/// Makes a roster durable, and then who signed it, if that is somebody else than before.
///
/// # Errors
///
/// Names the file.
pub fn keep_roster(dir: &Path, text: &str, operator: &PublicIdentity) -> Result<()> {
    write_replacing(&dir.join("roster"), text.as_bytes())?;
    write_changed(&dir.join("operator.pub"), format!("{operator}\n").as_bytes())
}

fn operator(dir: &Path) -> Result<PublicIdentity> {
    file::parsed(&dir.join("operator.pub"), REMEDY, |text| text.trim().parse())
}

/// Opens the key.
///
/// # Errors
///
/// [`CustodyError`](common::crypto::CustodyError) names its place and says what to do.
pub fn identity(dir: &Path, config: &NodeConfig) -> Result<Identity> {
    Ok(custody::open(dir, &config.custody, REMEDY)?)
}

/// Those on a list of this folder; nobody where there is no such file.
///
/// # Errors
///
/// Names the file and the line.
pub fn known(dir: &Path, list: &str) -> Result<Known> {
    let path = dir.join(list);
    match fs::read_to_string(&path) {
        Ok(text) => known::parse(&text).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Known::new()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Opens the key of a folder's data.
///
/// # Errors
///
/// It was shredded, is missing beside what it sealed, or is of another identity or tenant.
pub fn vault(dir: &Path, config: &NodeConfig, identity: &Identity) -> Result<Arc<Vault>> {
    Vault::open(dir, &config.tenant, identity, &SEALED, edge::entropy()?).map(Arc::new)
}

/// The key of a node's spool; made when there is none.
///
/// # Errors
///
/// Names the file.
pub fn spool_key(dir: &Path, vault: &Vault) -> Result<InputKey> {
    vault.data_key(&dir.join("spool.key"), "spool.key")
}

#[cfg(test)]
mod tests {
    use common::crypto::{EpochRoot, Kind, Sealer, Subject, Suite};
    use common::id::RoundId;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn model(run: RunId, epoch: EpochId) -> Manifest {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let (tenant, round) = (TenantId([0; 16]), RoundId(1));
        let subject = Subject { kind: Kind::Model, tenant, run, round, epoch, seq: 1, trace: [0; 16] };
        let identity = Identity::generate(rng);
        let sealer = Sealer { identity: &identity, subject, next_package: None, buffer: Vec::new() };
        let root = EpochRoot::generate(Suite::X25519, rng);
        sealer.seal_to_group(&b"model"[..], &root, rng).unwrap().manifest().clone()
    }

    #[test]
    fn the_newest_mark_of_each_run_is_there_after_a_restart_and_a_torn_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        let (a, b) = (RunId([1; 16]), RunId([2; 16]));
        let mut marks = Marks::open(&path).unwrap();
        for (run, epoch) in [(a, 1), (b, 1), (a, 2)] {
            marks.set(run, EpochId(epoch), model(run, EpochId(epoch))).unwrap();
        }
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"0101").unwrap();
        let again = Marks::open(&path).unwrap();
        assert_eq!(*again.all(), BTreeMap::from([(a, EpochId(2)), (b, EpochId(1))]));
        assert_eq!(again.models()[&a], model(a, EpochId(2)));
        fs::write(&path, "no mark\n").unwrap();
        let error = Marks::open(&path).unwrap_err().to_string();
        assert!(error.ends_with("marks line 1: expected a run, an epoch and a manifest"), "{error}");
    }
}
