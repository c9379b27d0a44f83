//! Long short-term memory: one product for the inputs of all steps, and one a step for what the last one left.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::super::LearnError;
use super::super::values::floats;
use super::linear::add_product;
use super::{Back, ByRow, Pass, Slopes};

/// `i, f, o = σ(z)`, `g = tanh(z)`, `c ← f c + i g`, `h ← o tanh(c)`, with `z = x W + h U + b`.
pub(super) struct Lstm {
    /// [inputs, 4 units], of i, f, o and g side by side, as all of these.
    pub(super) weight: Tensor<2>,
    /// [units, 4 units].
    pub(super) recurrent: Tensor<2>,
    /// [1, 4 units].
    pub(super) bias: Tensor<2>,
    /// Of the sequence.
    pub(super) steps: usize,
    /// Gives `h` of every step, and not of the last alone.
    pub(super) is_whole: bool,
}

/// What a step leaves for the way back, each [examples, units].
struct Kept {
    /// i, f and o.
    gates: [Tensor<2>; 3],
    g: Tensor<2>,
    /// Of the step before.
    c: Tensor<2>,
    /// Of the step before.
    h: Tensor<2>,
    /// Of the new `c`.
    tanh: Tensor<2>,
}

impl Lstm {
    fn units(&self) -> usize {
        self.recurrent.dims()[0]
    }

    /// Rows of examples, each with all its steps, as rows of steps, each with all its examples.
    fn by_step(&self, input: Tensor<2>) -> Tensor<2> {
        let [examples, width] = input.dims();
        let inputs = width / self.steps;
        input.reshape([examples, self.steps, inputs]).swap_dims(0, 1).reshape([self.steps * examples, inputs])
    }

    /// And back.
    fn by_example(&self, by_step: Tensor<2>) -> Tensor<2> {
        let [rows, values] = by_step.dims();
        let examples = rows / self.steps;
        by_step
            .reshape([self.steps, examples, values])
            .swap_dims(0, 1)
            .reshape([examples, self.steps * values])
    }

    /// A step, from what the inputs say of it and the `c` and `h` before it; what it leaves, with the new `c` and `h`.
    fn step(&self, said: Tensor<2>, before: [Tensor<2>; 2], is_first: bool) -> (Kept, [Tensor<2>; 2]) {
        let ([examples, _], units, [c, h]) = (said.dims(), self.units(), before);
        // What is 0 before the first step says nothing.
        let sums = if is_first { said } else { said + h.clone().matmul(self.recurrent.clone()) };
        let all = sigmoid(sums.clone().slice([0..examples, 0..3 * units]));
        let gates =
            [0, 1, 2].map(|place| all.clone().slice([0..examples, place * units..(place + 1) * units]));
        let g = sums.slice([0..examples, 3 * units..4 * units]).tanh();
        let next = gates[1].clone() * c.clone() + gates[0].clone() * g.clone();
        let tanh = next.clone().tanh();
        let given = gates[2].clone() * tanh.clone();
        (Kept { gates, g, c, h, tanh }, [next, given])
    }

    /// The gradient by `z` of a step and by the `c` before it, from those by its `h` and its `c`.
    fn step_back(kept: &Kept, by_h: Tensor<2>, by_c: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let Kept { gates: [i, f, o], g, c, tanh, .. } = kept;
        let by_o = by_h.clone() * tanh.clone();
        let by_c = by_c + by_h * o.clone() * (-tanh.clone().square() + 1.0);
        let through = |gate: &Tensor<2>, by: Tensor<2>| by * gate.clone() * (-gate.clone() + 1.0);
        let by_z = Tensor::cat(
            vec![
                through(i, by_c.clone() * g.clone()),
                through(f, by_c.clone() * c.clone()),
                through(o, by_o),
                by_c.clone() * i.clone() * (-g.clone().square() + 1.0),
            ],
            1,
        );
        (by_z, by_c * f.clone())
    }
}

