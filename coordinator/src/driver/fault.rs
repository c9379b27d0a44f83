//! Fault points: the moments of a run at which a kill leaves another state behind, counted as they come.
//!
//! `coordinator serve --halt-at N` stands still at the N-th of them, so that a test can kill it there (SIGKILL) and see
//! that the run ends as if nothing had happened.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts the moments; stands still at one of them.
#[derive(Debug)]
pub(super) struct FaultPoints {
    /// Kept by who stands still, so that everybody else does too.
    passed: Mutex<u64>,
    halt_at: Option<u64>,
}

impl FaultPoints {
    /// Stands still at this one, counted from 1; at none when there is none.
    pub(super) fn new(halt_at: Option<u64>) -> Self {
        Self { passed: Mutex::new(0), halt_at }
    }

    /// Those that have come. Not answered any more once somebody stands still.
    pub(super) fn passed(&self) -> u64 {
        *self.lock()
    }

    /// One more moment.
    pub(super) fn pass(&self, moment: &str) {
        let mut passed = self.lock();
        *passed += 1;
        if self.halt_at == Some(*passed) {
            tracing::warn!(moment, "halted at fault point {passed}");
            loop {
                std::thread::park();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
