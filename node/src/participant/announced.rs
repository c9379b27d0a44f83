//! Which announcements were seen: an old one of a run is a replay, whatever other runs were asked since.

use std::collections::BTreeMap;

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
    /// When the newest announcement was written, by the coordinator's clock.
    issued: BTreeMap<RunId, Timestamp>,
    /// What is news of a run that is not among them was written later than this.
    forgotten: Timestamp,
}

impl Announced {
    /// With the marks that the disk has.
    pub(super) fn new(marks: BTreeMap<RunId, EpochId>) -> Self {
        Self { marks, issued: BTreeMap::new(), forgotten: Timestamp::default() }
    }

    /// Whether this announcement is news. Then older ones of its run are none any more.
    pub(super) fn take(&mut self, announcement: &Announcement, goes_on: impl Fn(RunId) -> bool) -> bool {
        let Announcement { run, epoch, issued, .. } = *announcement;
        let is_late = match self.issued.get(&run) {
            Some(newest) => issued < *newest,
            None => issued <= self.forgotten,
        };
        if is_late || self.marks.get(&run).is_some_and(|mark| epoch <= *mark) {
            return false;
        }
        self.issued.insert(run, issued);
        if self.issued.len() > RUNS_MAX {
            self.forget(|other| other == run || goes_on(other));
        }
        true
    }

    /// An announcement of this epoch is acted on: never again.
    pub(super) fn mark(&mut self, run: RunId, epoch: EpochId) {
        self.marks.insert(run, epoch);
    }

    /// Forgets the run that was announced longest ago. Its announcements are older than what is news from now on.
    fn forget(&mut self, is_needed: impl Fn(RunId) -> bool) {
        let others = self.issued.iter().filter(|(run, _)| !is_needed(**run));
        if let Some((run, issued)) = others.map(|(run, issued)| (*run, *issued)).min_by_key(|(_, at)| *at) {
            self.issued.remove(&run);
            self.marks.remove(&run);
            self.forgotten = self.forgotten.max(issued);
        }
    }
}

#[cfg(test)]
mod tests {
    use common::id::{RoundId, TenantId};
    use common::message::announce::Request;
    use common::units::Millis;

    use super::*;

    fn announcement(run: u8, epoch: u64, issued: u64) -> Announcement {
        let (run, epoch, issued) = (RunId([run; 16]), EpochId(epoch), Timestamp(issued));
        let (tenant, round, deadline) = (TenantId([0; 16]), RoundId(1), Millis(1));
        let (taken_from, roster, request) = (epoch, 1, Request::Rest);
        Announcement { tenant, run, round, epoch, taken_from, roster, issued, deadline, request }
    }

    #[test]
    fn an_old_announcement_of_a_run_is_none_whatever_another_run_was_asked() {
        let mut announced = Announced::new(BTreeMap::from([(RunId([3; 16]), EpochId(9))]));
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
        let mut announced = Announced::new(BTreeMap::new());
        let count = RUNS_MAX as u8 + 20;
        for run in 0..count {
            assert!(announced.take(&announcement(run, 1, 100 + u64::from(run)), |run| run.0[0] == 0));
            announced.mark(RunId([run; 16]), EpochId(1));
        }
        assert_eq!((announced.issued.len(), announced.marks.len()), (RUNS_MAX, RUNS_MAX));
        for run in 0..count {
            assert!(!announced.take(&announcement(run, 1, 100 + u64::from(run)), |_| true), "run {run}");
        }
        assert!(announced.take(&announcement(0, 2, 101), |_| true), "it goes on");
        assert!(announced.take(&announcement(1, 2, 1000), |_| true), "its next one is newer");
    }
}
