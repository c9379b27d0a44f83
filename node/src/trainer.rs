//! Training beside the driver: a thread that takes one assignment after the other.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::Duration;

use common::id::{EpochId, RunId};
use common::units::Timestamp;
use tokio::sync::mpsc;

use crate::participant::{Assignment, Trained};

/// What a node does with models. The driver knows no more of learning than this.
pub trait Trainer: Send + 'static {
    /// Trains from the assignment's model. `progress` is told percents, and breaks off when it says so.
    ///
    /// # Errors
    ///
    /// A reason for this node's operator why it cannot take part.
    fn train(
        &mut self,
        assignment: &Assignment,
        progress: &mut dyn FnMut(u8) -> ControlFlow<()>,
    ) -> Result<Trained, String>;

    /// Keeps a model for scoring.
    ///
    /// # Errors
    ///
    /// A reason for this node's operator.
    fn keep(&mut self, assignment: &Assignment) -> Result<String, String>;

    /// Looks whether a model of this node's own is better here than the one that was kept, and scores with it from then on. It takes a
    /// while, and is nobody's hurry: `progress` breaks it off, and it is begun again later. What was found out, if something was.
    ///
    /// # Errors
    ///
    /// A reason for this node's operator.
    fn choose(
        &mut self,
        _: &Assignment,
        _: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<String>, String> {
        Ok(None)
    }

    /// Does what is due now and then, when there is nothing else to do. What was done, if something was.
    ///
    /// # Errors
    ///
    /// A reason for this node's operator.
    fn idle(&mut self) -> Result<Option<String>, String> {
        Ok(None)
    }
}

/// With nothing else to do, a trainer looks this often whether something is due.
const IDLE: Duration = Duration::from_secs(10);

/// What the driver hears from the thread.
#[derive(Debug)]
pub enum Report {
    /// Training of this epoch of a run is this far, in percent.
    Progress((RunId, EpochId), u8),
    /// Training is done.
    Trained(Trained),
    /// This node cannot take part in this epoch.
    Declined((RunId, EpochId), String),
    /// A model was kept for scoring; where.
    Kept(String),
    /// A model could not be kept.
    NotKept(String),
}

enum Job {
    /// With its number.
    Train(Assignment, u64),
    Keep(Assignment),
    /// When there is nothing else to do.
    Choose(Assignment),
    /// When there was nothing to do for a while.
    Idle,
}

/// The thread. It ends when this is dropped, after the assignment it works on.
pub struct Training {
    jobs: std::sync::mpsc::Sender<Job>,
    /// How many of them wait; and one more when no others come.
    waiting: Arc<AtomicU64>,
    /// The number of the training that is wanted; any other breaks off at its next step.
    wanted: Arc<AtomicU64>,
    /// When the last step was taken, in microseconds since the Unix epoch.
    stepped: Arc<AtomicU64>,
    /// Trainings that were asked for: epochs of several runs may have one number.
    asked: u64,
}

