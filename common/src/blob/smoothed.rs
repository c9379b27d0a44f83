//! A time that is measured again and again: its mean and its variation (RFC 6298, section 2).

use crate::units::Millis;

/// Smoothed, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Smoothed {
    mean: u64,
    variation: u64,
}

impl Smoothed {
    pub(super) fn note(&mut self, micros: u64) {
        if self.mean == 0 {
            *self = Self { mean: micros, variation: micros / 2 };
            return;
        }
        self.variation = (3 * self.variation + self.mean.abs_diff(micros)) / 4;
        self.mean = (7 * self.mean + micros) / 8;
    }

    /// What takes longer than this is none of the usual ones. However even they were, half as much again is usual.
    /// `None` before the first.
    pub(super) fn unusual(self) -> Option<Millis> {
        let micros = self.mean + (4 * self.variation).max(self.mean / 2);
        (self.mean > 0).then(|| Millis(micros.div_ceil(1000)))
    }
}
