//! What a listener could neither take nor refuse: counted, and told now and then.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How often losses are told at most: a flood of messages is no flood of lines.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Messages that were lost since it was told last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{messages} messages were lost, the latest of {latest}")]
pub struct Lost {
    /// How many.
    pub messages: u64,
    /// The peer of the latest, and why it was lost.
    pub latest: String,
}

/// Whom to tell.
#[derive(Clone, Copy, Debug)]
pub struct Report(pub fn(&Lost));

/// The losses of one listener.
#[derive(Debug)]
pub(super) struct Losses {
    report: Report,
    untold: Mutex<Option<Lost>>,
}

impl Losses {
    pub(super) fn new(report: Report) -> Self {
        Self { report, untold: Mutex::new(None) }
    }

    pub(super) fn add(&self, messages: u64, peer: &impl Display, reason: &impl Display) {
        let latest = format!("{peer}: {reason}");
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let before = untold.as_ref().map_or(0, |lost| lost.messages);
        *untold = Some(Lost { messages: before + messages, latest });
    }

    /// Tells what is not told yet.
    pub(super) fn tell(&self) {
        let untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lost) = untold {
            (self.report.0)(&lost);
        }
    }

    /// Tells now and then, until `stop` turns true.
    pub(super) async fn tell_until(&self, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tell(),
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}
