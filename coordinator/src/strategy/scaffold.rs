//! The server's side of SCAFFOLD: Karimireddy et al. 2020, "SCAFFOLD: Stochastic controlled averaging for federated
//! learning", algorithm 1 (the nodes' side is `node::participant::control`).
//!
//! From each node of the cohort `S` come `Δy` and `Δc`. With `N` nodes to select from and a step of `η`:
//!
//! ```text
//! x ← x + η 1/|S| Σ Δy
//! c ← c + |S|/N 1/|S| Σ Δc
//! ```
//!
//! Both means count each node once, as in the paper: then `c` stays the mean of what all nodes keep, which a weight that a
//! node claims for itself could not promise. Both come out of one exact sum, so no order of arrival can be seen in either.

use super::server::{Moments, Server};

/// What an update of any node stands for.
pub(super) const WEIGHT: u64 = 1;

/// Moves the model, and the server's control variate: the one vector that it remembers, which begins at zero. `means` are
/// those of `Δy` and behind them of `Δc`, of a share of the nodes.
///
/// # Panics
///
/// When what is remembered is of another strategy or model.
pub(super) fn step(
    server: &Server,
    model: &mut [f32],
    mut means: impl Iterator<Item = f64>,
    share: f64,
    moments: &mut Moments,
) {
    if moments.is_empty() {
        moments.push(vec![0.0; model.len()]);
    }
    let [control] = moments.as_mut_slice() else { panic!("a control variate is all that is remembered") };
    assert_eq!(control.len(), model.len(), "the control variate is for this model");
    server.step(model, means.by_ref(), &mut Moments::new());
    let moved = |(value, mean): (&mut f32, f64)| *value = (f64::from(*value) + share * mean) as f32;
    control.iter_mut().zip(means).for_each(moved);
}

#[cfg(test)]
mod tests;
