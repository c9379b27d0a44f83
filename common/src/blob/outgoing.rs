//! The sender's side: what to send next, and to whom.

use std::collections::BTreeMap;

use super::sent::{Again, Newest, RoundTrip, Sent, Way};
use super::{Gaps, HOLD, LAG, PROBE, PROBE_MAX, STALL_MAX, Standing};
use crate::id::NodeId;
use crate::units::{Millis, Timestamp};

/// A blob on its way to one or more readers.
///
/// Fresh chunks go out once, in order, while no reader that keeps up is further behind than its
/// window. A chunk is lost to a reader when one that was sent later has arrived there. When a reader stalls and
/// nothing is known to be lost, what was sent last is tried again: it may have been late, or all is lost that was sent
/// before (the tail loss probe of RFC 8985, section 7). What a reader lost is sent to it alone; what many lost, to
/// all at once. A reader that falls silent for [`LAG`] stops holding the others back, and catches up by repairs
/// when it speaks again. One that stays silent after the last chunk is sent that chunk again now and then:
/// its last receipt may have been lost.
#[derive(Debug)]
pub struct Outgoing {
    chunks: u32,
    /// When each chunk went out first; as many as did so far.
    sent: Vec<Sent>,
    /// Chunks sent so far, repeated ones too.
    count: u64,
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
    gaps: Gaps,
    heard: Timestamp,
    complete: bool,
    /// What it lost, and since when that is known.
    repairs: BTreeMap<u32, Timestamp>,
    /// What went out again that this reader has not confirmed.
    again: BTreeMap<u32, Again>,
    newest: Newest,
    trip: RoundTrip,
    /// Chunks to send again that are not known to be lost.
    tries: Vec<u32>,
    /// How many are tried when it stalls next: doubled each time, halved when something new has arrived.
    tries_next: u32,
    /// When that may be.
    try_at: Timestamp,
    probe: Timestamp,
    probe_after: Millis,
}

impl Outgoing {
    /// A transfer of `chunks` chunks; each reader lets `window` of them be unconfirmed at first.
    /// An upload starts with a window of zero: the receiver's grant opens it.
    pub fn new(chunks: u32, readers: impl IntoIterator<Item = NodeId>, window: u32, now: Timestamp) -> Self {
        let readers = readers.into_iter().map(|reader| (reader, Progress::new(window, now))).collect();
        Self { chunks, sent: Vec::new(), count: 0, readers, served: None, moved: now }
    }

    /// Takes what a reader says it has. Readers that are not of this transfer are ignored.
    pub fn on_receipt(&mut self, reader: NodeId, standing: &Standing, now: Timestamp) {
        let Some(progress) = self.readers.get_mut(&reader) else { return };
        progress.take(standing, &self.sent, now);
        self.moved = self.moved.max(now);
    }

    /// A reader has everything.
    pub fn on_complete(&mut self, reader: NodeId) {
        if let Some(progress) = self.readers.get_mut(&reader) {
            progress.complete = true;
            progress.repairs.clear();
            progress.again.clear();
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
        if self.cursor() < self.chunks && self.window_open(now) {
            return Some(self.fresh(now));
        }
        self.next_repair(now).or_else(|| self.next_try()).or_else(|| self.next_probe(now))
    }

    /// When there may be something to send without a receipt: to go on without a reader that lags, or
    /// to ask a silent one.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let held = self.readers.values().filter_map(|progress| progress.repairs.values().min()).min();
        let held = held.map(|since| *since + HOLD);
        let open = self.readers.values().filter(|progress| !progress.complete && progress.window > 0);
        if self.cursor() == self.chunks {
            return open.map(|progress| progress.probe).chain(held).min();
        }
        // An only reader is never left behind: what it says next moves the window.
        let many = self.readers.len() > 1;
        open.filter(|progress| many && progress.is_full(self.cursor()))
            .map(|progress| self.moved + progress.lag())
            .chain(held)
            .min()
    }

