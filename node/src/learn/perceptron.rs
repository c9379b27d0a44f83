//! A multi-layer perceptron over the flat vector of its parameters: what it says, and the gradient of a loss.
//!
//! The gradient is written out (Rumelhart, Hinton and Williams 1986), because a graph of small tensors costs more than
//! the arithmetic on them: a step takes a fraction of the time that automatic differentiation takes.

use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use super::LearnError;

/// Views of its parameters, in the order of its schema: linear layers with `ReLU` between them.
pub(super) struct Perceptron {
    /// From the input to the output: weight [in, out] and bias [1, out].
    layers: Vec<(Tensor<2>, Tensor<2>)>,
}

impl Perceptron {
    /// Layers of these widths, from the input to the output, in a vector of as many parameters as they have.
    pub(super) fn new(widths: &[u32], parameters: &Tensor<1>) -> Self {
        let mut from = 0;
        let mut take = |rows: usize, columns: usize| {
            let range = from..from + rows * columns;
            from = range.end;
            parameters.clone().slice(range).reshape([rows, columns])
        };
        let sides = widths.windows(2).map(|sides| (sides[0] as usize, sides[1] as usize));
        Self { layers: sides.map(|(inputs, outputs)| (take(inputs, outputs), take(1, outputs))).collect() }
    }

    /// What it says: [examples, inputs] to [examples, outputs].
    pub(super) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.through(input, |_| ())
    }

    /// What it says; `see` is shown what each layer sees.
    fn through(&self, input: Tensor<2>, mut see: impl FnMut(&Tensor<2>)) -> Tensor<2> {
        let mut output = input;
        for (index, layer) in self.layers.iter().enumerate() {
            let seen = if index > 0 { relu(output) } else { output };
            see(&seen);
            output = linear(layer, seen);
        }
        output
    }

    /// The loss on some examples, and its gradient by the parameters, flat. `loss` gives both for what the perceptron
    /// says, the gradient by that.
    pub(super) fn gradient(
        &self,
        input: Tensor<2>,
        loss: impl FnOnce(Tensor<2>) -> (Tensor<1>, Tensor<2>),
    ) -> (Tensor<1>, Tensor<1>) {
        let mut seen = Vec::with_capacity(self.layers.len());
        let (loss, mut by_output) = loss(self.through(input, |layer| seen.push(layer.clone())));
        let mut gradients = Vec::with_capacity(2 * self.layers.len());
        for (index, ((weight, _), seen)) in self.layers.iter().zip(seen).enumerate().rev() {
            gradients.push(by_output.clone().sum_dim(0).flatten(0, 1));
            gradients.push(seen.clone().transpose().matmul(by_output.clone()).flatten(0, 1));
            if index > 0 {
                // `ReLU` passes on what was above zero.
                by_output = by_output.matmul(weight.clone().transpose()).mask_fill(seen.equal_elem(0.0), 0.0);
            }
        }
        gradients.reverse();
        (loss, Tensor::cat(gradients, 0))
    }
}

fn linear((weight, bias): &(Tensor<2>, Tensor<2>), input: Tensor<2>) -> Tensor<2> {
    input.matmul(weight.clone()) + bias.clone()
}

/// The processor.
pub(super) fn device() -> Device {
    Device::flex()
}

/// Parameters as a tensor.
pub(super) fn flat(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &device())
}

/// Rows of one width as a tensor: [rows, width].
pub(super) fn rows<'v>(rows: impl ExactSizeIterator<Item = &'v [f32]>, width: usize) -> Tensor<2> {
    let count = rows.len();
    let mut values = Vec::with_capacity(count * width);
    rows.for_each(|row| values.extend_from_slice(row));
    Tensor::from_data(TensorData::new(values, [count, width]), &device())
}

/// The values of a tensor, row-major.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, LearnError> {
    let data = tensor.try_into_data().map_err(|error| LearnError::Backend(error.to_string()))?;
    data.try_into_vec().map_err(|error| LearnError::Backend(format!("{error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of what it says, whose gradient by that is 1.
    fn sum(output: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
        let slope = output.ones_like();
        (output.sum(), slope)
    }

    #[test]
    fn a_weight_is_laid_out_by_input_and_then_output() {
        let perceptron = Perceptron::new(&[2, 2], &flat(&[1.0, 2.0, 3.0, 4.0, 0.5, 0.25]));
        let output = perceptron.forward(rows([&[1.0, 10.0][..]].into_iter(), 2));
        assert_eq!(floats(output).unwrap(), [1.0 + 30.0 + 0.5, 2.0 + 40.0 + 0.25]);
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let widths = [3, 5, 4, 2];
        let count = 3 * 5 + 5 + 5 * 4 + 4 + 4 * 2 + 2;
        let values: Vec<f32> = (0..count).map(|index| (index as f32 * 1.3).sin()).collect();
        let input = || rows([&[0.3, -0.8, 1.1][..], &[-0.5, 0.9, 0.2]].into_iter(), 3);
        let loss = |values: &[f32]| {
            floats(Perceptron::new(&widths, &flat(values)).gradient(input(), sum).0).unwrap()[0]
        };
        let gradient = floats(Perceptron::new(&widths, &flat(&values)).gradient(input(), sum).1).unwrap();
        assert_eq!(gradient.len(), count);
        assert!(gradient.iter().any(|slope| *slope < -0.1) && gradient.iter().any(|slope| *slope > 0.1));
        for (index, slope) in gradient.into_iter().enumerate() {
            let moved = |step: f32| {
                let mut values = values.clone();
                values[index] += step;
                loss(&values)
            };
            let measured = (moved(0.01) - moved(-0.01)) / 0.02;
            assert!((slope - measured).abs() < 1e-3, "value {index}: {slope} is not {measured}");
        }
    }
}
