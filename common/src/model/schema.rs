//! The names and shapes of a model's tensors, in the order in which their values are laid out flat.

use super::Layer;
use crate::limits::{DIMENSIONS_MAX, NAME_BYTES_MAX, PARAMETERS_MAX, PAST_STEPS_MAX, TENSORS_MAX};
use crate::wire::{Fault, Input, List, Text, Wire, WireError};

/// One named tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name, unique in the schema.
    pub name: Text<NAME_BYTES_MAX>,
    /// Its shape, row-major; the empty shape is a scalar.
    pub shape: List<u32, DIMENSIONS_MAX>,
}

crate::wire_fields!(Tensor { name, shape });

/// Names and shapes of all tensors. Two models can be averaged when their schemas are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    tensors: List<Tensor, TENSORS_MAX>,
    parameters: usize,
}

/// The tensors do not make a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A name or shape is longer than its limit.
    #[error("a tensor's name or shape, or the list of tensors, is too long: {0}")]
    TooLong(#[from] crate::wire::TooLong),
    /// Two tensors share a name.
    #[error("tensor `{0}` is there twice")]
    Duplicate(String),
    /// A tensor without a value, or no tensor at all.
    #[error("tensor `{0}` is empty")]
    Empty(String),
    /// More past steps than a model may see.
    #[error("more than {PAST_STEPS_MAX} past steps")]
    TooManySteps,
    /// A closed form takes no such layers: none of a ridge regression, and of principal components how many there are.
    #[error("a ridge regression has no hidden layers, and principal components have one width: how many")]
    Layers,
    /// It cannot say that.
    #[error("what it foresees {0}")]
    Foresees(#[from] super::Misfit),
    /// A closed form says the record and nothing else.
    #[error("a closed form foresees the record, and nothing else")]
    ClosedForm,
    /// More values than a model may have.
    #[error("more than {PARAMETERS_MAX} parameters")]
    TooManyParameters,
}

impl Tensor {
    /// A tensor of this name and shape.
    ///
    /// # Errors
    ///
    /// [`SchemaError::TooLong`] when name or shape is over its limit.
    pub fn new(name: &str, shape: &[u32]) -> Result<Self, SchemaError> {
        Ok(Self { name: Text::try_from(name)?, shape: List::try_from(shape.to_vec())? })
    }

    /// The number of its values; `None` when that overflows.
    fn parameters(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, &side| product.checked_mul(u64::from(side)))
    }
}

impl Schema {
    /// A schema of these tensors, in this order.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] names the tensor or the limit.
    pub fn new(tensors: Vec<Tensor>) -> Result<Self, SchemaError> {
        let mut names = std::collections::BTreeSet::new();
        if let Some(twice) = tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
            return Err(SchemaError::Duplicate(twice.name.to_string()));
        }
        if let Some(empty) = tensors.iter().find(|tensor| tensor.shape.contains(&0)) {
            return Err(SchemaError::Empty(empty.name.to_string()));
        }
        let parameters = tensors
            .iter()
            .try_fold(0_u64, |sum, tensor| sum.checked_add(tensor.parameters()?))
            .filter(|&sum| sum <= PARAMETERS_MAX)
            .ok_or(SchemaError::TooManyParameters)?;
        Ok(Self { tensors: List::try_from(tensors)?, parameters: parameters as usize })
    }

    /// A single tensor `weights` of this many values, without meaning: for measuring rounds.
    ///
    /// # Errors
    ///
    /// [`SchemaError::TooManyParameters`] over the limit.
    pub fn flat(parameters: u32) -> Result<Self, SchemaError> {
        Self::new(vec![Tensor::new("weights", &[parameters])?])
    }

    /// The tensors of these layers, one after the other; those that have some are counted from 0, as in `layer0.weight`.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when it would be over a limit, or has an empty layer.
    pub fn of_layers(layers: &[Layer]) -> Result<Self, SchemaError> {
        let (mut tensors, mut number) = (Vec::new(), 0);
        for layer in layers {
            let more = layer.tensors(number)?;
            number += usize::from(!more.is_empty());
            tensors.extend(more);
        }
        Self::new(tensors)
    }

    /// The tensors in the order of their values.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The number of values in all tensors.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Each tensor with the range of its values in the flat vector.
    pub fn ranges(&self) -> impl Iterator<Item = (&Tensor, std::ops::Range<usize>)> {
        self.tensors.iter().scan(0, |start, tensor| {
            let length: usize = tensor.shape.iter().map(|&side| side as usize).product();
            let range = *start..*start + length;
            *start = range.end;
            Some((tensor, range))
        })
    }
}

impl Wire for Schema {
    fn put(&self, out: &mut Vec<u8>) {
        self.tensors.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let tensors = List::<Tensor, TENSORS_MAX>::take(input)?;
        Self::new(tensors.into_vec()).map_err(|_| input.error(Fault::Invalid("not a model schema")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_the_flat_vector_without_a_gap() {
        let tensors = vec![
            Tensor::new("a", &[2, 3]).unwrap(),
            Tensor::new("b", &[]).unwrap(),
            Tensor::new("c", &[4]).unwrap(),
        ];
        let schema = Schema::new(tensors).unwrap();
        assert_eq!(schema.parameters(), 11);
        let ranges: Vec<_> = schema.ranges().map(|(_, range)| range).collect();
        assert_eq!(ranges, [0..6, 6..7, 7..11]);
    }

    #[test]
    fn a_name_twice_or_too_many_parameters_make_no_schema() {
        let twice = vec![Tensor::new("a", &[1]).unwrap(), Tensor::new("a", &[2]).unwrap()];
        assert_eq!(Schema::new(twice), Err(SchemaError::Duplicate("a".into())));
        let empty = vec![Tensor::new("a", &[3, 0]).unwrap()];
        assert_eq!(Schema::new(empty), Err(SchemaError::Empty("a".into())));
        let huge = vec![Tensor::new("a", &[u32::MAX, u32::MAX, u32::MAX]).unwrap()];
        assert_eq!(Schema::new(huge), Err(SchemaError::TooManyParameters));
    }
}
