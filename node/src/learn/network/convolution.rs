//! A convolution over time: a linear layer over each stretch of steps.

use burn::tensor::Tensor;

use super::{Back, Pass, Slopes};

/// At each step where the kernel fits, the values of so many steps as a row, `W + b`.
pub(super) struct Convolution {
    /// [kernel x inputs, channels].
    pub(super) weight: Tensor<2>,
    /// [1, channels].
    pub(super) bias: Tensor<2>,
    /// Of the sequence.
    pub(super) steps: usize,
    /// Steps that it sees at once.
    pub(super) kernel: usize,
}

impl Convolution {
    /// Steps that it gives.
    fn given(&self) -> usize {
        self.steps - self.kernel + 1
    }

    /// Each stretch that it sees as a row, those of an example one after the other.
    fn stretches(&self, input: &Tensor<2>) -> Tensor<2> {
        let [examples, width] = input.dims();
        let [seen, _] = self.weight.dims();
        let inputs = width / self.steps;
        let stretch = |at: usize| input.clone().slice([0..examples, at * inputs..at * inputs + seen]);
        Tensor::cat((0..self.given()).map(stretch).collect(), 1).reshape([examples * self.given(), seen])
    }

    fn of(&self, stretches: Tensor<2>, examples: usize) -> Tensor<2> {
        let [_, channels] = self.weight.dims();
        (stretches.matmul(self.weight.clone()) + self.bias.clone())
            .reshape([examples, self.given() * channels])
    }
}

impl Pass for Convolution {
    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Back<'_>) {
        let ([examples, width], [seen, channels]) = (input.dims(), self.weight.dims());
        let stretches = self.stretches(&input);
        let output = self.of(stretches.clone(), examples);
        let back = move |by_output: Tensor<2>, is_wanted: bool| {
            let by_output = by_output.reshape([examples * self.given(), channels]);
            let by_weight = stretches.transpose().matmul(by_output.clone()).flatten(0, 1);
            let by_bias = by_output.clone().sum_dim(0).flatten(0, 1);
            // A step is in as many stretches as reach it.
            let by_input = is_wanted.then(|| {
                let each = by_output.matmul(self.weight.clone().transpose());
                let each = each.reshape([examples, self.given() * seen]);
                let inputs = width / self.steps;
                (0..self.given()).fold(Tensor::zeros([examples, width], &each.device()), |sum, at| {
                    let here = [0..examples, at * inputs..at * inputs + seen];
                    let more = each.clone().slice([0..examples, at * seen..(at + 1) * seen]);
                    let summed = sum.clone().slice(here.clone()) + more;
                    sum.slice_assign(here, summed)
                })
            });
            Slopes { by_input, by_parameters: vec![by_weight, by_bias] }
        };
        (output, Box::new(back))
    }
}
