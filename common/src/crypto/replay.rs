//! Each message takes effect once: the rule, as plain state.
//!
//! A message is taken for the current epoch, or for the one before until its deadline, and only when
//! its sequence number is above the last one taken from its sender in that epoch. Ask after the
//! signature is verified, and make the [`Mark`] (or the whole guard) durable before the message takes
//! effect: a crash between the two costs one message, never a message twice.

use std::collections::BTreeMap;

use crate::id::{EpochId, NodeId};
use crate::limits::COHORT_MAX;
use crate::units::Timestamp;
use crate::wire::{Fault, Input, List, Wire, WireError};
use crate::wire_fields;

/// Senders of one epoch: a full cohort and the coordinator. Bounds the guard's memory.
const SENDERS_MAX: usize = COHORT_MAX + 1;

/// What has been taken so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayGuard {
    current: Window,
    previous: Option<Closing>,
}

/// That a sender's messages of an epoch are taken up to this number. What has to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Who sent.
    pub sender: NodeId,
    /// In which epoch.
    pub epoch: EpochId,
    /// The highest sequence number taken.
    pub seq: u64,
}

wire_fields!(Mark { sender, epoch, seq });

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Of an epoch that is over, or has not begun here.
    #[error("of epoch {epoch}, while epoch {current} is current")]
    WrongEpoch {
        /// The message's epoch.
        epoch: EpochId,
        /// The current epoch.
        current: EpochId,
    },
    /// Of the epoch before, after its deadline.
    #[error("of epoch {epoch}, whose deadline has passed")]
    TooLate {
        /// The message's epoch.
        epoch: EpochId,
    },
    /// Taken before, or overtaken by a later message of the same sender.
    #[error("number {seq} of {sender:?}, who is at {mark}")]
    Replayed {
        /// Who sent.
        sender: NodeId,
        /// The message's sequence number.
        seq: u64,
        /// The highest number taken.
        mark: u64,
    },
    /// More senders in one epoch than a cohort has.
    #[error("more than {SENDERS_MAX} senders in epoch {epoch}")]
    TooManySenders {
        /// The message's epoch.
        epoch: EpochId,
    },
}

/// The marks of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Window {
    epoch: EpochId,
    marks: BTreeMap<NodeId, u64>,
}

/// The epoch before, until its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Closing {
    window: Window,
    until: Timestamp,
}

impl ReplayGuard {
    /// Nothing taken yet.
    pub fn new(current: EpochId) -> Self {
        Self { current: Window { epoch: current, marks: BTreeMap::new() }, previous: None }
    }

    /// The current epoch.
    pub fn epoch(&self) -> EpochId {
        self.current.epoch
    }

    /// Goes on to a later epoch. Messages of the one that was current are taken until `until`, those of
    /// the one before it no longer.
    ///
    /// # Errors
    ///
    /// [`ReplayError::WrongEpoch`] when `epoch` is not later; the guard stays as it was.
    pub fn advance(&mut self, epoch: EpochId, until: Timestamp) -> Result<(), ReplayError> {
        let current = self.current.epoch;
        if epoch <= current {
            return Err(ReplayError::WrongEpoch { epoch, current });
        }
        let window = std::mem::replace(&mut self.current, Window { epoch, marks: BTreeMap::new() });
        self.previous = Some(Closing { window, until });
        Ok(())
    }

    /// Takes message `seq` of `sender`, once.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] says why not; the guard stays as it was.
    pub fn accept(
        &mut self,
        sender: NodeId,
        epoch: EpochId,
        seq: u64,
        now: Timestamp,
    ) -> Result<Mark, ReplayError> {
        let current = self.current.epoch;
        let window = match &mut self.previous {
            _ if epoch == current => &mut self.current,
            Some(closing) if epoch == closing.window.epoch => {
                if now >= closing.until {
                    return Err(ReplayError::TooLate { epoch });
                }
                &mut closing.window
            }
            _ => return Err(ReplayError::WrongEpoch { epoch, current }),
        };
        window.accept(sender, seq)
    }

    /// Notes a mark that was made durable earlier, while a driver restores its state. A mark of an epoch
    /// that is over changes nothing.
    pub fn restore(&mut self, mark: Mark) {
        let previous = self.previous.as_mut().map(|closing| &mut closing.window);
        for window in [Some(&mut self.current), previous].into_iter().flatten() {
            if window.epoch == mark.epoch {
                // Refused only when the guard knows as much or more.
                let _ = window.accept(mark.sender, mark.seq);
            }
        }
    }
}

impl Window {
    fn accept(&mut self, sender: NodeId, seq: u64) -> Result<Mark, ReplayError> {
        let epoch = self.epoch;
        // A sender's numbers begin with 1, so that "none yet" needs no case of its own.
        let mark = self.marks.get(&sender).copied().unwrap_or(0);
        if seq <= mark {
            return Err(ReplayError::Replayed { sender, seq, mark });
        }
        if self.marks.len() >= SENDERS_MAX && mark == 0 {
            return Err(ReplayError::TooManySenders { epoch });
        }
        self.marks.insert(sender, seq);
        Ok(Mark { sender, epoch, seq })
    }
}

/// One sender of a window, as it is stored.
struct Entry {
    sender: NodeId,
    seq: u64,
}

wire_fields!(Entry { sender, seq });

impl Wire for Window {
    fn put(&self, out: &mut Vec<u8>) {
        let entries: Vec<Entry> =
            self.marks.iter().map(|(sender, seq)| Entry { sender: *sender, seq: *seq }).collect();
        self.epoch.put(out);
        List::<Entry, SENDERS_MAX>::try_from(entries).expect("a window takes no more senders").put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let epoch = Wire::take(input)?;
        let entries = List::<Entry, SENDERS_MAX>::take(input)?.into_vec();
        if !entries.is_sorted_by(|a, b| a.sender < b.sender) || entries.iter().any(|entry| entry.seq == 0) {
            return Err(input.error(Fault::Invalid("marks out of order")));
        }
        Ok(Self { epoch, marks: entries.into_iter().map(|entry| (entry.sender, entry.seq)).collect() })
    }
}

wire_fields!(Closing { window, until });
wire_fields!(ReplayGuard { current, previous });

#[cfg(test)]
mod tests;
