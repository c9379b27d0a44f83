//! What a round leaves behind for the next one, on disk.

use common::id::ModelHash;
use common::wire::List;

use crate::strategy::MOMENTS_MAX;

/// The files that the next round starts from, by their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The model that the nodes train from.
    pub model: ModelHash,
    /// What the server remembers, each vector a file shaped like the model; none before the first round.
    pub moments: List<ModelHash, MOMENTS_MAX>,
}

common::wire_fields!(Checkpoint { model, moments });

impl From<ModelHash> for Checkpoint {
    /// A model whose server remembers nothing, or nothing yet.
    fn from(model: ModelHash) -> Self {
        Self { model, moments: List::default() }
    }
}