    fn cursor(&self) -> u32 {
        self.sent.len() as u32
    }

    fn note(&mut self, way: Way, now: Timestamp) -> Sent {
        self.count += 1;
        Sent { number: self.count, at: now, way }
    }

    fn fresh(&mut self, now: Timestamp) -> Send {
        let index = self.cursor();
        self.moved = now;
        // All chunks of an only reader are directed: to it they all come the same way.
        let only = if self.readers.len() == 1 { self.readers.keys().next().copied() } else { None };
        let sent = self.note(only.map_or(Way::All, |_| Way::One), now);
        self.sent.push(sent);
        only.map_or(Send::ToAll(index), |only| Send::To(only, index))
    }

    fn window_open(&self, now: Timestamp) -> bool {
        if self.readers.values().all(|progress| progress.window == 0) {
            return false;
        }
        let mut behind = self.readers.values().filter(|progress| !progress.complete);
        behind.all(|progress| {
            let silent = now >= self.moved + progress.lag() && self.readers.len() > 1;
            !progress.is_full(self.cursor()) || silent
        })
    }

    fn next_repair(&mut self, now: Timestamp) -> Option<Send> {
        let ripe = |(_, progress): &(&NodeId, &Progress)| {
            progress.repairs.first_key_value().is_some_and(|(index, since)| self.is_ripe(*index, *since, now))
        };
        let served = self.served.unwrap_or_default();
        let after = (std::ops::Bound::Excluded(served), std::ops::Bound::Unbounded);
        let reader = match self.readers.range(after).find(ripe) {
            Some((reader, _)) => *reader,
            None => *self.readers.iter().find(ripe)?.0,
        };
        self.served = Some(reader);
        let index = *self.readers.get(&reader)?.repairs.first_key_value()?.0;
        let wanting = self.readers.values().filter(|progress| progress.repairs.contains_key(&index)).count();
        let to_all = wanting >= 2 && wanting >= MANY.min(self.readers.len());
        let again = self.note(if to_all { Way::All } else { Way::One }, now);
        let first = self.sent[index as usize];
        let gets = |(node, progress): &(&NodeId, &mut Progress)| {
            if to_all { !progress.complete && !progress.gaps.tells(index) } else { **node == reader }
        };
        self.readers
            .iter_mut()
            .filter(gets)
            .for_each(|(_, progress)| progress.send_again(index, first, again));
        Some(if to_all { Send::ToAll(index) } else { Send::To(reader, index) })
    }

    /// Whether every reader has said if it has the chunk, or was given the time to.
    fn is_ripe(&self, index: u32, since: Timestamp, now: Timestamp) -> bool {
        now >= since + HOLD
            || self.readers.values().all(|progress| progress.complete || progress.gaps.front > index)
    }

    fn next_try(&mut self) -> Option<Send> {
        self.readers.iter_mut().find_map(|(reader, progress)| Some(Send::To(*reader, progress.tries.pop()?)))
    }

    fn next_probe(&mut self, now: Timestamp) -> Option<Send> {
        if self.cursor() < self.chunks {
            return None;
        }
        let silent = |progress: &Progress| !progress.complete && progress.window > 0 && now >= progress.probe;
        let (reader, progress) = self.readers.iter_mut().find(|(_, progress)| silent(progress))?;
        progress.probe_after = Millis(progress.probe_after.0 * 2).min(PROBE_MAX);
        progress.probe = now + progress.probe_after;
        Some(Send::To(*reader, self.chunks - 1))
    }
}

/// Chunks that are tried at once, at most.
const TRIES_MAX: u32 = 8;

/// Those that were sent last are looked for among so many missing ones.
const TRIES_OF: usize = 4096;

/// A chunk that so many readers lost, or all, goes to all again. For fewer it would cost the others more work in
/// vain than it saves the sender.
const MANY: usize = 4;

