//! The layers that models are made of: what each takes and gives, its tensors, and how wide its first weights are drawn.
//!
//! Between layers an example is a row of values. Of a sequence the row has its steps one after the other, the oldest
//! first, and of each step all its values: so some steps that follow each other are a slice of it.

use serde::{Deserialize, Serialize};

use super::{SchemaError, Tensor};

/// What a forecaster is made of, beside its output layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Linear layers over all values of the past steps, with `ReLU` after each.
    #[default]
    Perceptron,
    /// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), one above the
    /// other; what the last says after the last step goes on.
    Lstm,
    /// Convolutions over [`KERNEL_STEPS`] steps, with `ReLU` and the larger of two steps after each, as in the
    /// convolutional forecaster of Munir et al. 2019 ("`DeepAnT`").
    Convolution,
    /// A perceptron that sees the record too and says it again: through a layer that is narrow, it can do so with what is
    /// usual alone.
    Autoencoder,
    /// Ridge regression: linear, in closed form out of second moments.
    Ridge,
    /// The record again out of so many principal components of all that is seen, in closed form out of second moments.
    Pca,
}

crate::wire_tags!(Network {
    Perceptron = 1,
    Lstm = 2,
    Convolution = 3,
    Autoencoder = 4,
    Ridge = 5,
    Pca = 6
});

/// Steps that a convolution sees at once.
pub const KERNEL_STEPS: u32 = 3;

/// Steps of which the largest goes on.
pub const POOLED_STEPS: u32 = 2;

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `x W + b`. Tensors: `weight` [inputs, outputs], `bias` [outputs].
    Linear {
        /// Values that it takes.
        inputs: u32,
        /// Values that it gives.
        outputs: u32,
    },
    /// What is above zero. No tensors.
    Relu {
        /// Values that it takes and gives.
        width: u32,
    },
    /// `i, f, o = σ(z)`, `g = tanh(z)`, `c ← f c + i g`, `h ← o tanh(c)`, with `z = x W + h U + b` for the four side by side
    /// in this order. Tensors: `weight` [inputs, 4 units], `recurrent` [units, 4 units], `bias` [4 units].
    Lstm {
        /// Steps of the sequence.
        steps: u32,
        /// Values of a step.
        inputs: u32,
        /// Width of `h` and `c`, which begin at 0.
        units: u32,
        /// Gives `h` of every step, and not of the last alone.
        is_whole: bool,
    },
    /// At each step where the kernel fits: the values of so many steps, as a row, `W + b`. Tensors: `weight` [kernel,
    /// inputs, channels], `bias` [channels].
    Convolution {
        /// Steps of the sequence.
        steps: u32,
        /// Values of a step.
        inputs: u32,
        /// Steps that it sees at once.
        kernel: u32,
        /// Values of a step that it gives.
        channels: u32,
    },
    /// Of so many steps the largest of each value; steps that are left over are left out. No tensors.
    MaxPool {
        /// Steps of the sequence.
        steps: u32,
        /// Values of a step.
        channels: u32,
        /// Steps of which one becomes.
        size: u32,
    },
    /// `x̃ W` of the `W` with the least mean squared error and norm (Hoerl and Kennard 1970), where `x̃` is `x` and a 1. Tensors:
    /// the means of `x̃ᵀ x̃`, `gram` [inputs + 1, inputs + 1], and of `x̃ᵀ y`, `cross` [inputs + 1, outputs].
    Ridge {
        /// Values that it takes.
        inputs: u32,
        /// Values that it gives.
        outputs: u32,
    },
    /// The last of the values that it takes, as so many principal components have them (Pearson 1901). Tensors: `gram`, as of a
    /// ridge regression.
    Principal {
        /// Values that it takes.
        inputs: u32,
        /// Values that it gives.
        outputs: u32,
        /// Of the largest variance.
        components: u32,
    },
}

impl Layer {
    /// Values that it takes.
    pub fn inputs(&self) -> u32 {
        match *self {
            Self::Linear { inputs, .. }
            | Self::Relu { width: inputs }
            | Self::Ridge { inputs, .. }
            | Self::Principal { inputs, .. } => inputs,
            Self::Lstm { steps, inputs, .. } | Self::Convolution { steps, inputs, .. } => {
                steps.saturating_mul(inputs)
            }
            Self::MaxPool { steps, channels, .. } => steps.saturating_mul(channels),
        }
    }

