//! A model over the flat vector of its parameters, layer after layer: what it says, and the gradient of a loss.
//!
//! Each kind of layer is a file, with the way through it and the way back. Gradients are written out (Rumelhart, Hinton
//! and Williams 1986), because a graph of small tensors costs more than the arithmetic on them: a step takes a fraction of
//! the time that automatic differentiation takes.

mod closed_form;
mod convolution;
mod linear;
mod lstm;
mod pool;
mod relu;

use burn::tensor::Tensor;
use common::model::Layer;

use super::LearnError;
use super::values::floats;
use convolution::Convolution;
use linear::Linear;
use lstm::Lstm;
use pool::MaxPool;
use relu::Relu;

/// A layer with its parameters.
trait Pass: Send {
    /// What it gives: [examples, inputs] to [examples, outputs].
    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.traced(input).0
    }

    /// What it gives, and the way back.
    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Back<'_>);

    /// The same for one example at a time.
    fn by_row(&self) -> Result<Box<dyn ByRow>, LearnError>;
}

/// A layer without tensors: of one example, asking for them costs more than the arithmetic on them.
pub(super) trait ByRow: Send {
    /// Puts what it gives in place of what is in `output`.
    fn forward(&self, input: &[f32], output: &mut Vec<f32>);
}

/// From the gradient by what a layer gave to that by what it took, which is asked for unless nothing comes before it.
type Back<'l> = Box<dyn FnOnce(Tensor<2>, bool) -> Slopes + 'l>;

/// The gradient by what a layer took, and by its tensors.
struct Slopes {
    by_input: Option<Tensor<2>>,
    /// In the order of the schema, each flat.
    by_parameters: Vec<Tensor<1>>,
}

/// Layers from the input to the output.
pub(super) struct Network(Vec<Box<dyn Pass>>);

/// Takes one layer's tensors after the other from the flat vector of all of them.
struct Cursor<'p> {
    parameters: &'p Tensor<1>,
    from: usize,
}

impl Cursor<'_> {
    fn take(&mut self, rows: u32, columns: u32) -> Tensor<2> {
        let (rows, columns) = (rows as usize, columns as usize);
        let range = self.from..self.from + rows * columns;
        self.from = range.end;
        self.parameters.clone().slice(range).reshape([rows, columns])
    }

    fn linear(&mut self, inputs: u32, outputs: u32) -> Linear {
        Linear { weight: self.take(inputs, outputs), bias: self.take(1, outputs) }
    }
}

fn layer(layer: &Layer, cursor: &mut Cursor<'_>) -> Result<Box<dyn Pass>, LearnError> {
    Ok(match *layer {
        Layer::Linear { inputs, outputs } => Box::new(cursor.linear(inputs, outputs)),
        Layer::Relu { .. } => Box::new(Relu),
        Layer::Lstm { steps, inputs, units, is_whole } => Box::new(Lstm {
            weight: cursor.take(inputs, 4 * units),
            recurrent: cursor.take(units, 4 * units),
            bias: cursor.take(1, 4 * units),
            steps: steps as usize,
            is_whole,
        }),
        Layer::Convolution { steps, inputs, kernel, channels } => Box::new(Convolution {
            linear: cursor.linear(kernel * inputs, channels),
            steps: steps as usize,
            kernel: kernel as usize,
        }),
        Layer::MaxPool { steps, channels, size } => {
            Box::new(MaxPool { steps: steps as usize, channels: channels as usize, size: size as usize })
        }
        Layer::Ridge { inputs, outputs } => {
            let gram = floats(cursor.take(inputs + 1, inputs + 1))?;
            let cross = floats(cursor.take(inputs + 1, outputs))?;
            Box::new(closed_form::ridge(&gram, &cross, outputs as usize)?)
        }
        Layer::Principal { inputs, outputs, components } => {
            let gram = floats(cursor.take(inputs + 1, inputs + 1))?;
            Box::new(closed_form::principal(&gram, outputs as usize, components as usize)?)
        }
    })
}

