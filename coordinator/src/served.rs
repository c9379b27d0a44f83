//! A run that is served, and its files: what the engine wishes, done on the disk.

use common::id::{RoundId, RunId};
use common::model::{Schema, Task};

use crate::engine::{Answer, Combination, Combined, Values, Wish};
use crate::round::{Checkpoint, RoundOutcome};
use crate::store::{About, Models, Store};

/// A run that is served.
#[derive(Debug)]
pub struct Served {
    schema: Schema,
    task: Task,
    /// Where what its server remembers is.
    moments: Models,
}

impl Served {
    /// A run with this task, whose files are in this store.
    ///
    /// # Panics
    ///
    /// When the task has no schema: it was parsed from a configuration.
    pub fn new(store: &Store, run: RunId, task: &Task) -> Self {
        let schema = task.schema().expect("the task was parsed from a configuration");
        Self { schema, task: task.clone(), moments: store.moments(run) }
    }

    /// Does what is wished, which may take long; `pass` is told before and after each write. One at a time for a run:
    /// each builds on the one before.
    pub fn answer(&self, store: &Store, wish: Wish, pass: &mut dyn FnMut(&str)) -> Answer {
        match wish {
            Wish::Load(checkpoint) => {
                pass("before files are read");
                Answer::Loaded(self.load(store, &checkpoint))
            }
            Wish::Combine(combination) => Answer::Combined(self.combine(store, combination, pass)),
            Wish::Commit { record, epochs_end } => {
                pass("before the commit");
                let committed = store.state().commit(&record, epochs_end).map_err(|error| error.to_string());
                pass("after the commit");
                if committed.is_ok() {
                    self.forget_moments(&record.outcome);
                }
                Answer::Committed(record, committed)
            }
            Wish::Keep(record) => {
                let kept = store.state().keep_aborted(&record).map_err(|error| error.to_string());
                Answer::Kept(record, kept)
            }
        }
    }

    fn load(&self, store: &Store, checkpoint: &Checkpoint) -> Result<Values, String> {
        let load = |files: &Models, hash| files.load(hash, &self.schema).map_err(|error| error.to_string());
        let model = load(store.models(), checkpoint.model)?;
        let moments =
            checkpoint.moments.iter().map(|hash| load(&self.moments, *hash)).collect::<Result<_, _>>()?;
        Ok(Values { model, moments })
    }

    fn combine(
        &self,
        store: &Store,
        combination: Box<Combination>,
        pass: &mut dyn FnMut(&str),
    ) -> Result<Combined, String> {
        pass("before files are read");
        let mut values = self.load(store, &combination.from)?;
        combination.make(&mut values);
        pass("before the files are written");
        let made = self.save(store, combination.round, &values, pass);
        pass("after the files are written");
        Ok(Combined { made: made?, model: values.model, combination })
    }

    fn save(
        &self,
        store: &Store,
        round: RoundId,
        values: &Values,
        pass: &mut dyn FnMut(&str),
    ) -> Result<Checkpoint, String> {
        let about = About { round, task: &self.task };
        let save = |files: &Models, values: &Vec<f32>| {
            files.save(&about, &self.schema, values).map_err(|error| error.to_string())
        };
        let kept =
            values.moments.iter().map(|values| save(&self.moments, values)).collect::<Result<Vec<_>, _>>()?;
        let moments = kept.try_into().expect("no server remembers more");
        pass("between the files");
        Ok(Checkpoint { model: save(store.models(), &values.model)?, moments })
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
