//! What a model over windows is to say of what comes next, and how wrong it is. A kind of task is a file.

mod failure;
mod load;
mod record;

use burn::tensor::Tensor;
use common::model::{Forecaster, Foresees};
use pipeline::Windows;

/// What is to be said.
pub(super) trait Aim {
    /// Whether it is known what should be said at this window.
    fn is_known(&self, windows: &Windows, index: usize) -> bool;

    /// Whether nothing is wrong at this window, as far as the aim can tell.
    fn is_healthy(&self, _: &Windows, _: usize) -> bool {
        true
    }

    /// Makes of the values that a window has, the oldest record first, what is seen of them.
    fn see(&self, _: &mut [f32]) {}

    /// Appends what the outputs should be at this window, where that is known.
    fn target(&self, windows: &Windows, index: usize, out: &mut Vec<f32>);

    /// Makes of the outputs for the values that a window has what is said of it.
    fn settle(&self, _: &[f32], _: &mut [f32]) {}

    /// The mean loss of what is and should be said, each [windows, outputs], and its gradient by what is said.
    fn loss(&self, output: Tensor<2>, target: Tensor<2>) -> (Tensor<1>, Tensor<2>);
}

/// What a task is to say.
pub(super) fn aim(task: &Forecaster) -> Box<dyn Aim + '_> {
    match &task.foresees {
        Foresees::Record => Box::new(record::Record),
        Foresees::Load(load) => Box::new(load::Ahead::of(load, &task.metrics)),
        Foresees::Failure(failure) => Box::new(failure::Ahead { steps: failure.steps as usize }),
    }
}

/// Those windows at which nothing is wrong, as far as it is known.
pub fn healthy(task: &Forecaster, windows: &Windows) -> Windows {
    let aim = aim(task);
    windows.only(|index| aim.is_healthy(windows, index))
}

/// Those windows of which it is known what a model of this task should say.
pub fn known(task: &Forecaster, windows: &Windows) -> Windows {
    let aim = aim(task);
    windows.only(|index| aim.is_known(windows, index))
}
