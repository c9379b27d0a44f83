//! A node's folder: configuration, identity, and what it has learned.
//!
//! ```text
//! node.toml            configuration
//! identity.pem         secret key, mode 0600: whoever has it is this node; elsewhere if [custody] says so
//! identity.pub         public key: the operator's roster lists it
//! operator.pub         public key of the operator, whose roster says which coordinator this node trusts
//! roster               the newest roster that came; made when the first one comes
//! marks                newest epoch of each run that was acted on
//! allowed-bridges      bridges that may forward telemetry to this node: a name and a public key a line
//! forward-nodes        nodes that this bridge may forward to, in the same form
//! spool.key            encrypts what is accepted and not yet read, mode 0600; made when first needed
//! spool/               what sources pushed: see `ingest::spool`
//! imports/             of each imported file how far it is, and the rows that were left out
//! controls/            of each run with control variates those of this node: see `participant::control`
//! model/               the model kept for scoring, with this node's scaling and calibration
//! ```

mod joining;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use common::crypto::bulk::InputKey;
use common::crypto::{Identity, PublicIdentity};
use common::id::{EpochId, RunId};
use common::known::{self, Known};
use common::roster::Roster;
use edge::file::{self, write_new, write_replacing};
use rand_chacha::rand_core::CryptoRng;

use crate::config::NodeConfig;

pub use joining::Joining;

/// The configuration file that `init` writes, with every key explained.
pub const SAMPLE_CONFIG: &str = include_str!("../samples/node.toml");

/// Runs whose marks are kept. An announcement of an older run could not be opened anyway: its keys are gone.
const MARKS_MAX: usize = 64;

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
    /// `operator.pub`.
    pub operator: PublicIdentity,
    /// `roster`.
    pub roster: Option<Roster>,
    /// `marks`.
    pub marks: Marks,
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
        let operator = file::parsed(&dir.join("operator.pub"), REMEDY, |text| text.trim().parse())?;
        let roster = roster(dir, &operator)?;
        let marks = Marks::open(&dir.join("marks"))?;
        Ok(Self { dir: dir.to_owned(), config, identity, operator, roster, marks })
    }

    /// Reads the configuration alone: all that scoring needs.
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

/// The newest epoch of each run that was acted on: one line an epoch, appended and synced, so that a mark
/// costs one write. The last line of a run counts; a half-written last line is cut when the file is opened.
#[derive(Debug)]
pub struct Marks {
    file: fs::File,
    path: PathBuf,
    newest: BTreeMap<RunId, EpochId>,
}

impl Marks {
    fn open(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| path.display().to_string())?,
        };
        let mut marks = BTreeMap::new();
        let mut order = Vec::new();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (index, line) in whole.lines().enumerate() {
            let mark =
                line.split_once(' ').and_then(|(run, epoch)| Some((run.parse().ok()?, epoch.parse().ok()?)));
            let Some((run, epoch)) = mark else {
                bail!("{} line {}: expected a run and an epoch", path.display(), index + 1);
            };
            order.retain(|known| *known != run);
            order.push(run);
            marks.insert(run, EpochId(epoch));
        }
        for run in order.iter().rev().skip(MARKS_MAX) {
            marks.remove(run);
        }
        // Rewritten short, then appended to.
        let lines: Vec<String> = marks.iter().map(|(run, epoch)| format!("{run} {epoch}\n")).collect();
        let text = lines.concat();
        write_replacing(path, text.as_bytes())?;
        let file =
            fs::OpenOptions::new().append(true).open(path).with_context(|| path.display().to_string())?;
        Ok(Self { file, path: path.to_owned(), newest: marks })
    }

    /// All marks.
    pub fn all(&self) -> &BTreeMap<RunId, EpochId> {
        &self.newest
    }

    /// Makes a mark durable.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn set(&mut self, run: RunId, epoch: EpochId) -> Result<()> {
        let line = format!("{run} {epoch}\n");
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.with_context(|| self.path.display().to_string())?;
        self.newest.insert(run, epoch);
        Ok(())
    }
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

/// Makes a roster durable.
///
/// # Errors
///
/// Names the file.
pub fn keep_roster(dir: &Path, text: &str) -> Result<()> {
    write_replacing(&dir.join("roster"), text.as_bytes())
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

/// The key of a node's spool; made when there is none.
///
/// # Errors
///
/// Names the file.
pub fn spool_key(dir: &Path, random: &mut impl CryptoRng) -> Result<InputKey> {
    let path = dir.join("spool.key");
    let mut key = InputKey([0; 32]);
    match fs::read_to_string(&path) {
        Ok(text) => hex::decode_to_slice(text.trim(), &mut key.0)
            .with_context(|| format!("{}: expected 64 hex digits", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            random.fill_bytes(&mut key.0);
            write_new(&path, format!("{}\n", hex::encode(key.0)).as_bytes(), 0o600)?;
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mark_of_each_run_is_there_after_a_restart_and_a_torn_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        let (a, b) = (RunId([1; 16]), RunId([2; 16]));
        let mut marks = Marks::open(&path).unwrap();
        for (run, epoch) in [(a, 1), (b, 1), (a, 2)] {
            marks.set(run, EpochId(epoch)).unwrap();
        }
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"0101").unwrap();
        let again = Marks::open(&path).unwrap();
        assert_eq!(*again.all(), BTreeMap::from([(a, EpochId(2)), (b, EpochId(1))]));
        fs::write(&path, "no mark\n").unwrap();
        let error = Marks::open(&path).unwrap_err().to_string();
        assert!(error.ends_with("marks line 1: expected a run and an epoch"), "{error}");
    }
}