impl Training {
    /// Starts the thread; reports come out of the receiver. `clock` tells when a step is taken.
    ///
    /// # Errors
    ///
    /// When the operating system has no thread to give.
    pub fn start(
        mut trainer: impl Trainer,
        clock: fn() -> Timestamp,
    ) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Report>)> {
        let (jobs, todo) = std::sync::mpsc::channel();
        let waiting = Arc::new(AtomicU64::new(0));
        let others = Arc::clone(&waiting);
        let (reports, heard) = mpsc::unbounded_channel();
        let wanted = Arc::new(AtomicU64::new(0));
        let stepped = Arc::new(AtomicU64::new(0));
        let (current, step) = (Arc::clone(&wanted), Arc::clone(&stepped));
        thread::Builder::new().name("training".into()).spawn(move || {
            let mut unchosen = None;
            while let Some(job) = next(&todo, &others, &mut unchosen) {
                let report = match job {
                    Job::Train(assignment, number) => {
                        let tell = |report| drop(reports.send(report));
                        let on_step = || step.store(clock().0, Ordering::Relaxed);
                        let is_wanted = || current.load(Ordering::Relaxed) == number;
                        train(&mut trainer, &assignment, is_wanted, tell, on_step)
                    }
                    Job::Keep(assignment) => {
                        let kept = keep(&mut trainer, &assignment);
                        unchosen = Some(assignment);
                        Some(kept)
                    }
                    Job::Choose(assignment) => {
                        let is_wanted = || others.load(Ordering::Relaxed) == 0;
                        let chosen = choose(&mut trainer, &assignment, is_wanted);
                        unchosen = Some(assignment).filter(|_| !is_wanted());
                        chosen
                    }
                    Job::Idle => survive(|| trainer.idle())
                        .map_or_else(|why| Some(Report::NotKept(why)), |done| done.map(Report::Kept)),
                };
                // Nobody listens any more when the driver has ended; then neither does the loop go on.
                if report.is_some_and(|report| reports.send(report).is_err()) {
                    return;
                }
            }
        })?;
        Ok((Self { jobs, waiting, wanted, stepped, asked: 0 }, heard))
    }

    /// When the trainer took its last step.
    pub fn stepped(&self) -> Timestamp {
        Timestamp(self.stepped.load(Ordering::Relaxed))
    }

    /// Trains; what was asked before is not wanted any more.
    pub fn train(&mut self, assignment: Assignment) {
        self.asked += 1;
        self.wanted.store(self.asked, Ordering::Relaxed);
        self.ask(Job::Train(assignment, self.asked));
    }

    /// Keeps a model.
    pub fn keep(&self, assignment: Assignment) {
        self.ask(Job::Keep(assignment));
    }

    fn ask(&self, job: Job) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.jobs.send(job);
    }

    /// What was asked is not wanted any more.
    pub fn cancel(&self) {
        self.wanted.store(0, Ordering::Relaxed);
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is to be done now: what was asked, and in between what can wait; nothing when nobody asks any more.
fn next(todo: &Receiver<Job>, waiting: &AtomicU64, unchosen: &mut Option<Assignment>) -> Option<Job> {
    let asked = match todo.try_recv() {
        Err(TryRecvError::Empty) => match unchosen.take() {
            Some(assignment) => return Some(Job::Choose(assignment)),
            None => match todo.recv_timeout(IDLE) {
                Err(RecvTimeoutError::Timeout) => return Some(Job::Idle),
                asked => asked.ok()?,
            },
        },
        asked => asked.ok()?,
    };
    waiting.fetch_sub(1, Ordering::Relaxed);
    Some(asked)
}

fn train(
    trainer: &mut impl Trainer,
    assignment: &Assignment,
    is_wanted: impl Fn() -> bool,
    tell: impl Fn(Report),
    on_step: impl Fn(),
) -> Option<Report> {
    let epoch = (assignment.run, assignment.epoch);
    if !is_wanted() {
        return None;
    }
    let mut told = 0;
    let mut progress = |percent: u8| {
        if !is_wanted() {
            return ControlFlow::Break(());
        }
        // A step of what is not wanted is none of the next training.
        on_step();
        if percent > told {
            told = percent;
            tell(Report::Progress(epoch, percent));
        }
        ControlFlow::Continue(())
    };
    match survive(|| trainer.train(assignment, &mut progress)) {
        Ok(trained) => Some(Report::Trained(trained)),
        Err(_) if !is_wanted() => None,
        Err(reason) => Some(Report::Declined(epoch, reason)),
    }
}

fn keep(trainer: &mut impl Trainer, assignment: &Assignment) -> Report {
    survive(|| trainer.keep(assignment)).map_or_else(Report::NotKept, Report::Kept)
}

fn choose(
    trainer: &mut impl Trainer,
    assignment: &Assignment,
    is_wanted: impl Fn() -> bool,
) -> Option<Report> {
    let mut progress = || if is_wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    match survive(|| trainer.choose(assignment, &mut progress)) {
        Ok(chosen) => chosen.map(Report::Kept),
        Err(_) if !is_wanted() => None,
        Err(reason) => Some(Report::NotKept(reason)),
    }
}

/// A trainer that panics has failed this assignment; the node tells its coordinator so, and goes on.
fn survive<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the trainer panicked; the lines above say where".to_owned()))
}

