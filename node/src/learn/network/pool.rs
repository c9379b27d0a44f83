//! The largest of some steps.

use burn::tensor::Tensor;

use super::super::LearnError;
use super::{Back, ByRow, Pass, Slopes};

/// Of so many steps the largest of each value; steps that are left over are left out.
#[derive(Clone, Copy)]
pub(super) struct MaxPool {
    /// Of the sequence.
    pub(super) steps: usize,
    /// Values of a step.
    pub(super) channels: usize,
    /// Steps of which one becomes.
    pub(super) size: usize,
}

impl ByRow for MaxPool {
    fn forward(&self, input: &[f32], output: &mut Vec<f32>) {
        output.clear();
        for steps in input.chunks_exact(self.size * self.channels) {
            let largest = |channel: usize| {
                steps[channel..].iter().step_by(self.channels).copied().fold(f32::NEG_INFINITY, f32::max)
            };
            output.extend((0..self.channels).map(largest));
        }
    }
}

impl Pass for MaxPool {
    fn traced(&self, input: Tensor<2>) -> (Tensor<2>, Back<'_>) {
        let Self { steps, channels, size } = *self;
        let (examples, given) = (input.dims()[0], steps / size);
        let grouped: Tensor<4> =
            input.slice([0..examples, 0..given * size * channels]).reshape([examples, given, size, channels]);
        let (largest, places) = grouped.max_dim_with_indices(2);
        let back = move |by_output: Tensor<2>, _| {
            let by_output = by_output.reshape([examples, given, 1, channels]);
            // Of equal ones the first was taken.
            let steps_of: Vec<Tensor<4>> = (0..size)
                .map(|step| by_output.clone().mask_fill(places.clone().not_equal_elem(step as i64), 0.0))
                .collect();
            let by_kept = Tensor::cat(steps_of, 2).reshape([examples, given * size * channels]);
            let left = (steps - given * size) * channels;
            let by_input = if left == 0 {
                by_kept
            } else {
                let by_left = Tensor::zeros([examples, left], &by_kept.device());
                Tensor::cat(vec![by_kept, by_left], 1)
            };
            Slopes { by_input: Some(by_input), by_parameters: Vec::new() }
        };
        (largest.reshape([examples, given * channels]), Box::new(back))
    }

    fn by_row(&self) -> Result<Box<dyn ByRow>, LearnError> {
        Ok(Box::new(*self))
    }
}