impl Network {
    /// These layers, in a vector of as many parameters as they have.
    ///
    /// # Errors
    ///
    /// [`LearnError::NoMoments`] when there is nothing in closed form of them.
    pub(super) fn new(layers: &[Layer], parameters: &Tensor<1>) -> Result<Self, LearnError> {
        let mut cursor = Cursor { parameters, from: 0 };
        Ok(Self(layers.iter().map(|of| layer(of, &mut cursor)).collect::<Result<_, _>>()?))
    }

    /// What it says: [examples, inputs] to [examples, outputs].
    pub(super) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.0.iter().fold(input, |input, layer| layer.forward(input))
    }

    /// Its layers for one example at a time.
    pub(super) fn by_row(&self) -> Result<Vec<Box<dyn ByRow>>, LearnError> {
        self.0.iter().map(|layer| layer.by_row()).collect()
    }

    /// What it says, and the way back through each layer.
    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Vec<Back<'_>>) {
        let mut ways_back = Vec::with_capacity(self.0.len());
        let output = self.0.iter().fold(input, |input, layer| {
            let (output, back) = layer.traced(input);
            ways_back.push(back);
            output
        });
        (output, ways_back)
    }

    /// Of some examples the gradient, by what is seen of them, of that whose gradient by what the model says is given:
    /// [examples, inputs].
    pub(super) fn slopes_by_input(
        &self,
        input: Tensor<2>,
        by_output: impl FnOnce(Tensor<2>) -> Result<Tensor<2>, LearnError>,
    ) -> Result<Tensor<2>, LearnError> {
        let (output, ways_back) = self.traced(input);
        let back_through = |slope, back: Back<'_>| back(slope, true).by_input.expect("it is asked for");
        Ok(ways_back.into_iter().rev().fold(by_output(output)?, back_through))
    }

    /// The loss on some examples, and its gradient by the parameters, flat. `loss` gives both for what the model says,
    /// the gradient by that.
    pub(super) fn gradient(
        &self,
        input: Tensor<2>,
        loss: impl FnOnce(Tensor<2>) -> (Tensor<1>, Tensor<2>),
    ) -> (Tensor<1>, Tensor<1>) {
        let (output, ways_back) = self.traced(input);
        let (loss, by_output) = loss(output);
        let (mut gradients, mut by_output) = (Vec::new(), Some(by_output));
        for (index, back) in ways_back.into_iter().enumerate().rev() {
            let Some(slope) = by_output.take() else { break };
            let Slopes { by_input, by_parameters } = back(slope, index > 0);
            gradients.extend(by_parameters.into_iter().rev());
            by_output = by_input;
        }
        gradients.reverse();
        (loss, Tensor::cat(gradients, 0))
    }
}

#[cfg(test)]
mod tests {
    use common::model::{Forecaster, ParameterVector, Task};

    use super::super::samples::forecaster;
    use super::super::values::{flat, floats, rows};
    use super::*;

    /// A weighted sum of what it says, and the weights.
    fn sum(output: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
        let [examples, outputs] = output.dims();
        let weights: Vec<f32> = (0..examples * outputs).map(|index| 0.5 + (index % 3) as f32).collect();
        let slope = rows(weights.chunks_exact(outputs), outputs);
        ((output * slope.clone()).sum(), slope)
    }

    fn task(
        network: common::model::Network,
        past_steps: u32,
        hidden: &[u32],
    ) -> (Forecaster, ParameterVector) {
        let task = Forecaster { network, ..forecaster(&["x", "y"], past_steps, hidden) };
        let parameters = Task::Forecaster(task.clone()).initial(5).unwrap();
        (task, parameters)
    }

