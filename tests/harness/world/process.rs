//! The coordinator's process: the engine, and the store on a simulated disk. A kill ends it; the disk stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use common::crypto::TenantKey;
use common::crypto::bulk::InputKey;
use common::id::{EpochId, ModelHash, RunId, TenantId};
use common::units::Timestamp;
use coordinator::archive;
use coordinator::config::RunConfig;
use coordinator::engine::{End, Engine, Output, Start};
use coordinator::round::{Checkpoint, RoundRecord};
use coordinator::served::Served;
use coordinator::store::{RunStatus, Store, Turn};
use custody::Vault;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Bug;
use super::disk::Disk;
use super::scene::Scene;

/// The coordinator's folder.
const DIR: &str = "coordinator";

/// The coordinator's process.
pub(super) struct Process {
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) served: BTreeMap<RunId, Served>,
    /// Tells it from those before it.
    pub(super) life: u64,
    /// When the last wish of each run is granted.
    pub(super) busy_until: BTreeMap<RunId, Timestamp>,
}

impl Process {
    /// Begins, goes on with the runs that the disk has, and starts those that it does not have.
    ///
    /// # Errors
    ///
    /// What keeps a coordinator from serving.
    pub(super) fn begin(
        engine: Engine,
        (disk, life): (&Disk, u64),
        scene: &Scene,
        bug: Option<Bug>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> anyhow::Result<Self> {
        let key = TenantKey::new(TenantId::of_name(DIR), InputKey([7; 32]));
        let vault = Arc::new(Vault::new(key, ChaCha20Rng::seed_from_u64(life)));
        let store = Store::open_on(Arc::new(disk.hand_over()), Path::new(DIR), vault)?;
        let (served, busy_until) = (BTreeMap::new(), BTreeMap::new());
        let mut process = Self { engine, store, served, life, busy_until };
        let known: Vec<RunId> = process.store.state().runs()?.iter().map(|entry| entry.run).collect();
        for run in archive::to_serve(&process.store)? {
            let (_, mut start) = archive::resume(&process.store, run)?;
            if bug == Some(Bug::ReusedEpochs) {
                start.position.epochs.next = EpochId(1);
            }
            process.start(start, now, out);
        }
        for run in scene.runs().filter(|run| !known.contains(run)) {
            let config = scene.config(run);
            let parsed = RunConfig::parse(&config)?;
            let (_, start) = archive::create(&process.store, (config, parsed), (run, None), now)?;
            process.start(start, now, out);
        }
        Ok(process)
    }

    fn start(&mut self, start: Start, now: Timestamp, out: &mut Vec<Output>) {
        let run = start.position.run;
        self.served.insert(run, Served::new(&self.store, run, &start.plan.task));
        self.engine.start(start, now, out);
    }

    /// Pauses the runs, as an operator does it, that go on; but for those for which something is done meanwhile.
    pub(super) fn pause(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let is_busy = |run: &RunId| self.busy_until.get(run).is_some_and(|until| *until >= now);
        let going_on: Vec<RunId> = self.engine.running().filter(|run| !is_busy(run)).collect();
        for run in going_on {
            if self.store.state().turn_run(run, &Turn::Pause).is_ok() {
                self.engine.leave(run, End::Paused, now, out);
            }
        }
    }

    /// Goes on with the runs that are paused, as an operator does it; `None` while that cannot be done. One that is not
    /// paused is as it should be.
    pub(super) fn resume(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Option<()> {
        let entries = self.store.state().runs().ok()?;
        for entry in entries.iter().filter(|entry| entry.status == RunStatus::Paused) {
            self.store.state().turn_run(entry.run, &Turn::Resume).ok()?;
            let (_, start) = archive::resume(&self.store, entry.run).ok()?;
            self.start(start, now, out);
        }
        Some(())
    }

    /// The records of a run, as the disk has them.
    pub(super) fn records(&self, run: RunId) -> anyhow::Result<Vec<RoundRecord>> {
        Ok(self.store.state().rounds(run)?)
    }

    /// The model that a round of a run made.
    pub(super) fn model(&self, run: RunId, made: &Checkpoint) -> Option<Vec<f32>> {
        self.model_of(run, made.model)
    }

    /// The model of this hash, of this run's task.
    pub(super) fn model_of(&self, run: RunId, hash: ModelHash) -> Option<Vec<f32>> {
        let config = RunConfig::parse(&self.store.state().config(run).ok()?).ok()?;
        let schema = config.task.schema().ok()?;
        self.store.models().load(hash, &schema).ok()
    }
}
