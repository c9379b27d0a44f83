//! A convolution over time: a linear layer over each stretch of steps.

use burn::tensor::Tensor;

use super::super::LearnError;
use super::linear::LinearByRow;
use super::{Back, ByRow, Linear, Pass, Slopes};

/// At each step where the kernel fits, what the linear layer makes of the values of so many steps as a row.
pub(super) struct Convolution {
    /// From kernel x inputs to channels.
    pub(super) linear: Linear,
    /// Of the sequence.
    pub(super) steps: usize,
    /// Steps that it sees at once.
    pub(super) kernel: usize,
}

/// The same without tensors.
struct ConvolutionByRow {
    linear: LinearByRow,
    steps: usize,
    kernel: usize,
}

impl ByRow for ConvolutionByRow {
    fn forward(&self, input: &[f32], output: &mut Vec<f32>) {
        let inputs = input.len() / self.steps;
        output.clear();
        for at in 0..=self.steps - self.kernel {
            self.linear.append(&input[at * inputs..(at + self.kernel) * inputs], output);
        }
    }
}

impl Pass for Convolution {
    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Back<'_>) {
        let ([examples, width], [seen, channels]) = (input.dims(), self.linear.weight.dims());
        let (given, inputs) = (self.steps - self.kernel + 1, width / self.steps);
        let stretch = move |at: usize| [0..examples, at * inputs..at * inputs + seen];
        // Each stretch that it sees as a row, those of an example one after the other.
        let stretches = (0..given).map(|at| input.clone().slice(stretch(at))).collect();
        let stretches = Tensor::cat(stretches, 1).reshape([examples * given, seen]);
        let (output, through) = self.linear.traced(stretches);
        let back = move |by_output: Tensor<2>, is_wanted: bool| {
            let slopes = through(by_output.reshape([examples * given, channels]), is_wanted);
            // A step is in as many stretches as reach it.
            let by_input = slopes.by_input.map(|each| {
                let each = each.reshape([examples, given * seen]);
                (0..given).fold(Tensor::zeros([examples, width], &each.device()), |sum, at| {
                    let more = each.clone().slice([0..examples, at * seen..(at + 1) * seen]);
                    let summed = sum.clone().slice(stretch(at)) + more;
                    sum.slice_assign(stretch(at), summed)
                })
            });
            Slopes { by_input, ..slopes }
        };
        (output.reshape([examples, given * channels]), Box::new(back))
    }

    fn by_row(&self) -> Result<Box<dyn ByRow>, LearnError> {
        let Self { ref linear, steps, kernel } = *self;
        Ok(Box::new(ConvolutionByRow { linear: linear.without_tensors()?, steps, kernel }))
    }
}
