//! Control variates: what holds a node's steps to those of all nodes, however unlike their telemetry is.
//!
//! SCAFFOLD, algorithm 1 of Karimireddy et al. 2020, "SCAFFOLD: Stochastic controlled averaging for federated learning",
//! with its option II. The server has a control variate `c`, each node one of its own, `cᵢ`; both begin at zero:
//!
//! ```text
//! y ← y - η (g(y) - cᵢ + c)            K steps from the round's model x
//! cᵢ⁺ = cᵢ - c + (x - y) / (K η)       the mean of the gradients on the way
//! ```
//!
//! `c` is the mean of all `cᵢ` only as long as a node's next change is one from what the server has of it. An update may
//! be lost, refused, or part of a round that ends without a model, and the node cannot tell. So it keeps two
//! control variates: the one it trained from, and the one that came of it. With each model the coordinator says which
//! was the last epoch of this node that became part of a model, and that says which of the two holds.

use common::id::{EpochId, RunId};

/// What comes with a model where nodes keep control variates.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerControl {
    /// `c`
    pub values: Vec<f32>,
    /// The last epoch of which this node's update is in the model; 0 for none.
    pub folded: EpochId,
}

/// What became of a node's control variate in training.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlChange {
    /// `cᵢ`
    pub from: Vec<f32>,
    /// `cᵢ⁺`
    pub to: Vec<f32>,
}

/// What a node keeps of its control variates in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// That of the last model which this node knows to have its update, and the one it made after that.
    entries: Vec<(EpochId, Vec<f32>)>,
}

/// The coordinator counts on a control variate that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the control variate of epoch {0} is lost, and from another one this node would bend the model of all"
)]
pub struct ControlLost(pub EpochId);

/// Bytes that are not what a node kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged, or of another run")]
pub struct NotHeld;

/// Control variates that a node keeps of a run.
const ENTRIES_MAX: usize = 2;

/// `c - cᵢ`, which is added to each gradient.
pub fn correction(server: &[f32], own: &[f32]) -> Vec<f32> {
    server.iter().zip(own).map(|(server, own)| server - own).collect()
}

/// `cᵢ⁺` after so many steps of this size from the round's model to the trained one. Each value is computed in binary64
/// and rounded once.
pub fn next(
    server: &[f32],
    own: &[f32],
    (from, to): (&[f32], &[f32]),
    steps: u32,
    learning_rate: f32,
) -> Vec<f32> {
    let way = f64::from(steps.max(1)) * f64::from(learning_rate);
    let controls = server.iter().zip(own).map(|(server, own)| f64::from(*own) - f64::from(*server));
    let moved = from.iter().zip(to).map(|(from, to)| (f64::from(*from) - f64::from(*to)) / way);
    controls.zip(moved).map(|(control, moved)| (control + moved) as f32).collect()
}

impl Held {
    /// The control variate to train from, when the coordinator says that `folded` is the last epoch of this node.
    ///
    /// # Errors
    ///
    /// [`ControlLost`] when that is not here.
    pub fn own(&self, folded: EpochId, parameters: usize) -> Result<Vec<f32>, ControlLost> {
        if folded == EpochId::default() {
            return Ok(vec![0.0; parameters]);
        }
        let entry =
            self.entries.iter().find(|(epoch, values)| *epoch == folded && values.len() == parameters);
        entry.map(|(_, values)| values.clone()).ok_or(ControlLost(folded))
    }

    /// Keeps what came of training in an epoch, and what it began from. What came of earlier attempts is in no model
    /// and never will be: the round of this epoch began after them.
    pub fn keep(&mut self, folded: EpochId, (epoch, made): (EpochId, Vec<f32>)) {
        self.entries.retain(|(kept, _)| *kept == folded);
        self.entries.push((epoch, made));
    }

