//! The values of a model as one flat vector that knows its schema.

use std::sync::Arc;

use super::Schema;

/// A model's values in the order of its schema's tensors, each tensor row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterVector {
    schema: Arc<Schema>,
    values: Vec<f32>,
}

/// The values do not fit the schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// Too few or too many.
    #[error("{found} values, but the schema has {expected}")]
    WrongLength {
        /// Values given.
        found: usize,
        /// Values in the schema.
        expected: usize,
    },
    /// The bytes are not a whole number of `f32`.
    #[error("{0} bytes are not a whole number of 32-bit floats")]
    CutValue(usize),
}

impl ParameterVector {
    /// Values under a schema.
    ///
    /// # Errors
    ///
    /// [`ParametersError::WrongLength`] when their number is not the schema's.
    pub fn new(schema: Arc<Schema>, values: Vec<f32>) -> Result<Self, ParametersError> {
        let (found, expected) = (values.len(), schema.parameters());
        if found == expected {
            Ok(Self { schema, values })
        } else {
            Err(ParametersError::WrongLength { found, expected })
        }
    }

    /// All zeros.
    pub fn zeros(schema: Arc<Schema>) -> Self {
        let values = vec![0.0; schema.parameters()];
        Self { schema, values }
    }

    /// Names and shapes.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The values, flat.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Gives the values up.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

/// Writes values as little-endian IEEE 754 binary32, the layout of safetensors' `F32`.
pub(crate) fn write_values(values: impl Iterator<Item = f32>, out: &mut [u8]) {
    out.as_chunks_mut::<4>().0.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
}

/// Reads what [`write_values`] wrote.
pub(crate) fn take_values(bytes: &[u8]) -> Result<Vec<f32>, ParametersError> {
    let (values, rest) = bytes.as_chunks::<4>();
    match rest {
        [] => Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect()),
        _ => Err(ParametersError::CutValue(bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_from_their_bytes() {
        let mut bytes = [0; 12];
        write_values([1.5, -0.0, f32::MAX].into_iter(), &mut bytes);
        assert_eq!(take_values(&bytes), Ok(vec![1.5, -0.0, f32::MAX]));
        assert_eq!(take_values(&bytes[1..]), Err(ParametersError::CutValue(11)));
    }

    #[test]
    fn a_vector_of_another_length_than_its_schema_is_refused() {
        let schema = Arc::new(Schema::flat(3).unwrap());
        let error = ParameterVector::new(schema, vec![0.0; 2]).unwrap_err();
        assert_eq!(error, ParametersError::WrongLength { found: 2, expected: 3 });
    }
}
