//! Rules that hold although some updates are wrong, whatever they are: none can move the result far by itself.
//!
//! Samples are not counted, except by the geometric median: who lies about values lies about samples. Deltas come in
//! an order that does not depend on their arrival, and sums are made in binary64 in one order, so the result has the
//! same bits everywhere.

mod coordinate;
mod distance;
mod geometric;
mod selection;

/// A rule that makes one delta of many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Robust {
    /// The median of each value (Yin et al. 2018, definition 1).
    Median,
    /// The mean of each value without this share of the largest and of the smallest (Yin et al. 2018, definition 2).
    TrimmedMean {
        /// From 0 to less than one half.
        share: f64,
    },
    /// The mean of the `keep` updates whose closest others are closest (Blanchard et al. 2017, section 4).
    MultiKrum {
        /// Updates that may be wrong in any way: `f`.
        byzantine: u32,
        /// 1 is Krum.
        keep: u32,
    },
    /// Krum's choice, one after the other, and the mean around their median (El Mhamdi et al. 2018, section 4).
    Bulyan {
        /// Updates that may be wrong in any way: `f`.
        byzantine: u32,
    },
    /// The point that is closest to all updates, weighted by samples (Pillutla et al. 2022).
    GeometricMedian,
}

impl Robust {
    /// Updates without which it cannot be done: `2 f + 3` for Krum (Blanchard et al. 2017, proposition 4.2), `4 f + 3`
    /// for Bulyan (El Mhamdi et al. 2018, section 4).
    pub fn needs(&self) -> u32 {
        match *self {
            Self::Median | Self::TrimmedMean { .. } | Self::GeometricMedian => 1,
            Self::MultiKrum { byzantine, keep } => byzantine.saturating_mul(2).saturating_add(3).max(keep),
            Self::Bulyan { byzantine } => byzantine.saturating_mul(4).saturating_add(3),
        }
    }

    /// Makes one delta of as many as it needs or more, all of one length.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub fn combine(&self, deltas: &[&[f32]], samples: &[u64]) -> Vec<f32> {
        assert!(deltas.len() >= self.needs() as usize, "{self:?} has too few updates: {}", deltas.len());
        match *self {
            Self::Median => coordinate::median(deltas),
            Self::TrimmedMean { share } => {
                coordinate::trimmed_mean(deltas, (share * deltas.len() as f64).floor() as usize)
            }
            Self::MultiKrum { byzantine, keep } => {
                selection::multi_krum(deltas, byzantine as usize, keep as usize)
            }
            Self::Bulyan { byzantine } => selection::bulyan(deltas, byzantine as usize),
            Self::GeometricMedian => geometric::median(deltas, samples),
        }
    }
}

#[cfg(test)]
mod tests;