#[cfg(test)]
mod tests {
    use common::id::{RoundId, RunId};
    use common::message::model::Plan;
    use common::model::ParameterVector;

    use super::*;

    /// Panics at the first assignment, trains at the second.
    struct Shaky(bool, Option<EpochId>);

    impl Trainer for Shaky {
        fn train(
            &mut self,
            assignment: &Assignment,
            progress: &mut dyn FnMut(u8) -> ControlFlow<()>,
        ) -> Result<Trained, String> {
            assert!(std::mem::replace(&mut self.0, true), "as asked");
            let _ = progress(50);
            self.1 = Some(assignment.epoch);
            let parameters = (*assignment.model).clone();
            let Assignment { run, epoch, .. } = *assignment;
            Ok(Trained { run, epoch, parameters, samples: 1, steps: 1, loss: 0.0, control: None })
        }

        fn keep(&mut self, _: &Assignment) -> Result<String, String> {
            Ok("kept".to_owned())
        }

        /// Until something was trained it goes on for ever.
        fn choose(
            &mut self,
            _: &Assignment,
            progress: &mut dyn FnMut() -> ControlFlow<()>,
        ) -> Result<Option<String>, String> {
            while self.1.is_none() {
                if progress().is_break() {
                    return Err("broken off".to_owned());
                }
                thread::yield_now();
            }
            Ok(Some("chosen".to_owned()))
        }
    }

    fn assignment(epoch: u64) -> Assignment {
        let plan = Plan::flat(3, 1, 1);
        let model = ParameterVector::new(Arc::new(plan.task.schema().unwrap()), vec![0.0; 3]).unwrap();
        Assignment {
            run: RunId([1; 16]),
            round: RoundId(1),
            epoch: EpochId(epoch),
            plan: Arc::new(plan),
            model: Arc::new(model),
            control: None,
        }
    }

    #[tokio::test]
    async fn a_trainer_that_panics_is_reported_and_trains_the_next_time() {
        let (mut training, mut reports) = Training::start(Shaky(false, None), || Timestamp(77)).unwrap();
        training.train(assignment(1));
        let report = reports.recv().await.unwrap();
        assert!(
            matches!(&report, Report::Declined((_, EpochId(1)), why) if why.contains("panicked")),
            "{report:?}"
        );
        assert_eq!(training.stepped(), Timestamp(0));
        training.train(assignment(2));
        assert!(matches!(reports.recv().await.unwrap(), Report::Progress((_, EpochId(2)), 50)));
        assert!(matches!(reports.recv().await.unwrap(), Report::Trained(_)));
        assert_eq!(training.stepped(), Timestamp(77));
    }

    #[tokio::test]
    async fn a_choice_makes_room_for_what_is_asked_and_is_made_when_there_is_nothing_else() {
        let (mut training, mut reports) = Training::start(Shaky(true, None), || Timestamp(77)).unwrap();
        training.keep(assignment(1));
        assert!(matches!(reports.recv().await.unwrap(), Report::Kept(what) if what == "kept"));
        training.train(assignment(2));
        assert!(matches!(reports.recv().await.unwrap(), Report::Progress((_, EpochId(2)), 50)));
        assert!(matches!(reports.recv().await.unwrap(), Report::Trained(_)));
        assert!(matches!(reports.recv().await.unwrap(), Report::Kept(what) if what == "chosen"));
    }
}
