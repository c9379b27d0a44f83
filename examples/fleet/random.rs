//! Random numbers of a machine.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// A seeded stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(ChaCha20Rng);

impl Random {
    /// A stream of its own for each number.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self(random)
    }

    /// Evenly spread over a range.
    pub(super) fn within(&mut self, least: f64, most: f64) -> f64 {
        self.0.random_range(least..most)
    }

    /// A number below `end`.
    pub(super) fn index(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability)
    }

    /// Normally distributed with mean 0 and standard deviation 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.random_range(0.0..1.0_f64)).ln()).sqrt();
        radius * self.within(0.0, std::f64::consts::TAU).cos()
    }

    /// A factor around 1 whose logarithm has this standard deviation.
    pub(super) fn factor(&mut self, spread: f64) -> f64 {
        (spread * self.normal()).exp()
    }
}
