//! The control variates that a node keeps: a sealed file for each run that has them, in the folder `controls`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use common::id::{EpochId, RunId};
use custody::Vault;

use crate::participant::{Held, ServerControl};

/// Runs whose control variates are kept; each takes as much as two models.
const RUNS_MAX: usize = 8;

/// The folder of a node's control variates.
#[derive(Debug)]
pub struct Controls {
    dir: PathBuf,
    vault: Arc<Vault>,
}

impl Controls {
    /// Those of the node with this folder.
    pub fn of(node: &Path, vault: Arc<Vault>) -> Self {
        Self { dir: node.join("controls"), vault }
    }

    /// What is kept of a run, and the control variate to train from. A file that is missing or damaged is as good as
    /// none while no model has an update of this node: then it begins at zero.
    ///
    /// # Errors
    ///
    /// Names the file, when the coordinator counts on what it had: the node sits the run out.
    pub fn load(&self, run: RunId, server: &ServerControl) -> Result<(Held, Vec<f32>)> {
        let (path, parameters) = (self.path(run), server.values.len());
        let decoded = |bytes: Option<Vec<u8>>| match bytes {
            None => Ok(Held::default()),
            Some(bytes) => Held::decode(&bytes, run, parameters).with_context(|| path.display().to_string()),
        };
        let held = self.vault.read(&path, &name(run)).and_then(decoded).unwrap_or_else(|error| {
            tracing::warn!("{error:#}");
            Held::default()
        });
        let own = held.own(server.folded, parameters).with_context(|| {
            format!("{}; the next run begins without one, this one goes on without the node", path.display())
        })?;
        Ok((held, own))
    }

    /// Makes what came of an epoch durable, before its update leaves the node.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn keep(&self, run: RunId, mut held: Held, folded: EpochId, made: (EpochId, Vec<f32>)) -> Result<()> {
        held.keep(folded, made);
        fs::create_dir_all(&self.dir).with_context(|| self.dir.display().to_string())?;
        self.vault.write(&self.path(run), &name(run), &held.encode(run))?;
        self.forget_old()
    }

    /// Removes the files that were written longest ago, when there are too many.
    fn forget_old(&self) -> Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir).with_context(|| self.dir.display().to_string())? {
            let entry = entry.with_context(|| self.dir.display().to_string())?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        for (_, path) in files.iter().rev().skip(RUNS_MAX) {
            fs::remove_file(path).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn path(&self, run: RunId) -> PathBuf {
        self.dir.join(run.to_string())
    }
}

/// As its seal names the file of a run.
fn name(run: RunId) -> String {
    format!("controls/{run}")
}

#[cfg(test)]
mod tests {
    use common::crypto::TenantKey;
    use common::crypto::bulk::InputKey;
    use common::id::TenantId;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn controls(dir: &Path) -> Controls {
        let key = TenantKey::new(TenantId::of_name("a"), InputKey([7; 32]));
        Controls::of(dir, Arc::new(Vault::new(key, ChaCha20Rng::seed_from_u64(1))))
    }

    fn server(folded: u64) -> ServerControl {
        ServerControl { values: vec![0.0; 3], folded: EpochId(folded) }
    }

    #[test]
    fn a_control_variate_outlives_the_process_and_a_lost_one_is_not_made_up() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunId([7; 16]);
        let controls = controls(dir.path());
        let (held, own) = controls.load(run, &server(0)).unwrap();
        assert_eq!(own, [0.0; 3]);
        controls.keep(run, held, EpochId(0), (EpochId(4), vec![1.5; 3])).unwrap();
        let again = self::controls(dir.path());
        assert_eq!(again.load(run, &server(4)).unwrap().1, [1.5; 3]);
        assert_eq!(again.load(run, &server(0)).unwrap().1, [0.0; 3]);
        let file = dir.path().join("controls").join(run.to_string());
        fs::write(&file, b"damaged").unwrap();
        assert_eq!(again.load(run, &server(0)).unwrap().1, [0.0; 3]);
        let error = format!("{:#}", again.load(run, &server(4)).unwrap_err());
        assert!(error.contains(&run.to_string()) && error.contains("epoch 4 is lost"), "{error}");
    }

    #[test]
    fn the_runs_that_were_trained_longest_ago_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let controls = controls(dir.path());
        for run in 0..RUNS_MAX as u8 + 2 {
            let run = RunId([run; 16]);
            controls.keep(run, Held::default(), EpochId(0), (EpochId(1), vec![0.0; 3])).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path().join("controls")).unwrap().count(), RUNS_MAX);
        controls.load(RunId([RUNS_MAX as u8 + 1; 16]), &server(1)).unwrap();
    }
}
