//! Training, one run after the other: the trainer is given the run whose model came first.

use std::sync::Arc;

use common::crypto::{SealError, Sealer};
use common::id::{EpochId, RunId};
use common::message::update::Change;
use common::units::Timestamp;
use common::upload::Upload;

use super::{PROGRESS, Participant};
use crate::outgoing;
use crate::participant::work::{Asked, Channel, Stage, Training, Work};
use crate::participant::{Output, Trained};

impl Participant {
    /// Training goes on.
    pub fn on_progress(
        &mut self,
        (run, epoch): (RunId, EpochId),
        percent: u8,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if let Some(Work { asked, stage: Stage::Training(_, training) }) = self.works.get_mut(&run)
            && asked.epoch == epoch
        {
            training.progress = percent;
            if now >= self.told_at + PROGRESS {
                self.tell(now, out);
            }
        }
    }

    /// The trainer took its last step then. Presence is true of the trainer, not only of this process: one that
    /// hangs is said to. Runs that wait for it do not hang; their rounds have deadlines of their own.
    pub fn on_step(&mut self, at: Timestamp, now: Timestamp, out: &mut Vec<Output>) {
        let changed = self.training().is_some_and(|training| training.on_step(at, now));
        if changed {
            self.tell(now, out);
        }
    }

    /// Training is done: seal what changed, and offer it.
    pub fn on_trained(&mut self, trained: &Trained, now: Timestamp, out: &mut Vec<Output>) {
        let Some((asked, channel, training)) = self.end_training(trained.run, trained.epoch) else { return };
        let Asked { run, round, epoch, .. } = asked;
        self.keyring.renew(now, &mut self.setup.random);
        let next = Some(self.keyring.package());
        let subject = outgoing::subject(self.setup.tenant, run, round, epoch);
        let Trained { samples, steps, loss, .. } = *trained;
        let model = Change { from: training.base.values(), to: trained.parameters.values() };
        let control = trained.control.as_ref().map(|control| Change { from: &control.from, to: &control.to });
        let head = outgoing::head(samples, steps, loss);
        let buffer = self.buffers.pop().unwrap_or_default();
        let sealer = Sealer { identity: &self.setup.identity, subject, next_package: next, buffer };
        let (to, random) = ((channel.coordinator, &channel.keys), &mut self.setup.random);
        let sealed = outgoing::seal(&head, (model, control), sealer, to, random);
        match sealed {
            Ok(sealed) => {
                let upload = Upload::new(sealed, channel.coordinator, now);
                self.works.insert(run, Work { asked, stage: Stage::Uploading(channel, upload) });
                self.on_tick(now, out);
            }
            Err(SealError::Unsigned(error)) => out.push(Output::Unsigned(error)),
            Err(error) => self.decline(asked, &error.to_string(), now, out),
        }
        self.train_next(now, out);
    }

    /// The node cannot do what is asked; `reason` is for its own operator.
    pub fn on_declined(
        &mut self,
        (run, epoch): (RunId, EpochId),
        reason: &str,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if let Some((asked, ..)) = self.end_training(run, epoch) {
            self.decline(asked, reason, now, out);
            self.train_next(now, out);
        }
    }

    /// Gives the trainer the run that has waited longest, if it is free.
    pub(super) fn train_next(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.training().is_some() {
            return;
        }
        let waiting = self.works.iter().filter_map(|(run, work)| match work.stage {
            Stage::Waiting(.., turn) => Some((turn, *run)),
            _ => None,
        });
        let Some((_, run)) = waiting.min() else { return };
        let Some(Work { asked, stage: Stage::Waiting(channel, assignment, _) }) = self.works.remove(&run)
        else {
            return;
        };
        let training = Training::begin(Arc::clone(&assignment.model), now);
        self.works.insert(run, Work { asked, stage: Stage::Training(channel, training) });
        out.push(Output::Train(assignment));
    }

    fn training(&mut self) -> Option<&mut Training> {
        self.works.values_mut().find_map(|work| match &mut work.stage {
            Stage::Training(_, training) => Some(training),
            _ => None,
        })
    }

    /// Takes out the training of this epoch, if it goes on.
    fn end_training(&mut self, run: RunId, epoch: EpochId) -> Option<(Asked, Channel, Training)> {
        match self.works.remove(&run)? {
            Work { asked, stage: Stage::Training(channel, training) } if asked.epoch == epoch => {
                Some((asked, channel, training))
            }
            other => {
                self.works.insert(run, other);
                None
            }
        }
    }
}
