//! What is above zero.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::super::LearnError;
use super::{Back, ByRow, Pass, Slopes};

/// `max(x, 0)`.
pub(super) struct Relu;

impl ByRow for Relu {
    fn forward(&self, input: &[f32], output: &mut Vec<f32>) {
        output.clear();
        output.extend(input.iter().map(|value| value.max(0.0)));
    }
}

impl Pass for Relu {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        relu(input)
    }

    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Back<'_>) {
        let output = relu(input);
        let given = output.clone();
        // It passes on what was above zero.
        let back = |by_output: Tensor<2>, _| {
            let by_input = Some(by_output.mask_fill(given.equal_elem(0.0), 0.0));
            Slopes { by_input, by_parameters: Vec::new() }
        };
        (output, Box::new(back))
    }

    fn by_row(&self) -> Result<Box<dyn ByRow>, LearnError> {
        Ok(Box::new(Self))
    }
}