/// The same without tensors.
struct LstmByRow {
    weight: Vec<f32>,
    recurrent: Vec<f32>,
    bias: Vec<f32>,
    steps: usize,
    is_whole: bool,
}

impl ByRow for LstmByRow {
    fn forward(&self, input: &[f32], output: &mut Vec<f32>) {
        let units = self.bias.len() / 4;
        let (mut cells, mut given, mut sums) = (vec![0.0; units], vec![0.0; units], vec![0.0; 4 * units]);
        output.clear();
        for step in input.chunks_exact(input.len() / self.steps) {
            sums.copy_from_slice(&self.bias);
            add_product(step, &self.weight, &mut sums);
            add_product(&given, &self.recurrent, &mut sums);
            for unit in 0..units {
                let [i, f, o] = [0, 1, 2].map(|gate| 1.0 / (1.0 + (-sums[gate * units + unit]).exp()));
                cells[unit] = f * cells[unit] + i * sums[3 * units + unit].tanh();
                given[unit] = o * cells[unit].tanh();
            }
            if self.is_whole {
                output.extend_from_slice(&given);
            }
        }
        if !self.is_whole {
            output.extend_from_slice(&given);
        }
    }
}

impl Pass for Lstm {
    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Back<'_>) {
        let (examples, units, device) = (input.dims()[0], self.units(), input.device());
        let steps = self.by_step(input);
        let from_input = steps.clone().matmul(self.weight.clone()) + self.bias.clone();
        let of_step = move |all: &Tensor<2>, step: usize| {
            let [_, width] = all.dims();
            all.clone().slice([step * examples..(step + 1) * examples, 0..width])
        };
        let nothing = Tensor::<2>::zeros([examples, units], &device);
        let mut state = [nothing.clone(), nothing.clone()];
        let (mut kept, mut said) = (Vec::with_capacity(self.steps), Vec::new());
        for step in 0..self.steps {
            let left;
            (left, state) = self.step(of_step(&from_input, step), state, step == 0);
            kept.push(left);
            if self.is_whole {
                said.push(state[1].clone());
            }
        }
        let [_, last] = state;
        let output = if self.is_whole { self.by_example(Tensor::cat(said, 0)) } else { last };
        let back = move |by_output: Tensor<2>, is_wanted: bool| {
            let by_said = if self.is_whole { self.by_step(by_output) } else { by_output };
            let mut by_h = if self.is_whole { nothing.clone() } else { by_said.clone() };
            let mut by_c = nothing;
            let mut by_z = Vec::with_capacity(self.steps);
            for (step, kept) in kept.iter().enumerate().rev() {
                if self.is_whole {
                    by_h = by_h + of_step(&by_said, step);
                }
                let slope;
                (slope, by_c) = Self::step_back(kept, by_h.clone(), by_c);
                if step > 0 {
                    by_h = slope.clone().matmul(self.recurrent.clone().transpose());
                }
                by_z.push(slope);
            }
            by_z.reverse();
            let by_z = Tensor::cat(by_z, 0);
            let before = Tensor::cat(kept.into_iter().map(|kept| kept.h).collect(), 0);
            let by_input =
                is_wanted.then(|| self.by_example(by_z.clone().matmul(self.weight.clone().transpose())));
            let by_parameters = vec![
                steps.transpose().matmul(by_z.clone()).flatten(0, 1),
                before.transpose().matmul(by_z.clone()).flatten(0, 1),
                by_z.sum_dim(0).flatten(0, 1),
            ];
            Slopes { by_input, by_parameters }
        };
        (output, Box::new(back))
    }

    fn by_row(&self) -> Result<Box<dyn ByRow>, LearnError> {
        Ok(Box::new(LstmByRow {
            weight: floats(self.weight.clone())?,
            recurrent: floats(self.recurrent.clone())?,
            bias: floats(self.bias.clone())?,
            steps: self.steps,
            is_whole: self.is_whole,
        }))
    }
}
