//! A linear layer.

use burn::tensor::Tensor;

use super::super::LearnError;
use super::super::values::floats;
use super::{Back, ByRow, Pass, Slopes};

/// `x W + b`.
pub(super) struct Linear {
    /// [inputs, outputs].
    pub(super) weight: Tensor<2>,
    /// [1, outputs].
    pub(super) bias: Tensor<2>,
}

/// The same without tensors.
pub(super) struct LinearByRow {
    /// [inputs, outputs], row-major.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Linear {
    pub(super) fn without_tensors(&self) -> Result<LinearByRow, LearnError> {
        Ok(LinearByRow { weight: floats(self.weight.clone())?, bias: floats(self.bias.clone())? })
    }
}

/// Adds `x W` to `sums`.
pub(super) fn add_product(input: &[f32], weight: &[f32], sums: &mut [f32]) {
    let outputs = sums.len();
    // Four rows of weights for each time that the sums are read and written.
    let (fours, rest) = input.as_chunks::<4>();
    let (weights, last) = weight.split_at(4 * fours.len() * outputs);
    for ([a, b, c, d], rows) in fours.iter().zip(weights.chunks_exact(4 * outputs)) {
        let (one, two) = rows.split_at(2 * outputs);
        let ((one, two), (three, four)) = (one.split_at(outputs), two.split_at(outputs));
        let each = sums.iter_mut().zip(one).zip(two).zip(three).zip(four);
        each.for_each(|((((sum, one), two), three), four)| {
            *sum += a * one + b * two + (c * three + d * four);
        });
    }
    for (value, row) in rest.iter().zip(last.chunks_exact(outputs)) {
        sums.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
    }
}

impl LinearByRow {
    /// Adds what it gives to what is in `output`.
    pub(super) fn append(&self, input: &[f32], output: &mut Vec<f32>) {
        let from = output.len();
        output.extend_from_slice(&self.bias);
        add_product(input, &self.weight, &mut output[from..]);
    }
}

impl ByRow for LinearByRow {
    fn forward(&self, input: &[f32], output: &mut Vec<f32>) {
        output.clear();
        self.append(input, output);
    }
}

impl Pass for Linear {
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        input.matmul(self.weight.clone()) + self.bias.clone()
    }

    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Back<'_>) {
        let output = self.forward(input.clone());
        let back = |by_output: Tensor<2>, is_wanted: bool| {
            let by_weight = input.transpose().matmul(by_output.clone()).flatten(0, 1);
            let by_bias = by_output.clone().sum_dim(0).flatten(0, 1);
            let by_input = is_wanted.then(|| by_output.matmul(self.weight.clone().transpose()));
            Slopes { by_input, by_parameters: vec![by_weight, by_bias] }
        };
        (output, Box::new(back))
    }

    fn by_row(&self) -> Result<Box<dyn ByRow>, LearnError> {
        Ok(Box::new(self.without_tensors()?))
    }
}
