//! Which announcements were seen: an old one of a run is a replay, whatever other runs were asked since.

use std::collections::BTreeMap;

use common::crypto::Manifest;
use common::id::{EpochId, RunId};
use common::limits::WORKS_MAX;
use common::message::announce::Announcement;
use common::units::Timestamp;

/// Runs whose newest announcement is remembered: those that are worked on, and as many that are not.
const RUNS_MAX: usize = 2 * WORKS_MAX;

/// The newest announcement of each run.
#[derive(Debug)]
pub(super) struct Announced {
    /// The newest epoch that was acted on.
    marks: BTreeMap<RunId, EpochId>,
    /// The models of these epochs, as the coordinator signed them.
    models: BTreeMap<RunId, Manifest>,
    /// Whose model the coordinator is shown.
    shown: Option<RunId>,
    /// When the newest announcement was written, by the coordinator's clock.
    issued: BTreeMap<RunId, Timestamp>,
    /// What is news of a run that is not among them was written later than this.
    forgotten: Timestamp,
}

impl Announced {
    /// With the marks that the disk has.
    pub(super) fn new(marks: BTreeMap<RunId, EpochId>, models: BTreeMap<RunId, Manifest>) -> Self {
        let newest = models.iter().max_by_key(|(_, model)| model.claimed_header().subject.epoch);
        let shown = newest.map(|(run, _)| *run);
        Self { marks, models, shown, issued: BTreeMap::new(), forgotten: Timestamp::default() }
    }

    /// The model that the coordinator is shown.
    pub(super) fn shown(&self) -> Option<&Manifest> {
        self.models.get(&self.shown?)
    }

    /// Whether this announcement is news. Then older ones of its run are none any more.
    pub(super) fn take(&mut self, announcement: &Announcement, goes_on: impl Fn(RunId) -> bool) -> bool {
        let Announcement { run, epoch, issued, .. } = *announcement;
        let is_late = match self.issued.get(&run) {
            Some(newest) => issued < *newest,
            None => issued <= self.forgotten,
        };
        if is_late {
            return false;
        }
        if self.marks.get(&run).is_some_and(|mark| epoch <= *mark) {
            // It may be of a coordinator that does not know any more how far it was.
            self.shown = Some(run);
            return false;
        }
        self.issued.insert(run, issued);
        if self.issued.len() > RUNS_MAX {
            self.forget(|other| other == run || goes_on(other));
        }
        true
    }

    /// An announcement of this epoch is acted on: never again.
    pub(super) fn mark(&mut self, run: RunId, epoch: EpochId, model: Manifest) {
        self.marks.insert(run, epoch);
        self.models.insert(run, model);
        self.shown = Some(run);
    }

    /// Forgets the run that was announced longest ago. Its announcements are older than what is news from now on.
    fn forget(&mut self, is_needed: impl Fn(RunId) -> bool) {
        let others = self.issued.iter().filter(|(run, _)| !is_needed(**run));
        if let Some((run, issued)) = others.map(|(run, issued)| (*run, *issued)).min_by_key(|(_, at)| *at) {
            self.issued.remove(&run);
            self.marks.remove(&run);
            self.models.remove(&run);
            self.forgotten = self.forgotten.max(issued);
        }
    }
}

#[cfg(test)]
mod tests {
    use common::crypto::{EpochRoot, Identity, Kind, Sealer, Subject, Suite};
    use common::id::{RoundId, TenantId};
    use common::message::announce::Request;
    use common::units::Millis;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn announcement(run: u8, epoch: u64, issued: u64) -> Announcement {
        let (run, epoch, issued) = (RunId([run; 16]), EpochId(epoch), Timestamp(issued));
        let (tenant, round, deadline) = (TenantId([0; 16]), RoundId(1), Millis(1));
        let (taken_from, roster, request) = (epoch, 1, Request::Rest);
        Announcement { tenant, run, round, epoch, taken_from, roster, issued, deadline, request }
    }

    fn model(run: u8, epoch: u64) -> Manifest {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let (tenant, run, epoch) = (TenantId([0; 16]), RunId([run; 16]), EpochId(epoch));
        let subject =
            Subject { kind: Kind::Model, tenant, run, round: RoundId(1), epoch, seq: 1, trace: [0; 16] };
        let identity = Identity::generate(rng);
        let sealer = Sealer { identity: &identity, subject, next_package: None, buffer: Vec::new() };
        let root = EpochRoot::generate(Suite::X25519, rng);
        sealer.seal_to_group(&b"model"[..], &root, rng).unwrap().manifest().clone()
    }

    #[test]
    fn the_coordinator_is_shown_the_model_of_the_run_of_which_it_says_what_is_old() {
        let (old, new) = (RunId([1; 16]), RunId([2; 16]));
        let marks = BTreeMap::from([(old, EpochId(5)), (new, EpochId(9))]);
        let models = BTreeMap::from([(old, model(1, 5)), (new, model(2, 9))]);
        let mut announced = Announced::new(marks, models);
        assert_eq!(announced.shown(), Some(&model(2, 9)));
        assert!(!announced.take(&announcement(1, 4, 100), |_| false));
        assert_eq!(announced.shown(), Some(&model(1, 5)));
        announced.mark(new, EpochId(10), model(2, 10));
        assert_eq!(announced.shown(), Some(&model(2, 10)));
    }

    #[test]
    fn an_old_announcement_of_a_run_is_none_whatever_another_run_was_asked() {
        let mut announced = Announced::new(BTreeMap::from([(RunId([3; 16]), EpochId(9))]), BTreeMap::new());
        let mut take = |run, epoch, issued| announced.take(&announcement(run, epoch, issued), |_| false);
        assert!(take(1, 5, 100) && take(2, 1, 200));
        assert!(!take(1, 4, 90), "it was written before the newest of its run");
        assert!(take(1, 6, 150), "the other run's is newer, and that says nothing of this one");
        assert!(!take(2, 1, 199) && !take(1, 5, 100));
        assert!(!take(3, 9, 300), "the disk has a mark");
        assert!(take(3, 10, 300));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_was_forgotten_is_no_news() {
        let mut announced = Announced::new(BTreeMap::new(), BTreeMap::new());
        let count = RUNS_MAX as u8 + 20;
        for run in 0..count {
            assert!(announced.take(&announcement(run, 1, 100 + u64::from(run)), |run| run.0[0] == 0));
            announced.mark(RunId([run; 16]), EpochId(1), model(run, 1));
        }
        assert_eq!(
            (announced.issued.len(), announced.marks.len(), announced.models.len()),
            (RUNS_MAX, RUNS_MAX, RUNS_MAX)
        );
        for run in 0..count {
            assert!(!announced.take(&announcement(run, 1, 100 + u64::from(run)), |_| true), "run {run}");
        }
        assert!(announced.take(&announcement(0, 2, 101), |_| true), "it goes on");
        assert!(announced.take(&announcement(1, 2, 1000), |_| true), "its next one is newer");
    }
}
