//! Updates that come a round or more after their own: `s(τ) Δ` for a delta `Δ` whose model was the newest `τ` rounds ago.
//!
//! Buffered asynchronous aggregation, FedBuff: Nguyen et al. 2022, "Federated learning with buffered asynchronous
//! aggregation", algorithm 1. The factor falls with the age of an update as a polynomial does, which is due to Xie et al.
//! 2019, "Asynchronous federated optimization", section 5.2. The mean is taken over all updates of the buffer and is not
//! divided by the factors, so that a buffer of old updates moves the model less.

/// What the delta of an older model is multiplied by. Made of operations that IEEE 754 rounds correctly: the same bits
/// everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    /// `1`: all count alike.
    Constant,
    /// `(1 + τ)^(-1/2)`: FedBuff's.
    #[default]
    InverseRoot,
    /// `(1 + τ)^(-1)`.
    Inverse,
}

impl Staleness {
    /// From 1 for a delta of the newest model down to 0.
    pub(super) fn factor(self, rounds: u32) -> f64 {
        let age = 1.0 + f64::from(rounds);
        match self {
            Self::Constant => 1.0,
            Self::InverseRoot => 1.0 / age.sqrt(),
            Self::Inverse => 1.0 / age,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_delta_counts_as_much_as_the_papers_say() {
        let bits = |staleness: Staleness| [0, 3, 8].map(|rounds| staleness.factor(rounds).to_bits());
        assert_eq!(bits(Staleness::Constant), [1.0, 1.0, 1.0].map(f64::to_bits));
        assert_eq!(bits(Staleness::InverseRoot), [1.0, 0.5, 1.0 / 3.0].map(f64::to_bits));
        assert_eq!(bits(Staleness::Inverse), [1.0, 0.25, 1.0 / 9.0].map(f64::to_bits));
    }
}
