//! The forecaster as a burn module.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, activation};

/// A multi-layer perceptron: linear layers with `ReLU` between them.
#[derive(Module, Debug)]
pub(super) struct Mlp {
    /// From the input to the output.
    pub(super) layers: Vec<Linear>,
}

impl Mlp {
    /// [windows, past steps x metrics] to [windows, metrics].
    pub(super) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let mut layers = self.layers.iter();
        let first = match layers.next() {
            Some(layer) => layer.forward(input),
            None => return input,
        };
        layers.fold(first, |hidden, layer| layer.forward(activation::relu(hidden)))
    }
}
