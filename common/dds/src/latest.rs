//! The last sample of each key, kept within reach of late joiners.
//!
//! RustDDS keeps the last samples of a writer, whatever their keys: a busy key would push the only sample of a
//! quiet one out of the history. So the writer of a `State` topic remembers the last sample of each key, and
//! writes one again shortly before it would fall out.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::qos::history_depth;

/// What a `State` writer has written last for each key, in the order of writing.
#[derive(Debug)]
pub(crate) struct Latest {
    keys: usize,
    depth: u64,
    /// Samples written so far, as RustDDS numbers them: from 1.
    written: u64,
    number_of: BTreeMap<Bytes, u64>,
    sample_at: BTreeMap<u64, (Bytes, Bytes)>,
}

impl Latest {
    pub(crate) fn new(keys: u16) -> Self {
        Self {
            keys: usize::from(keys),
            depth: u64::from(history_depth(keys)),
            written: 0,
            number_of: BTreeMap::new(),
            sample_at: BTreeMap::new(),
        }
    }

    /// Notes that `sample` was written for `key`. The key written longest ago is forgotten when there are too many.
    pub(crate) fn on_written(&mut self, key: Bytes, sample: Bytes) {
        self.written += 1;
        if let Some(before) = self.number_of.insert(key.clone(), self.written) {
            self.sample_at.remove(&before);
        }
        self.sample_at.insert(self.written, (key, sample));
        if self.sample_at.len() > self.keys
            && let Some((_, (key, _))) = self.sample_at.pop_first()
        {
            self.number_of.remove(&key);
        }
    }

    /// The sample that the next write would push out of the history, to be written again (and noted) now.
    pub(crate) fn due(&self) -> Option<(Bytes, Bytes)> {
        let (number, oldest) = self.sample_at.first_key_value()?;
        (number + self.depth <= self.written + 1).then(|| oldest.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Bytes {
        Bytes::copy_from_slice(&[n])
    }

    /// Writes as the writer does, and returns the keys in the order they went out.
    fn write(latest: &mut Latest, n: u8) -> Vec<u8> {
        latest.on_written(key(n), Bytes::new());
        let mut out = vec![n];
        while let Some((again, sample)) = latest.due() {
            out.push(again[0]);
            latest.on_written(again, sample);
        }
        out
    }

    #[test]
    fn a_quiet_key_stays_in_the_history_of_a_busy_writer() {
        for keys in 1..=5u8 {
            let mut latest = Latest::new(u16::from(keys));
            let mut history = Vec::new();
            for n in (1..keys).chain(std::iter::repeat_n(0, 100)) {
                history.extend(write(&mut latest, n));
                let kept = &history[history.len().saturating_sub(2 * usize::from(keys))..];
                for written in history.clone() {
                    assert!(kept.contains(&written), "{keys} keys: {written} fell out of {kept:?}");
                }
            }
            assert!(
                history.len() <= 2 * (100 + usize::from(keys)),
                "at most every second write is a repetition"
            );
        }
    }

    #[test]
    fn the_key_written_longest_ago_makes_room_for_a_new_one() {
        let mut latest = Latest::new(2);
        let out: Vec<u8> = [1, 2, 3, 2, 2, 2, 2].iter().flat_map(|n| write(&mut latest, *n)).collect();
        assert!(!out[2..].contains(&1));
        assert!(out[3..].contains(&3));
    }
}