    #[test]
    fn a_weight_is_laid_out_by_input_and_then_output() {
        let network =
            Network::new(&[Layer::Linear { inputs: 2, outputs: 2 }], &flat(&[1.0, 2.0, 3.0, 4.0, 0.5, 0.25]))
                .unwrap();
        let output = network.forward(rows([&[1.0, 10.0][..]].into_iter(), 2));
        assert_eq!(floats(output).unwrap(), [1.0 + 30.0 + 0.5, 2.0 + 40.0 + 0.25]);
    }

    #[test]
    fn one_example_by_rows_gives_what_it_gives_by_tensors_whatever_the_layers() {
        use common::model::Network as Kind;
        let kinds = [
            (Kind::Perceptron, 19, &[64, 16, 64][..]),
            (Kind::Lstm, 4, &[3]),
            (Kind::Lstm, 19, &[30, 7]),
            (Kind::Convolution, 19, &[32, 40]),
            (Kind::Convolution, 2, &[3]),
            (Kind::Autoencoder, 3, &[4, 2, 4]),
            (Kind::Ridge, 3, &[]),
        ];
        for (kind, past_steps, hidden) in kinds {
            let (task, parameters) = task(kind, past_steps, hidden);
            let network = Network::new(&task.layers(), &flat(parameters.values())).unwrap();
            let layers = network.by_row().unwrap();
            let width = task.layers()[0].inputs() as usize;
            for example in 0..3 {
                let input: Vec<f32> = (0..width).map(|at| ((at + 40 * example) as f32).sin() * 2.0).collect();
                let said = floats(network.forward(rows([&input[..]].into_iter(), width))).unwrap();
                let (mut given, mut taken) = (input, Vec::new());
                for layer in &layers {
                    layer.forward(&given, &mut taken);
                    std::mem::swap(&mut given, &mut taken);
                }
                assert_eq!(given.len(), said.len(), "{kind:?}");
                let near = given.iter().zip(&said).all(|(one, other)| (one - other).abs() < 1e-5);
                assert!(near, "{kind:?} {hidden:?}: {given:?} is not {said:?}");
            }
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss_whatever_the_layers() {
        use common::model::Network as Kind;
        let kinds = [
            (Kind::Perceptron, 2, &[5, 4][..]),
            (Kind::Lstm, 4, &[3]),
            (Kind::Lstm, 3, &[3, 2]),
            (Kind::Convolution, 8, &[3, 2]),
            (Kind::Convolution, 2, &[3]),
            (Kind::Autoencoder, 2, &[4, 2, 4]),
        ];
        for (kind, past_steps, hidden) in kinds {
            let (task, parameters) = task(kind, past_steps, hidden);
            let layers = task.layers();
            let width = layers[0].inputs() as usize;
            let inputs: Vec<f32> = (0..3 * width).map(|index| (index as f32 * 1.7).sin()).collect();
            let input = || rows(inputs.chunks_exact(width), width);
            let loss = |values: &[f32]| {
                floats(Network::new(&layers, &flat(values)).unwrap().gradient(input(), sum).0).unwrap()[0]
            };
            let network = Network::new(&layers, &flat(parameters.values())).unwrap();
            let gradient = floats(network.gradient(input(), sum).1).unwrap();
            assert_eq!(gradient.len(), parameters.values().len(), "{kind:?}");
            let said = floats(network.gradient(input(), sum).0).unwrap()[0];
            assert_eq!(floats(sum(network.forward(input())).0).unwrap()[0].to_bits(), said.to_bits());
            assert!(gradient.iter().any(|slope| slope.abs() > 0.1), "{kind:?}");
            for (index, slope) in gradient.into_iter().enumerate() {
                let moved = |step: f32| {
                    let mut values = parameters.values().to_vec();
                    values[index] += step;
                    loss(&values)
                };
                let measured = (moved(0.005) - moved(-0.005)) / 0.01;
                assert!(
                    (slope - measured).abs() < 2e-3 * (1.0 + slope.abs()),
                    "{kind:?} {hidden:?}, value {index}: {slope} is not {measured}"
                );
            }
        }
    }
}
