//! Training beside the driver: a thread that takes one assignment after the other.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::id::EpochId;
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
}

/// What the driver hears from the thread.
#[derive(Debug)]
pub enum Report {
    /// Training of this epoch is this far, in percent.
    Progress(EpochId, u8),
    /// Training is done.
    Trained(Trained),
    /// This node cannot take part in this epoch.
    Declined(EpochId, String),
    /// A model was kept for scoring; where.
    Kept(String),
    /// A model could not be kept.
    NotKept(String),
}

enum Job {
    Train(Assignment),
    Keep(Assignment),
}

/// The thread. It ends when this is dropped, after the assignment it works on.
pub struct Training {
    jobs: std::sync::mpsc::Sender<Job>,
    /// The epoch whose training is wanted; any other breaks off at its next step.
    wanted: Arc<AtomicU64>,
}

impl Training {
    /// Starts the thread; reports come out of the receiver.
    ///
    /// # Errors
    ///
    /// When the operating system has no thread to give.
    pub fn start(mut trainer: impl Trainer) -> std::io::Result<(Self, mpsc::UnboundedReceiver<Report>)> {
        let (jobs, todo) = std::sync::mpsc::channel::<Job>();
        let (reports, heard) = mpsc::unbounded_channel();
        let wanted = Arc::new(AtomicU64::new(0));
        let current = Arc::clone(&wanted);
        thread::Builder::new().name("training".into()).spawn(move || {
            for job in todo {
                let report = match job {
                    Job::Train(assignment) => train(&mut trainer, &assignment, &current, &reports),
                    Job::Keep(assignment) => {
                        Some(trainer.keep(&assignment).map_or_else(Report::NotKept, Report::Kept))
                    }
                };
                // Nobody listens any more when the driver has ended; then neither does the loop go on.
                if report.is_some_and(|report| reports.send(report).is_err()) {
                    return;
                }
            }
        })?;
        Ok((Self { jobs, wanted }, heard))
    }

    /// Trains; what was asked before is not wanted any more.
    pub fn train(&self, assignment: Assignment) {
        self.wanted.store(assignment.epoch.0, Ordering::Relaxed);
        let _ = self.jobs.send(Job::Train(assignment));
    }

    /// Keeps a model.
    pub fn keep(&self, assignment: Assignment) {
        let _ = self.jobs.send(Job::Keep(assignment));
    }

    /// What was asked is not wanted any more.
    pub fn cancel(&self) {
        self.wanted.store(0, Ordering::Relaxed);
    }
}

fn train(
    trainer: &mut impl Trainer,
    assignment: &Assignment,
    wanted: &AtomicU64,
    reports: &mpsc::UnboundedSender<Report>,
) -> Option<Report> {
    let epoch = assignment.epoch;
    let is_wanted = || wanted.load(Ordering::Relaxed) == epoch.0;
    if !is_wanted() {
        return None;
    }
    let mut told = 0;
    let mut progress = |percent: u8| {
        if percent > told {
            told = percent;
            let _ = reports.send(Report::Progress(epoch, percent));
        }
        if is_wanted() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    match trainer.train(assignment, &mut progress) {
        Ok(trained) => Some(Report::Trained(trained)),
        Err(_) if !is_wanted() => None,
        Err(reason) => Some(Report::Declined(epoch, reason)),
    }
}
