//! What a node knows of drift, in its folder: `drift.sealed`, means and variances of blocks of its telemetry.
//!
//! It is written before it is noted up to which record each source was scored: of a node that is killed in between, records of
//! a minute at most count twice in the mean of a block, and none is lost.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use common::id::RunId;
use custody::Vault;
use ingest::record::TelemetryRecord;

use crate::detect::drift::{Model, Seen};
use crate::detect::{Detector, Drift, DriftPolicy, DriftWatch};
use crate::kept::RunNote;

const FILE: &str = "drift.sealed";

/// From which run's model telemetry drifted, for who tells the coordinator.
#[derive(Clone, Debug, Default)]
pub struct Drifted(Arc<Mutex<Option<RunId>>>);

impl Drifted {
    /// The run, if telemetry drifted from the model that is kept.
    pub fn run(&self) -> Option<RunId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, run: Option<RunId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }
}

/// The watch for drift of a node that runs.
pub struct Watching {
    dir: PathBuf,
    vault: Arc<Vault>,
    policy: DriftPolicy,
    drifted: Drifted,
    watch: Option<DriftWatch>,
    /// What is found and is not yet written.
    found: Option<Drift>,
}

impl Watching {
    /// Opens what a folder has of it; nothing is watched before there is a model.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn open(dir: &Path, vault: Arc<Vault>, policy: DriftPolicy, drifted: Drifted) -> Result<Self> {
        let watch = read(dir, &vault)?;
        Ok(Self { dir: dir.to_owned(), vault, policy, drifted, watch, found: None })
    }

    /// A model came. If it is the one before, the watch goes on; else it begins with the records of each source that came before.
    pub fn begin<'r>(
        &mut self,
        note: &RunNote,
        detector: &Detector,
        history: impl Iterator<Item = &'r [&'r TelemetryRecord]>,
    ) {
        let RunNote { rounds, chosen, records, .. } = *note;
        let model = Model { run: note.run.clone(), rounds, chosen, records };
        let known = self.watch.take().filter(|watch| watch.is_of(&model, &self.policy));
        let anew = || DriftWatch::begin(model, detector, &self.policy, history);
        self.watch = (!self.policy.is_off()).then(|| known.unwrap_or_else(anew));
        if let Some(watch) = &self.watch {
            tracing::info!("{}", watch.standing(&self.policy));
        }
        self.tell();
    }

    /// Takes the next record.
    pub fn observe(&mut self, seen: Seen<'_>) {
        let found = self.watch.as_mut().and_then(|watch| watch.observe(seen, &self.policy));
        self.found = self.found.take().or(found);
    }

    /// Whether something is found that is not yet written.
    pub fn has_news(&self) -> bool {
        self.found.is_some()
    }

    /// Makes durable what is known, and then tells what is found.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn write(&mut self) -> Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        self.vault.write(&self.dir.join(FILE), FILE, &serde_json::to_vec(watch)?)?;
        if let Some(drift) = self.found.take() {
            tracing::warn!("{drift}");
        }
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let drift = self.watch.as_ref().and_then(DriftWatch::drift);
        self.drifted.set(drift.and_then(|drift| drift.run.parse().ok()));
    }
}

/// What is known of drift in a folder, whether its node runs or not.
///
/// # Errors
///
/// Names the file and what is wrong with it.
pub fn read(dir: &Path, vault: &Vault) -> Result<Option<DriftWatch>> {
    let path = dir.join(FILE);
    let watch = vault.read(&path, FILE)?.map(|plain| serde_json::from_slice(&plain)).transpose();
    watch.with_context(|| path.display().to_string())
}
