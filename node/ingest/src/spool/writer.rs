//! The one thread that writes: it takes all that waits, commits it, and answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::log::Log;
use super::tenant::Shared;
use super::{Entry, Position, Refusal};
use crate::limits::{COMMIT_BYTES_MAX, PENDING_ENTRIES_MAX};

/// An entry and who waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) entry: Entry,
    pub(super) answer: oneshot::Sender<Result<Position, Refusal>>,
}

/// The thread; it ends, with everything written, when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<SyncSender<Pending>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(log: Log, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (queue, waiting) = sync_channel(PENDING_ENTRIES_MAX);
        let run = move || run(log, &waiting, &shared);
        let thread = thread::Builder::new().name("spool".into()).spawn(run)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn push(&self, pending: Pending) -> Result<(), Refusal> {
        let queue = self.queue.as_ref().ok_or(Refusal::Closing)?;
        queue.try_send(pending).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Busy { waiting: PENDING_ENTRIES_MAX, unit: "entries" },
            TrySendError::Disconnected(_) => Refusal::Closing,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has told so on stderr.
            let _ = thread.join();
        }
    }
}

fn run(mut log: Log, waiting: &Receiver<Pending>, shared: &Shared) {
    while let Ok(first) = waiting.recv() {
        let mut bytes = first.entry.body.len();
        let mut batch = vec![first];
        while bytes < COMMIT_BYTES_MAX
            && let Ok(next) = waiting.try_recv()
        {
            bytes += next.entry.body.len();
            batch.push(next);
        }
        let released = shared.cursors.released();
        let results = log.commit(batch.iter().map(|pending| &pending.entry), released);
        shared.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
        for (pending, result) in batch.into_iter().zip(results) {
            // Who waited may have hung up; then it sends the entry again.
            let _ = pending.answer.send(result);
        }
    }
}