    /// As bytes for a file: a hash, and for each control variate its epoch and its values, little-endian.
    pub fn encode(&self, run: RunId) -> Vec<u8> {
        let mut bytes = vec![0; blake3::OUT_LEN];
        for (epoch, values) in &self.entries {
            bytes.extend_from_slice(&epoch.0.to_le_bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        let hash = checksum(run, &bytes[blake3::OUT_LEN..]);
        bytes[..blake3::OUT_LEN].copy_from_slice(&hash);
        bytes
    }

    /// Reads what [`Self::encode`] wrote for a model of so many parameters.
    ///
    /// # Errors
    ///
    /// [`NotHeld`] when the bytes are anything else.
    pub fn decode(bytes: &[u8], run: RunId, parameters: usize) -> Result<Self, NotHeld> {
        let (hash, rest) = bytes.split_first_chunk().ok_or(NotHeld)?;
        let length = 8 + 4 * parameters;
        let whole = rest.len().is_multiple_of(length) && rest.len() / length <= ENTRIES_MAX;
        if !whole || *hash != checksum(run, rest) {
            return Err(NotHeld);
        }
        let entry = |bytes: &[u8]| {
            let (epoch, values) = bytes.split_first_chunk()?;
            let values = values.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value));
            Some((EpochId(u64::from_le_bytes(*epoch)), values.collect()))
        };
        let entries = rest.chunks_exact(length).map(entry).collect::<Option<_>>().ok_or(NotHeld)?;
        Ok(Self { entries })
    }
}

fn checksum(run: RunId, bytes: &[u8]) -> [u8; blake3::OUT_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key("starling 2026 control variates of a node");
    hasher.update(&run.0);
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: RunId = RunId([1; 16]);

    #[test]
    fn the_next_control_variate_is_the_mean_gradient_on_the_way() {
        // Two steps of 0.5 by hand, from x = 1 with gradients 2 and then 3, cᵢ = 0.5 and c = 0.25: each step is along
        // g - 0.5 + 0.25, so y = 1 - 0.5 (1.75 + 2.75) = -1.25, and cᵢ⁺ = 0.25 + 2.25 / (2 x 0.5) = 2.5.
        assert_eq!(correction(&[0.25], &[0.5]), [-0.25]);
        assert_eq!(next(&[0.25], &[0.5], (&[1.0], &[-1.25]), 2, 0.5), [2.5]);
    }

    #[test]
    fn an_attempt_without_a_model_is_trained_again_from_the_same_control_variate() {
        let mut held = Held::default();
        assert_eq!(held.own(EpochId(0), 2), Ok(vec![0.0; 2]));
        held.keep(EpochId(0), (EpochId(5), vec![1.0; 2]));
        // Epoch 5 came to nothing, as the coordinator says; so did 6, and 7 did not.
        assert_eq!(held.own(EpochId(0), 2), Ok(vec![0.0; 2]));
        held.keep(EpochId(0), (EpochId(6), vec![2.0; 2]));
        held.keep(EpochId(0), (EpochId(7), vec![3.0; 2]));
        assert_eq!(held.own(EpochId(7), 2), Ok(vec![3.0; 2]));
        held.keep(EpochId(7), (EpochId(9), vec![4.0; 2]));
        for (folded, value) in [(7, 3.0), (9, 4.0)] {
            assert_eq!(held.own(EpochId(folded), 2), Ok(vec![value; 2]));
        }
        // What nobody counts on any more is not kept, and what is counted on and not here is not made up.
        assert_eq!(held.own(EpochId(5), 2), Err(ControlLost(EpochId(5))));
        assert_eq!(Held::default().own(EpochId(7), 2), Err(ControlLost(EpochId(7))));
    }

    #[test]
    fn what_was_kept_is_read_back_and_anything_else_is_not() {
        let mut held = Held::default();
        for epoch in [3, 4] {
            assert_eq!(Held::decode(&held.encode(RUN), RUN, 2), Ok(held.clone()));
            held.keep(EpochId(3), (EpochId(epoch), vec![epoch as f32, -0.5]));
        }
        let bytes = held.encode(RUN);
        assert_eq!(Held::decode(&bytes, RUN, 2), Ok(held));
        assert_eq!(Held::decode(&bytes, RunId([2; 16]), 2), Err(NotHeld));
        assert_eq!(Held::decode(&bytes, RUN, 3), Err(NotHeld));
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= 1;
            assert_eq!(Held::decode(&altered, RUN, 2), Err(NotHeld));
            assert_eq!(Held::decode(&bytes[..index], RUN, 2), Err(NotHeld));
        }
    }
}
