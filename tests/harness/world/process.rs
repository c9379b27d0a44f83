//! The coordinator's process: the engine, and the store on a simulated disk. A kill ends it; the disk stays.

use std::path::Path;
use std::sync::Arc;

use common::id::{EpochId, ModelHash};
use common::units::Timestamp;
use coordinator::archive;
use coordinator::config::RunConfig;
use coordinator::engine::{End, Engine, Output, Start};
use coordinator::round::{Checkpoint, RoundRecord};
use coordinator::served::Served;
use coordinator::store::{RunStatus, Store, Turn};

use super::Bug;
use super::disk::Disk;
use super::scene::RUN;

/// The coordinator's folder.
const DIR: &str = "coordinator";

/// The coordinator's process.
pub(super) struct Process {
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) served: Option<Served>,
}

impl Process {
    /// Begins, and goes on with the run that the disk has; a disk without one gets this one.
    ///
    /// # Errors
    ///
    /// What keeps a coordinator from serving.
    pub(super) fn begin(
        engine: Engine,
        disk: &Disk,
        config: &str,
        bug: Option<Bug>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> anyhow::Result<Self> {
        let store = Store::open_on(Arc::new(disk.hand_over()), Path::new(DIR))?;
        let mut process = Self { engine, store, served: None };
        if process.store.state().runs()?.is_empty() {
            let parsed = RunConfig::parse(config)?;
            let (_, start) = archive::create(&process.store, (config.to_owned(), parsed), (RUN, None), now)?;
            process.start(start, now, out);
        } else if let Some(run) = archive::to_serve(&process.store)? {
            let (_, mut start) = archive::resume(&process.store, run)?;
            if bug == Some(Bug::ReusedEpochs) {
                start.position.epochs.next = EpochId(1);
            }
            process.start(start, now, out);
        }
        Ok(process)
    }

    fn start(&mut self, start: Start, now: Timestamp, out: &mut Vec<Output>) {
        self.served = Some(Served::new(&self.store, start.position.run, &start.plan.task));
        self.engine.start(start, now, out);
    }

    /// Pauses the run, as an operator does it, if it is going on.
    pub(super) fn pause(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.engine.is_busy() && self.store.state().turn_run(RUN, &Turn::Pause).is_ok() {
            self.engine.leave(End::Paused, now, out);
        }
    }

    /// Goes on with the run, as an operator does it; `None` while that cannot be done. A run that is not paused is as
    /// it should be.
    pub(super) fn resume(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Option<()> {
        let entry = self.store.state().runs().ok()?.into_iter().find(|entry| entry.run == RUN)?;
        if entry.status == RunStatus::Paused {
            self.store.state().turn_run(RUN, &Turn::Resume).ok()?;
            let (_, start) = archive::resume(&self.store, RUN).ok()?;
            self.start(start, now, out);
        }
        Some(())
    }

    /// The records of the run, as the disk has them.
    pub(super) fn records(&self) -> anyhow::Result<Vec<RoundRecord>> {
        Ok(self.store.state().rounds(RUN)?)
    }

    /// The model that a round made.
    pub(super) fn model(&self, made: &Checkpoint) -> Option<Vec<f32>> {
        self.model_of(made.model)
    }

    /// The model of this hash.
    pub(super) fn model_of(&self, hash: ModelHash) -> Option<Vec<f32>> {
        let config = RunConfig::parse(&self.store.state().config(RUN).ok()?).ok()?;
        let schema = config.plan().ok()?.task.schema().ok()?;
        self.store.models().load(hash, &schema).ok()
    }
}
