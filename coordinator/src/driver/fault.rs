//! Fault points: the moments of a run at which a kill leaves another state behind, counted as they come.
//!
//! `coordinator serve --halt-at N` stands still at the N-th of them, so that a test can kill it there (SIGKILL) and see
//! that the run ends as if nothing had happened.

/// Counts the moments; stands still at one of them.
#[derive(Debug)]
pub(super) struct FaultPoints {
    passed: u64,
    halt_at: Option<u64>,
}

impl FaultPoints {
    /// Stands still at this one, counted from 1; at none when there is none.
    pub(super) fn new(halt_at: Option<u64>) -> Self {
        Self { passed: 0, halt_at }
    }

    /// Those that have come.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// One more moment.
    pub(super) fn pass(&mut self, moment: &str) {
        self.passed += 1;
        if self.halt_at == Some(self.passed) {
            tracing::warn!(moment, "halted at fault point {}", self.passed);
            loop {
                std::thread::park();
            }
        }
    }
}
