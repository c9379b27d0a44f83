//! How far a model lies from the one before it, read from their files a piece at a time.

use common::id::ModelHash;

use super::{Models, PIECE_BYTES, StoreError};

/// The step from one model to another, in Euclidean norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Of the difference.
    pub norm: f64,
    /// Of the model that the step began at.
    pub model_norm: f64,
}

impl Step {
    /// Reads two models, and checks both against their hashes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file that is missing or damaged, or is not of the other's size.
    pub fn between(models: &Models, before: ModelHash, after: ModelHash) -> Result<Self, StoreError> {
        let (mut from, mut to) = (models.reader(before)?, models.reader(after)?);
        from.header()?;
        to.header()?;
        if from.left != to.left {
            return Err(to.damaged(format!("{} bytes of values, and {} before it", to.left, from.left)));
        }
        let (mut step, mut model) = (0.0, 0.0);
        let (mut old, mut new) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
        while from.left > 0 {
            let length = (from.left as usize).min(PIECE_BYTES);
            from.read(&mut old[..length])?;
            to.read(&mut new[..length])?;
            let values = |piece: &[u8; 4]| f64::from(f32::from_le_bytes(*piece));
            for (old, new) in old[..length].as_chunks::<4>().0.iter().zip(new[..length].as_chunks::<4>().0) {
                let (old, new) = (values(old), values(new));
                step += (new - old) * (new - old);
                model += old * old;
            }
        }
        from.finish(before)?;
        to.finish(after)?;
        Ok(Self { norm: step.sqrt(), model_norm: model.sqrt() })
    }
}
