//! The run that is served, and its files: what the engine asks of the disk, and what it is answered.

use common::id::{RoundId, RunId};
use common::model::{Schema, Task};
use common::units::Timestamp;

use crate::engine::{Engine, Output, Values};
use crate::round::{Checkpoint, RoundOutcome, RoundRecord};
use crate::store::{About, Models, Store};

/// The run that is served.
#[derive(Debug)]
pub struct Served {
    /// Which.
    pub run: RunId,
    schema: Schema,
    task: Task,
    /// Where what its server remembers is.
    moments: Models,
}

/// What came of an output that was for the disk.
#[derive(Debug)]
pub enum Answer {
    /// Files were read.
    Loaded(Result<Values, String>),
    /// Files were written.
    Stored(Result<(Checkpoint, Vec<f32>), String>),
    /// A round was made durable.
    Committed(Box<RoundRecord>, Result<(), String>),
}

impl Answer {
    /// Tells the engine.
    pub fn tell(self, engine: &mut Engine, now: Timestamp, out: &mut Vec<Output>) {
        match self {
            Self::Loaded(values) => engine.on_loaded(values, now, out),
            Self::Stored(stored) => engine.on_stored(stored, now, out),
            Self::Committed(_, committed) => engine.on_committed(committed, now, out),
        }
    }
}

impl Served {
    /// A run with this task, whose files are in this store.
    ///
    /// # Panics
    ///
    /// When the task has no schema: it was parsed from a configuration.
    pub fn new(store: &Store, run: RunId, task: &Task) -> Self {
        let schema = task.schema().expect("the task was parsed from a configuration");
        Self { run, schema, task: task.clone(), moments: store.moments(run) }
    }

    /// Does what is for the disk; `pass` is told before and after each write. Gives any other output back.
    ///
    /// # Errors
    ///
    /// The output, when it is not for the disk.
    pub fn answer(
        &self,
        store: &Store,
        output: Output,
        pass: &mut dyn FnMut(&str),
    ) -> Result<Answer, Output> {
        match output {
            Output::Load(checkpoint) => {
                pass("before files are read");
                Ok(Answer::Loaded(self.load(store, &checkpoint)))
            }
            Output::Store { round, values } => {
                pass("before the files are written");
                let stored = self.save(store, round, values, pass);
                pass("after the files are written");
                Ok(Answer::Stored(stored))
            }
            Output::Commit { record, epochs_end } => {
                pass("before the commit");
                let committed = store.state().commit(&record, epochs_end).map_err(|error| error.to_string());
                pass("after the commit");
                if committed.is_ok() {
                    self.forget_moments(&record.outcome);
                }
                Ok(Answer::Committed(record, committed))
            }
            other => Err(other),
        }
    }

    fn load(&self, store: &Store, checkpoint: &Checkpoint) -> Result<Values, String> {
        let load = |files: &Models, hash| files.load(hash, &self.schema).map_err(|error| error.to_string());
        let model = load(store.models(), checkpoint.model)?;
        let moments =
            checkpoint.moments.iter().map(|hash| load(&self.moments, *hash)).collect::<Result<_, _>>()?;
        Ok(Values { model, moments })
    }

    /// Returns the model, which is sent next.
    fn save(
        &self,
        store: &Store,
        round: RoundId,
        values: Values,
        pass: &mut dyn FnMut(&str),
    ) -> Result<(Checkpoint, Vec<f32>), String> {
        let about = About { round, task: &self.task };
        let save = |files: &Models, values: &Vec<f32>| {
            files.save(&about, &self.schema, values).map_err(|error| error.to_string())
        };
        let kept =
            values.moments.iter().map(|values| save(&self.moments, values)).collect::<Result<Vec<_>, _>>()?;
        let moments = kept.try_into().expect("no server remembers more");
        pass("between the files");
        Ok((Checkpoint { model: save(store.models(), &values.model)?, moments }, values.model))
    }

    /// Moments serve the next round only: those of the rounds before a commit are removed.
    fn forget_moments(&self, outcome: &RoundOutcome) {
        if let RoundOutcome::Committed(made) = outcome
            && !made.moments.is_empty()
            && let Err(error) = self.moments.retain(&made.moments)
        {
            tracing::warn!("old moments stay on the disk: {error}");
        }
    }
}
