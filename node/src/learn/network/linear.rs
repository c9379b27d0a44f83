//! A linear layer.

use burn::tensor::Tensor;

use super::{Back, Pass, Slopes};

/// `x W + b`.
pub(super) struct Linear {
    /// [inputs, outputs].
    pub(super) weight: Tensor<2>,
    /// [1, outputs].
    pub(super) bias: Tensor<2>,
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
}
