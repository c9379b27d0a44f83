//! What the state holds of one run.

use std::fmt;
use std::num::NonZeroU32;

use common::id::{EpochId, ModelHash, RoundId, RunId};
use common::limits::NAME_BYTES_MAX;
use common::message::event::Reason;
use common::units::Timestamp;
use common::wire::{Fault, Input, Text, Wire, WireError};

use super::StoreError;
use crate::round::Checkpoint;

/// A run's name for people.
pub type RunName = Text<NAME_BYTES_MAX>;

/// What a client calls a start, so that asking again does not start another run.
pub type StartKey = Text<NAME_BYTES_MAX>;

/// A run to be stored. Its first model is stored before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Its id.
    pub run: RunId,
    /// Its name for people.
    pub name: RunName,
    /// The text of its configuration.
    pub config: String,
    /// Rounds to do.
    pub rounds: u32,
    /// The model that its first round starts from.
    pub model: ModelHash,
    /// When it was started.
    pub created: Timestamp,
    /// By which key it is found again, if any.
    pub key: Option<StartKey>,
}

/// How a stored run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// Its id.
    pub run: RunId,
    /// Its name for people.
    pub name: RunName,
    /// When it was started.
    pub created: Timestamp,
    /// Rounds to do.
    pub rounds: u32,
    /// Rounds committed.
    pub rounds_done: RoundId,
    /// What the newest round left behind.
    pub checkpoint: Checkpoint,
    /// Every epoch before this one may have been announced.
    pub epochs_end: EpochId,
    /// Whether it goes on.
    pub status: RunStatus,
}

/// Whether a run goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// It does, as soon as a coordinator serves it.
    Running,
    /// All rounds are committed.
    Finished,
    /// It ended early, and why.
    Failed(Reason),
    /// It goes on when an operator resumes it.
    Paused,
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("going on"),
            Self::Finished => f.write_str("finished"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Paused => f.write_str("paused"),
        }
    }
}

/// What an operator does with a run that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Stop working on it until it is resumed; a restart does not go on with it.
    Pause,
    /// Go on with it.
    Resume,
    /// End it for good, and why.
    Stop(Reason),
    /// Add so many rounds; one that is finished goes on.
    Extend(NonZeroU32),
}

impl Turn {
    /// What is done with the run, and how it has to stand.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Pause => ("paused", "going on"),
            Self::Resume => ("resumed", "paused"),
            Self::Stop(_) => ("stopped", "going on or paused"),
            Self::Extend(_) => ("extended", "going on, paused or finished"),
        }
    }
}

impl RunEntry {
    /// The run after this was done with it.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherStatus`] when it does not stand so that this could be done.
    pub fn turned(&self, turn: &Turn) -> Result<Self, StoreError> {
        use RunStatus::{Failed, Finished, Paused, Running};
        let status = match (turn, &self.status) {
            (Turn::Resume, Paused) | (Turn::Extend(_), Running | Finished) => Running,
            (Turn::Stop(why), Running | Paused) => Failed(why.clone()),
            (Turn::Pause, Running) | (Turn::Extend(_), Paused) => Paused,
            (_, status) => {
                let ((done, wanted), status) = (turn.words(), status.clone());
                return Err(StoreError::OtherStatus { run: self.run, status, wanted, done });
            }
        };
        let more = if let Turn::Extend(more) = turn { more.get() } else { 0 };
        Ok(Self { status, rounds: self.rounds.saturating_add(more), ..self.clone() })
    }
}

common::wire_fields!(RunEntry { run, name, created, rounds, rounds_done, checkpoint, epochs_end, status });

impl Wire for RunStatus {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Running => out.push(1),
            Self::Finished => out.push(2),
            Self::Failed(reason) => {
                out.push(3);
                reason.put(out);
            }
            Self::Paused => out.push(4),
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            1 => Ok(Self::Running),
            2 => Ok(Self::Finished),
            3 => Wire::take(input).map(Self::Failed),
            4 => Ok(Self::Paused),
            tag => Err(input.error(Fault::Unknown(u64::from(tag)))),
        }
    }
}