    /// Values that it gives.
    pub fn outputs(&self) -> u32 {
        match *self {
            Self::Linear { outputs, .. }
            | Self::Relu { width: outputs }
            | Self::Ridge { outputs, .. }
            | Self::Principal { outputs, .. } => outputs,
            Self::Lstm { steps, units, is_whole, .. } => {
                if is_whole {
                    steps.saturating_mul(units)
                } else {
                    units
                }
            }
            Self::Convolution { steps, kernel, channels, .. } => {
                steps.saturating_add(1).saturating_sub(kernel).saturating_mul(channels)
            }
            Self::MaxPool { steps, channels, size } => (steps / size).saturating_mul(channels),
        }
    }

    /// Its tensors as the layer of this number, in the order of their values.
    ///
    /// # Errors
    ///
    /// Never for the names and shapes that layers have.
    pub(super) fn tensors(&self, number: usize) -> Result<Vec<Tensor>, SchemaError> {
        let shapes: &[(&str, &[u32])] = match *self {
            Self::Relu { .. } | Self::MaxPool { .. } => &[],
            Self::Linear { inputs, outputs } => &[("weight", &[inputs, outputs]), ("bias", &[outputs])],
            Self::Lstm { inputs, units, .. } => {
                let gates = units.saturating_mul(4);
                &[("weight", &[inputs, gates]), ("recurrent", &[units, gates]), ("bias", &[gates])]
            }
            Self::Convolution { inputs, kernel, channels, .. } => {
                &[("weight", &[kernel, inputs, channels]), ("bias", &[channels])]
            }
            Self::Ridge { inputs, outputs } => {
                let seen = inputs.saturating_add(1);
                &[("gram", &[seen, seen]), ("cross", &[seen, outputs])]
            }
            Self::Principal { inputs, .. } => {
                let seen = inputs.saturating_add(1);
                &[("gram", &[seen, seen])]
            }
        };
        shapes.iter().map(|(name, shape)| Tensor::new(&format!("layer{number}.{name}"), shape)).collect()
    }

    /// Its first weights are uniform in ±1/√ of this: the values that one of its sums is of, and of an LSTM its units. None
    /// of what begins with zeros.
    pub(super) fn fan_in(&self) -> Option<u32> {
        match *self {
            Self::Linear { inputs, .. } => Some(inputs),
            Self::Lstm { units, .. } => Some(units),
            Self::Convolution { inputs, kernel, .. } => Some(inputs.saturating_mul(kernel)),
            Self::Relu { .. } | Self::MaxPool { .. } | Self::Ridge { .. } | Self::Principal { .. } => None,
        }
    }

    /// Whether its tensors are moments, of which those of several nodes together are the mean; nothing descends along a
    /// gradient.
    pub fn is_closed_form(&self) -> bool {
        matches!(self, Self::Ridge { .. } | Self::Principal { .. })
    }
}

impl Network {
    /// Whether it sees the record that it says, and not only those before.
    pub fn sees_record(self) -> bool {
        matches!(self, Self::Autoencoder | Self::Pca)
    }

    /// Whether it is computed out of moments, and not trained by descent.
    pub fn is_closed_form(self) -> bool {
        matches!(self, Self::Ridge | Self::Pca)
    }

    /// Whether it is made with so many hidden layers.
    pub(super) fn takes(self, hidden: &[u32]) -> bool {
        match self {
            Self::Ridge => hidden.is_empty(),
            Self::Pca => hidden.len() == 1,
            Self::Perceptron | Self::Lstm | Self::Convolution | Self::Autoencoder => true,
        }
    }

    /// From steps of so many values to as many outputs, with hidden layers of these widths: of a perceptron their
    /// values, of an LSTM its units, of a convolution its channels, of principal components how many they are.
    pub(super) fn layers(self, (steps, inputs): (u32, u32), hidden: &[u32], outputs: u32) -> Vec<Layer> {
        let mut layers = Vec::new();
        let seen = steps.saturating_mul(inputs);
        match self {
            Self::Ridge => return vec![Layer::Ridge { inputs: seen, outputs }],
            Self::Pca => {
                let components = hidden.first().copied().unwrap_or(0);
                return vec![Layer::Principal { inputs: seen, outputs, components }];
            }
            Self::Perceptron | Self::Lstm | Self::Convolution | Self::Autoencoder => (),
        }
        let mut sequence = (steps, inputs);
        for (place, &width) in hidden.iter().enumerate() {
            sequence = self.push(&mut layers, sequence, width, place + 1 == hidden.len());
        }
        let inputs = sequence.0.saturating_mul(sequence.1);
        layers.push(Layer::Linear { inputs, outputs });
        layers
    }

