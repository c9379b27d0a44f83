//! Keeps the view that others read up to date: at once for what matters, now and then for the rest.

use std::collections::BTreeMap;

use common::id::RunId;
use common::units::{Millis, Timestamp};
use tokio::sync::watch;

use crate::engine::{End, Engine};
use crate::round::RoundRecord;
use crate::view::{RoundView, RunStatus, RunView, View, WhichRun};

/// While a round goes on, its details are shown at most this often.
const EVERY: Millis = Millis(100);

/// The view, and when it was last refreshed.
pub(super) struct Shown {
    view: watch::Sender<View>,
    due: Timestamp,
    busy: bool,
}

impl Shown {
    pub(super) fn new(view: View) -> (Self, watch::Receiver<View>) {
        let (sender, receiver) = watch::channel(view);
        (Self { view: sender, due: Timestamp::default(), busy: false }, receiver)
    }

    /// When [`Self::refresh`] has something to show next.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        (self.busy && self.view.receiver_count() > 1).then_some(self.due)
    }

    pub(super) fn refresh(&mut self, engine: &Engine, now: Timestamp) {
        if now < self.due {
            return;
        }
        self.due = now + EVERY;
        let going_on: BTreeMap<String, RunId> = engine.running().map(|run| (run.to_string(), run)).collect();
        self.busy = !going_on.is_empty();
        self.view.send_if_modified(|view| {
            let nodes = engine.nodes();
            let mut changed = view.nodes != nodes;
            view.nodes = nodes;
            for run in &mut view.runs {
                let current = going_on.get(&run.run).and_then(|run| engine.current_round(*run, now));
                changed |= run.current != current;
                run.current = current;
            }
            changed
        });
    }

    /// A run was started or is gone on with: it is the newest.
    pub(super) fn begin(&mut self, mut run: RunView) {
        self.due = Timestamp::default();
        self.view.send_modify(|view| {
            if let Some(at) = view.runs.iter().position(|known| known.run == run.run) {
                // The bytes of its rounds are not on the disk.
                let known = view.runs.remove(at).history;
                run.history.iter_mut().zip(known).for_each(|(round, known)| round.bytes = known.bytes);
            }
            view.runs.push(run);
        });
    }

    pub(super) fn on_committed(&mut self, run: RunId, record: &RoundRecord, engine: &Engine) {
        let bytes = engine.round_bytes(run);
        let round = RoundView::of(record, Some(bytes), |node| engine.members().name(node));
        self.change(run, |run| {
            run.rounds_done = round.round;
            run.model = Some(round.model.clone());
            run.history.push(round);
        });
    }

    pub(super) fn on_extended(&mut self, run: RunId, rounds: u32) {
        self.change(run, |view| view.rounds = rounds);
    }

    pub(super) fn on_end(&mut self, run: RunId, end: &End) {
        let (status, reason) = match end {
            End::Finished(_) => (RunStatus::Finished, None),
            End::Failed(why) | End::Halted(why) => (RunStatus::Failed, Some(why.clone())),
            End::Paused => (RunStatus::Paused, None),
        };
        self.change(run, |view| (view.status, view.reason, view.current) = (status, reason, None));
    }

    /// The run that somebody means: an id, the start of one, or a name.
    pub(super) fn find(&self, wanted: &str) -> Result<RunId, WhichRun> {
        let view = self.view.borrow();
        view.run(Some(wanted))?.run.parse().map_err(|_| WhichRun::Unknown(wanted.to_owned()))
    }

    fn change(&mut self, run: RunId, change: impl FnOnce(&mut RunView)) {
        let run = run.to_string();
        self.view.send_modify(|view| {
            if let Some(view) = view.runs.iter_mut().find(|view| view.run == run) {
                change(view);
            }
        });
    }
}
