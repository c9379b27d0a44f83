//! What takes long, beside the loop: files, sums of updates, and new runs. One thing at a time for each run.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use anyhow::Result;
use common::id::RunId;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::fault::FaultPoints;
use crate::control::Reply;
use crate::engine::{Answer, Start, Wish};
use crate::quota::Taken;
use crate::served::Served;
use crate::store::{RunEntry, Store};
use crate::view::OrderedRun;

/// Everything that is done beside the loop.
pub(super) struct Works {
    store: Arc<Store>,
    faults: Arc<FaultPoints>,
    benches: BTreeMap<RunId, Bench>,
    /// Whether a run is being prepared: one at a time, so that none slips in between.
    is_preparing: bool,
    going_on: JoinSet<Done>,
}

/// Where one run has its work done.
struct Bench {
    served: Arc<Served>,
    taken: Taken,
    is_busy: bool,
    /// What comes after that.
    wishes: VecDeque<Wish>,
}

/// Something was done.
pub(super) enum Done {
    /// What a run wanted.
    Answered(RunId, Answer),
    /// A run was prepared, and this is who wants to know.
    Prepared(Result<Prepared>, oneshot::Sender<Reply>),
}

/// What prepares a run, and may take long.
pub(super) type Prepare = Box<dyn FnOnce(&Store) -> Result<Prepared> + Send>;

/// A run that may begin.
pub(super) enum Prepared {
    /// Nothing keeps it from it.
    Tried(OrderedRun),
    /// The disk has it.
    Created(RunEntry, Box<Start>),
}

impl Works {
    pub(super) fn new(store: Arc<Store>, faults: Arc<FaultPoints>) -> Self {
        let (benches, going_on) = (BTreeMap::new(), JoinSet::new());
        Self { store, faults, benches, is_preparing: false, going_on }
    }

    /// Makes room for the work of a run.
    pub(super) fn open(&mut self, served: Served, taken: Taken) {
        let (run, served) = (taken.run, Arc::new(served));
        self.benches.insert(run, Bench { served, taken, is_busy: false, wishes: VecDeque::new() });
    }

    /// What a run takes, if it was ever served.
    pub(super) fn taken(&self, run: RunId) -> Option<&Taken> {
        self.benches.get(&run).map(|bench| &bench.taken)
    }

    /// Whether something is being done for a run. Until that is done nothing else may be done with it.
    pub(super) fn is_busy(&self, run: RunId) -> bool {
        self.benches.get(&run).is_some_and(|bench| bench.is_busy)
    }

    /// Whether a run is being prepared.
    pub(super) fn is_preparing(&self) -> bool {
        self.is_preparing
    }

    /// Does what a run wishes, after what it wished before.
    ///
    /// # Panics
    ///
    /// When there was no room made for it.
    pub(super) fn wish(&mut self, run: RunId, wish: Wish) {
        let bench = self.benches.get_mut(&run).expect("a run is opened before it begins");
        bench.wishes.push_back(wish);
        self.begin_next(run);
    }

    /// Prepares a run, and tells of it by [`Self::next`].
    pub(super) fn prepare(&mut self, prepare: Prepare, answer: oneshot::Sender<Reply>) {
        let store = Arc::clone(&self.store);
        self.is_preparing = true;
        self.going_on.spawn_blocking(move || Done::Prepared(prepare(&store), answer));
    }

    /// The next thing that was done. Safe to cancel.
    pub(super) async fn next(&mut self) -> Done {
        let done = match self.going_on.join_next().await {
            None => pending().await,
            Some(Ok(done)) => done,
            Some(Err(ended)) => resume_unwind(ended.into_panic()),
        };
        match &done {
            Done::Prepared(..) => self.is_preparing = false,
            Done::Answered(run, _) => {
                let run = *run;
                if let Some(bench) = self.benches.get_mut(&run) {
                    bench.is_busy = false;
                }
                self.begin_next(run);
            }
        }
        done
    }

    fn begin_next(&mut self, run: RunId) {
        let Some(bench) = self.benches.get_mut(&run).filter(|bench| !bench.is_busy) else { return };
        let Some(wish) = bench.wishes.pop_front() else { return };
        bench.is_busy = true;
        let (served, store, faults) =
            (Arc::clone(&bench.served), Arc::clone(&self.store), Arc::clone(&self.faults));
        self.going_on.spawn_blocking(move || {
            Done::Answered(run, served.answer(&store, wish, &mut |moment| faults.pass(moment)))
        });
    }
}
