//! The sender's side: what to send next, and to whom.

use std::collections::BTreeMap;

use super::{Gaps, LAG, PROBE, PROBE_MAX, REPEAT};
use crate::id::NodeId;
use crate::units::{Millis, Timestamp};

/// A blob on its way to one or more readers.
///
/// Fresh chunks go out once, in order, while no reader that keeps up is further behind than its
/// window. What a reader misses is sent to it alone. A reader that falls silent for [`LAG`] stops
/// holding the others back, and catches up by repairs when it speaks again. One that stays silent after
/// the last chunk is sent that chunk again now and then: its last receipt may have been lost.
#[derive(Debug)]
pub struct Outgoing {
    chunks: u32,
    cursor: u32,
    readers: BTreeMap<NodeId, Progress>,
    /// The reader whose repairs were served last, so that all take turns.
    served: Option<NodeId>,
    /// When a window last opened or a chunk last went out; readers are late only after it.
    moved: Timestamp,
}

/// One chunk to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// To every reader at once.
    ToAll(u32),
    /// To this one.
    To(NodeId, u32),
}

#[derive(Debug)]
struct Progress {
    window: u32,
    front: u32,
    heard: Timestamp,
    complete: bool,
    repairs: Vec<u32>,
    sent: BTreeMap<u32, Timestamp>,
    probe: Timestamp,
    probe_after: Millis,
}

impl Outgoing {
    /// A transfer of `chunks` chunks; each reader lets `window` of them be unconfirmed at first.
    /// An upload starts with a window of zero: the receiver's grant opens it.
    pub fn new(chunks: u32, readers: impl IntoIterator<Item = NodeId>, window: u32, now: Timestamp) -> Self {
        let progress = || Progress {
            window,
            front: 0,
            heard: now,
            complete: false,
            repairs: Vec::new(),
            sent: BTreeMap::new(),
            probe: now + PROBE,
            probe_after: PROBE,
        };
        let readers = readers.into_iter().map(|reader| (reader, progress())).collect();
        Self { chunks, cursor: 0, readers, served: None, moved: now }
    }

    /// Takes what a reader says it has. Readers that are not of this transfer are ignored.
    ///
    /// `stalled` says that it waits in vain: then chunks behind its front that were sent are lost too.
    pub fn on_receipt(&mut self, reader: NodeId, gaps: &Gaps, stalled: bool, window: u32, now: Timestamp) {
        let (cursor, chunks) = (self.cursor, self.chunks);
        let Some(progress) = self.readers.get_mut(&reader) else { return };
        progress.heard = now;
        progress.probe_after = PROBE;
        progress.probe = now + PROBE;
        progress.window = window;
        progress.front = gaps.front.min(chunks);
        let behind = if stalled { progress.front..cursor } else { 0..0 };
        // Gaps are in order; whoever names four billion chunks is heard no longer than for those that were sent.
        let lost = gaps.missing().take_while(|&index| index < cursor).chain(behind);
        progress.repairs = lost
            .filter(|index| progress.sent.get(index).is_none_or(|&sent| now >= sent + REPEAT))
            .take(window as usize)
            .collect();
        progress.repairs.reverse();
        progress.sent.retain(|_, sent| now < *sent + REPEAT);
        self.moved = self.moved.max(now);
    }

    /// A reader has everything.
    pub fn on_complete(&mut self, reader: NodeId) {
        if let Some(progress) = self.readers.get_mut(&reader) {
            progress.complete = true;
            progress.repairs = Vec::new();
        }
    }

    /// A reader left: it holds nothing back any more.
    pub fn remove(&mut self, reader: NodeId) {
        self.readers.remove(&reader);
    }

    /// Whether every reader has everything.
    pub fn is_complete(&self) -> bool {
        self.readers.values().all(|progress| progress.complete)
    }

    /// The next chunk to send at `now`; `None` until a receipt or [`Self::next_wake`].
    pub fn next(&mut self, now: Timestamp) -> Option<Send> {
        if let Some(repair) = self.next_repair(now) {
            return Some(repair);
        }
        let open = self.readers.values().any(|progress| progress.window > 0);
        if self.cursor == self.chunks {
            return self.next_probe(now);
        }
        if !open || !self.window_open(now) {
            return None;
        }
        let index = self.cursor;
        self.cursor += 1;
        self.moved = now;
        match self.readers.first_key_value() {
            Some((&only, _)) if self.readers.len() == 1 => Some(Send::To(only, index)),
            _ => Some(Send::ToAll(index)),
        }
    }

    /// When there may be something to send without a receipt: to go on without a reader that lags, or
    /// to ask a silent one.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let mut open = self.readers.values().filter(|progress| !progress.complete && progress.window > 0);
        if self.cursor == self.chunks {
            open.map(|progress| progress.probe).min()
        } else {
            open.next().map(|_| self.moved + LAG)
        }
    }

    fn next_probe(&mut self, now: Timestamp) -> Option<Send> {
        let silent = |progress: &Progress| !progress.complete && progress.window > 0 && now >= progress.probe;
        let (reader, progress) = self.readers.iter_mut().find(|(_, progress)| silent(progress))?;
        progress.probe_after = Millis(progress.probe_after.0 * 2).min(PROBE_MAX);
        progress.probe = now + progress.probe_after;
        Some(Send::To(*reader, self.chunks - 1))
    }

    fn window_open(&self, now: Timestamp) -> bool {
        let mut keeping_up = self.readers.values().filter(|progress| !progress.complete);
        keeping_up.all(|progress| {
            let unconfirmed = self.cursor.saturating_sub(progress.front);
            let silent = now >= progress.heard.max(self.moved) + LAG && self.readers.len() > 1;
            unconfirmed < progress.window || silent
        })
    }

    fn next_repair(&mut self, now: Timestamp) -> Option<Send> {
        let needs = |(_, progress): &(&NodeId, &mut Progress)| !progress.repairs.is_empty();
        let served = self.served.unwrap_or_default();
        let after = (std::ops::Bound::Excluded(served), std::ops::Bound::Unbounded);
        let reader = match self.readers.range_mut(after).find(needs) {
            Some((reader, _)) => *reader,
            None => *self.readers.iter_mut().find(needs)?.0,
        };
        self.served = Some(reader);
        let progress = self.readers.get_mut(&reader)?;
        let index = progress.repairs.pop()?;
        progress.sent.insert(index, now);
        Some(Send::To(reader, index))
    }
}

#[cfg(test)]
mod tests;
