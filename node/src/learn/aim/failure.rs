//! Whether a failure begins within the next steps, as the logit of its probability: mean binary cross-entropy.

use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softplus};
use pipeline::Windows;

use super::Aim;

pub(super) struct Ahead {
    pub(super) steps: usize,
}

impl Ahead {
    fn fails(&self, windows: &Windows, index: usize) -> bool {
        windows.table().rows[windows.ahead(index, self.steps)].iter().any(|row| row.down)
    }
}

impl Aim for Ahead {
    /// Not while the machine is down; and without a failure only when the whole time without one was seen.
    fn is_known(&self, windows: &Windows, index: usize) -> bool {
        let is_whole = windows.ahead(index, self.steps).len() == self.steps;
        !windows.table().rows[windows.target(index)].down && (is_whole || self.fails(windows, index))
    }

    fn is_healthy(&self, windows: &Windows, index: usize) -> bool {
        !windows.table().rows[windows.target(index)].down && !self.fails(windows, index)
    }

    fn target(&self, windows: &Windows, index: usize, out: &mut Vec<f32>) {
        out.push(f32::from(u8::from(self.fails(windows, index))));
    }

    fn loss(&self, output: Tensor<2>, target: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
        let windows = target.dims()[0] as f64;
        let loss = softplus(output.clone(), 1.0) - output.clone() * target.clone();
        (loss.mean(), (sigmoid(output) - target) / windows)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::table;
    use super::super::super::values::{floats, rows};
    use super::*;
    use pipeline::{Window, window};

    #[test]
    fn a_failure_is_foreseen_before_it_and_not_while_it_lasts() {
        let mut rows = table(1, &[0.0; 9]);
        rows.rows[4].down = true;
        rows.rows[5].down = true;
        let windows = window(rows, &Window { past_steps: 1, stride: 1, gap_steps: 3 });
        let ahead = Ahead { steps: 2 };
        let said = |index| {
            let mut out = Vec::new();
            ahead.target(&windows, index, &mut out);
            ahead.is_known(&windows, index).then(|| out[0] > 0.5)
        };
        let said: Vec<Option<bool>> = (0..windows.count()).map(said).collect();
        // Rows 1 to 8: the last two are not followed by two more.
        let expected = [Some(false), Some(true), Some(true), None, None, Some(false), None, None];
        assert_eq!(said, expected);
    }

    #[test]
    fn the_loss_is_the_cross_entropy_of_the_probability() {
        let (yes, no) = (&[1.0][..], &[0.0][..]);
        let (loss, slope) = Ahead { steps: 1 }
            .loss(rows([&[2.0][..], &[2.0]].into_iter(), 1), rows([yes, no].into_iter(), 1));
        let probability = 1.0 / (1.0 + (-2.0_f32).exp());
        let expected = -(probability.ln() + (1.0 - probability).ln()) / 2.0;
        assert!((floats(loss).unwrap()[0] - expected).abs() < 1e-5);
        let slopes = floats(slope).unwrap();
        assert!(
            (slopes[0] - (probability - 1.0) / 2.0).abs() < 1e-6
                && (slopes[1] - probability / 2.0).abs() < 1e-6
        );
    }
}
