//! How many runs go on at once, and how much memory they may take together.
//!
//! What a run takes is told from its parameters and its strategy before it begins: so one that does not fit is refused,
//! and those that go on are not killed for it.

use common::id::RunId;
use common::units::ByteCount;

use crate::strategy::{Combine, Strategy};

/// What a run takes beside its vectors: keys, records, and what is known of each node.
const SMALL_BYTES: u64 = 1_000_000;

/// What all runs together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Runs that go on at once.
    pub at_once: u32,
    /// Memory of them all, by [`need`].
    pub memory: ByteCount,
}

/// A run that goes on, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub run: RunId,
    /// Its name for people.
    pub name: String,
    /// By [`need`].
    pub memory: ByteCount,
}

/// A run that has to wait for room, with what makes some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverQuota {
    /// As many go on as may.
    #[error(
        "as many runs go on as `runs.at_once` allows, {at_once}: pause or stop one of them ({runs}), or raise that key \
         of coordinator.toml and start the coordinator again"
    )]
    Runs {
        /// That may.
        at_once: u32,
        /// Which.
        runs: String,
    },
    /// Its vectors have no room beside those of the others.
    #[error(
        "the run takes {wanted} of memory, and of `runs.memory_mb`, {memory}, the runs that go on take {taken}: pause \
         or stop some of them ({runs}), or raise that key of coordinator.toml and start the coordinator again"
    )]
    Memory {
        /// By the run.
        wanted: ByteCount,
        /// By all together.
        memory: ByteCount,
        /// By those that go on.
        taken: ByteCount,
        /// Which.
        runs: String,
    },
    /// Its vectors have no room at all.
    #[error(
        "the run takes {wanted} of memory, more than `runs.memory_mb`, {memory}: raise that key of coordinator.toml and \
         start the coordinator again, or take a smaller model, a smaller cohort, or a strategy that keeps no updates"
    )]
    Alone {
        /// By the run.
        wanted: ByteCount,
        /// By all together.
        memory: ByteCount,
    },
}

/// Memory of a run with a model of so many parameters and cohorts of so many nodes, where it takes most.
///
/// In vectors of 4 bytes a parameter: the exact sum of a mean takes two; a robust rule keeps an update of each selected
/// node, and two more while it combines them. To that come the model, the sealed model, an update that is arriving, and
/// what the server remembers.
pub fn need(parameters: usize, selected: usize, strategy: &Strategy) -> ByteCount {
    // A control variate travels with each model and each update.
    let width = strategy.combine.vectors() as u64;
    let updates = if let Combine::Robust(_) = strategy.combine { selected as u64 + 2 } else { 2 * width };
    let vectors = updates + 2 * width + 1 + strategy.remembers() as u64;
    ByteCount(vectors * 4 * parameters as u64 + SMALL_BYTES)
}

impl Quota {
    /// Whether a run that needs so much may go on beside these.
    ///
    /// # Errors
    ///
    /// [`OverQuota`] says what there is and what makes room.
    pub fn admit(&self, going_on: &[Taken], wanted: ByteCount) -> Result<(), OverQuota> {
        let Self { at_once, memory } = *self;
        let names = |of: fn(&Taken) -> String| going_on.iter().map(of).collect::<Vec<_>>().join(", ");
        if wanted > memory {
            return Err(OverQuota::Alone { wanted, memory });
        }
        if going_on.len() >= at_once as usize {
            let runs = names(Taken::title);
            return Err(OverQuota::Runs { at_once, runs });
        }
        let taken = ByteCount(going_on.iter().map(|run| run.memory.0).sum());
        if taken.0 + wanted.0 > memory.0 {
            let runs = names(|run| format!("{} with {}", run.title(), run.memory));
            return Err(OverQuota::Memory { wanted, memory, taken, runs });
        }
        Ok(())
    }
}

impl Taken {
    fn title(&self) -> String {
        format!("{} {}", self.name, &self.run.to_string()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::{Robust, SecondMoment, Server};

    const QUOTA: Quota = Quota { at_once: 2, memory: ByteCount(100_000_000) };

    fn taken(byte: u8, memory: u64) -> Taken {
        Taken { run: RunId([byte; 16]), name: format!("run-{byte}"), memory: ByteCount(memory) }
    }

    #[test]
    fn a_run_takes_more_with_the_cohort_only_where_updates_are_kept() {
        let vector = 4_000_000;
        let vectors = |strategy: &Strategy, selected| {
            (need(1_000_000, selected, strategy).0 - SMALL_BYTES).checked_div(vector)
        };
        assert_eq!([1, 100].map(|selected| vectors(&Strategy::FEDAVG, selected)), [Some(5); 2]);
        let median = Strategy { combine: Combine::Robust(Robust::Median), ..Strategy::FEDAVG };
        assert_eq!([1, 100].map(|selected| vectors(&median, selected)), [Some(6), Some(105)]);
        let rule = SecondMoment::Adam { beta_2: 0.99 };
        let server = Server::Adaptive { rule, learning_rate: 0.1, beta_1: 0.9, tau: 0.01 };
        assert_eq!(vectors(&Strategy { server, ..Strategy::FEDAVG }, 1), Some(7));
    }

    #[test]
    fn a_run_without_room_is_refused_with_the_numbers_and_what_makes_room() {
        assert_eq!(QUOTA.admit(&[taken(1, 60_000_000)], ByteCount(40_000_000)), Ok(()));
        let refused = |going_on: &[Taken], wanted| QUOTA.admit(going_on, wanted).unwrap_err().to_string();
        let many = refused(&[taken(1, 1), taken(2, 1)], ByteCount(1));
        assert!(many.starts_with("as many runs go on as `runs.at_once` allows, 2: pause or stop"), "{many}");
        assert!(many.contains("(run-1 01010101, run-2 02020202)"), "{many}");
        let full = refused(&[taken(1, 60_000_000)], ByteCount(50_000_000));
        assert!(
            full.contains("takes 50.0 MB") && full.contains("100.0 MB, the runs that go on take 60.0 MB"),
            "{full}"
        );
        assert!(full.contains("(run-1 01010101 with 60.0 MB)"), "{full}");
        let large = refused(&[], ByteCount(200_000_000));
        assert!(large.contains("more than `runs.memory_mb`, 100.0 MB: raise that key"), "{large}");
    }
}