impl Progress {
    fn new(window: u32, now: Timestamp) -> Self {
        Self {
            window,
            gaps: Gaps::default(),
            heard: now,
            complete: false,
            repairs: BTreeMap::new(),
            again: BTreeMap::new(),
            newest: Newest::default(),
            trip: RoundTrip::default(),
            tries: Vec::new(),
            tries_next: 1,
            try_at: now,
            probe: now + PROBE,
            probe_after: PROBE,
        }
    }

    fn is_full(&self, cursor: u32) -> bool {
        cursor.saturating_sub(self.gaps.front) >= self.window
    }

    fn lag(&self) -> Millis {
        LAG.max(Millis(self.trip.overdue().0 * 4))
    }

    /// A chunk goes out again that this reader has not confirmed.
    fn send_again(&mut self, index: u32, first: Sent, again: Sent) {
        let before = self.again.remove(&index);
        let is_lost = self.repairs.remove(&index).is_some();
        let again =
            if is_lost { Again::repaired(before, again) } else { Again::repeated(before, first, again) };
        self.again.insert(index, again);
    }

    /// `sent` is when each chunk went out first.
    fn take(&mut self, standing: &Standing, sent: &[Sent], now: Timestamp) {
        self.heard = now;
        self.probe_after = PROBE;
        self.probe = now + PROBE.max(self.lag());
        self.window = standing.window;
        let cursor = sent.len() as u32;
        let mut gaps = standing.gaps.clone();
        gaps.front = gaps.front.min(cursor);
        if self.confirm(&gaps, sent, now) {
            self.tries_next = (self.tries_next / 2).max(1);
        }
        let missing = || gaps.missing().take_while(|index| *index < cursor).chain(gaps.front..cursor);
        let last = |index: &u32| self.again.get(index).map_or(sent[*index as usize], |again| again.last);
        let lost = |index: &u32| self.newest.is_past(last(index));
        let since = |index: u32| (index, self.repairs.get(&index).copied().unwrap_or(now));
        self.repairs = missing().filter(lost).take(self.window as usize).map(since).collect();
        self.tries.clear();
        if standing.stalled && self.repairs.is_empty() && now >= self.try_at {
            let mut latest: Vec<u32> = missing().take(TRIES_OF).collect();
            latest.sort_unstable_by_key(|index| std::cmp::Reverse(last(index).number));
            self.tries = latest.into_iter().cycle().take(self.tries_next as usize).collect();
            for index in &self.tries {
                let before = self.again.remove(index);
                self.again.insert(*index, Again::tried(before, sent[*index as usize]));
            }
            self.tries_next = (self.tries_next * 2).min(TRIES_MAX);
            self.try_at = now + self.trip.overdue().min(STALL_MAX);
        }
        self.gaps = gaps;
    }

    /// Notes what this receipt is the first to confirm; whether there was something.
    fn confirm(&mut self, gaps: &Gaps, sent: &[Sent], now: Timestamp) -> bool {
        // In order; whoever names four billion chunks is heard no longer than for those that were sent.
        let was_missing = self.gaps.missing().take_while(|index| *index < gaps.front);
        let fresh = was_missing.chain(self.gaps.front..gaps.front).filter(|index| gaps.tells(*index));
        let mut latest: Option<Sent> = None;
        let mut newest = self.newest;
        let mut any = false;
        for index in fresh.collect::<Vec<_>>() {
            let again = self.again.remove(&index);
            let confirmed = again.map_or(sent[index as usize], |again| again.first);
            newest.note(confirmed);
            any = true;
            if again.is_none_or(Again::is_sure) {
                latest = latest.filter(|latest| latest.number > confirmed.number).or(Some(confirmed));
            }
        }
        if let Some(latest) = latest.filter(|latest| !self.newest.is_past(*latest)) {
            self.trip.note(now.micros_since(latest.at));
        }
        self.newest = newest;
        any
    }
}

#[cfg(test)]
mod tests;
