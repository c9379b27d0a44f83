//! Randomness.

use anyhow::{Result, anyhow};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A generator seeded by the operating system: the only place where it is asked. Drivers hand it to
/// everything else.
///
/// # Errors
///
/// When the operating system has no randomness.
#[expect(clippy::disallowed_methods, reason = "drivers hand randomness to everything else")]
pub fn entropy() -> Result<ChaCha20Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(ChaCha20Rng::from_seed(seed))
}