    /// A hidden layer; returns the steps and the values of a step that it gives.
    fn push(
        self,
        layers: &mut Vec<Layer>,
        (steps, inputs): (u32, u32),
        width: u32,
        is_last: bool,
    ) -> (u32, u32) {
        match self {
            // Closed forms have no hidden layers.
            Self::Perceptron | Self::Autoencoder | Self::Ridge | Self::Pca => {
                let inputs = steps.saturating_mul(inputs);
                layers.extend([Layer::Linear { inputs, outputs: width }, Layer::Relu { width }]);
                (1, width)
            }
            Self::Lstm => {
                layers.push(Layer::Lstm { steps, inputs, units: width, is_whole: !is_last });
                (if is_last { 1 } else { steps }, width)
            }
            Self::Convolution => {
                let kernel = KERNEL_STEPS.min(steps);
                let seen = steps - kernel + 1;
                let size = POOLED_STEPS.min(seen);
                let (kept, channels) = (seen / size, width);
                layers.extend([
                    Layer::Convolution { steps, inputs, kernel, channels },
                    Layer::Relu { width: seen.saturating_mul(channels) },
                    Layer::MaxPool { steps: seen, channels, size },
                ]);
                (kept, channels)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_takes_what_the_one_before_it_gives() {
        for network in [Network::Perceptron, Network::Lstm, Network::Convolution] {
            for (steps, hidden) in [(19, &[32, 16, 40][..]), (1, &[5, 5]), (2, &[3]), (7, &[])] {
                let layers = network.layers((steps, 6), hidden, 6);
                assert_eq!(layers[0].inputs(), steps * 6, "{network:?} {hidden:?}");
                assert_eq!(layers.last().unwrap().outputs(), 6);
                for pair in layers.windows(2) {
                    assert_eq!(pair[0].outputs(), pair[1].inputs(), "{network:?} {hidden:?}: {pair:?}");
                }
            }
        }
    }

    #[test]
    fn a_convolution_sees_fewer_steps_from_layer_to_layer() {
        let layers = Network::Convolution.layers((19, 6), &[32, 40], 6);
        assert_eq!(layers[0], Layer::Convolution { steps: 19, inputs: 6, kernel: 3, channels: 32 });
        assert_eq!(layers[2], Layer::MaxPool { steps: 17, channels: 32, size: 2 });
        assert_eq!(layers[3], Layer::Convolution { steps: 8, inputs: 32, kernel: 3, channels: 40 });
        assert_eq!(layers[6], Layer::Linear { inputs: 3 * 40, outputs: 6 });
    }

    #[test]
    fn an_lstm_has_four_gates_side_by_side() {
        let layers = Network::Lstm.layers((19, 6), &[64], 6);
        let [weight, recurrent, bias] = &layers[0].tensors(0).unwrap()[..] else { panic!("three tensors") };
        assert_eq!(
            (&*weight.shape, &*recurrent.shape, &*bias.shape),
            (&[6, 256][..], &[64, 256][..], &[256][..])
        );
        assert_eq!((recurrent.name.as_str(), layers[0].fan_in()), ("layer0.recurrent", Some(64)));
    }

    #[test]
    fn a_closed_form_has_second_moments_of_what_it_sees_and_a_one() {
        let [ridge] = Network::Ridge.layers((19, 6), &[], 6)[..] else { panic!("one layer") };
        let shapes = |layer: Layer| {
            layer.tensors(0).unwrap().iter().map(|tensor| tensor.shape.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(shapes(ridge), [vec![115, 115], vec![115, 6]]);
        let [pca] = Network::Pca.layers((1, 6), &[2], 6)[..] else { panic!("one layer") };
        assert_eq!(pca, Layer::Principal { inputs: 6, outputs: 6, components: 2 });
        assert_eq!(shapes(pca), [vec![7, 7]]);
        assert!(pca.is_closed_form() && ridge.is_closed_form() && ridge.fan_in().is_none());
    }
}
