//! What is learned from: windows of telemetry, or inputs with the class that they are of.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use common::model::{Classifier, Forecaster, Layer};
use pipeline::Windows;

use super::LearnError;
use super::aim::aim;
use super::labelled::Share;
use super::values::{matrix, rows};

/// What a model sees, what it should say, and how wrong it is.
pub trait Examples {
    /// What is trained on them.
    type Task;

    /// The layers of the task's model, from the input to the output.
    ///
    /// # Errors
    ///
    /// [`LearnError`] when these are examples of another task.
    fn layers(&self, task: &Self::Task) -> Result<Vec<Layer>, LearnError>;

    /// How many there are.
    fn count(&self) -> usize;

    /// What the model sees of those chosen: [chosen, inputs].
    ///
    /// # Panics
    ///
    /// When there is no such example.
    fn see(&self, task: &Self::Task, chosen: &[usize]) -> Tensor<2>;

    /// What its outputs should be of those chosen: [chosen, outputs].
    ///
    /// # Panics
    ///
    /// When there is no such example.
    fn target(&self, task: &Self::Task, chosen: &[usize]) -> Tensor<2>;

    /// Makes of its outputs for those chosen, one after the other, what the model says of them.
    fn settle(&self, _: &Self::Task, _chosen: &[usize], _outputs: &mut [f32]) {}

    /// The mean loss of what it says and should say, each [examples, outputs], and its gradient by what it says.
    fn loss(task: &Self::Task, output: Tensor<2>, target: Tensor<2>) -> (Tensor<1>, Tensor<2>);
}

/// The values that a window has for a model of this task.
fn seen_at<'w>(task: &Forecaster, windows: &'w Windows, index: usize) -> &'w [f32] {
    if task.sees_record() { windows.past_and_next(index) } else { windows.past(index) }
}

impl Examples for Windows {
    type Task = Forecaster;

    fn layers(&self, task: &Forecaster) -> Result<Vec<Layer>, LearnError> {
        let (past_steps, columns) = (self.past_steps(), self.columns());
        if past_steps == task.past_steps as usize && columns == task.metrics.len() {
            Ok(task.layers())
        } else {
            Err(LearnError::OtherWindows { past_steps, columns })
        }
    }

    fn count(&self) -> usize {
        self.count()
    }

    fn see(&self, task: &Forecaster, chosen: &[usize]) -> Tensor<2> {
        let aim = aim(task);
        let width = (self.past_steps() + usize::from(task.sees_record())) * self.columns();
        let mut values = Vec::with_capacity(chosen.len() * width);
        for index in chosen {
            let from = values.len();
            values.extend_from_slice(seen_at(task, self, *index));
            aim.see(&mut values[from..]);
        }
        matrix(values, width)
    }

    fn target(&self, task: &Forecaster, chosen: &[usize]) -> Tensor<2> {
        let aim = aim(task);
        let mut values = Vec::with_capacity(chosen.len() * self.columns());
        for index in chosen {
            aim.target(self, *index, &mut values);
        }
        let width = values.len() / chosen.len().max(1);
        matrix(values, width)
    }

    fn settle(&self, task: &Forecaster, chosen: &[usize], outputs: &mut [f32]) {
        let aim = aim(task);
        let each = outputs.len() / chosen.len().max(1);
        for (outputs, index) in outputs.chunks_exact_mut(each.max(1)).zip(chosen) {
            aim.settle(seen_at(task, self, *index), outputs);
        }
    }

    fn loss(task: &Forecaster, output: Tensor<2>, target: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
        aim(task).loss(output, target)
    }
}

/// Mean cross-entropy of the softmax.
impl Examples for Share {
    type Task = Classifier;

    fn layers(&self, task: &Classifier) -> Result<Vec<Layer>, LearnError> {
        let (inputs, classes) = (self.set().inputs(), self.set().classes());
        if (inputs, classes) == (task.inputs, task.classes) {
            Ok(task.layers())
        } else {
            Err(LearnError::OtherExamples { inputs, classes })
        }
    }

    fn count(&self) -> usize {
        self.count()
    }

    fn see(&self, task: &Classifier, chosen: &[usize]) -> Tensor<2> {
        rows(chosen.iter().map(|index| self.input(*index)), task.inputs as usize)
    }

    fn target(&self, task: &Classifier, chosen: &[usize]) -> Tensor<2> {
        let classes = task.classes as usize;
        let mut target = vec![0.0; chosen.len() * classes];
        for (row, index) in target.chunks_exact_mut(classes).zip(chosen) {
            row[self.class(*index) as usize] = 1.0;
        }
        rows(target.chunks_exact(classes), classes)
    }

    fn loss(_: &Classifier, output: Tensor<2>, target: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
        let (log, each) = (log_softmax(output, 1), 1.0 / target.dims()[0] as f64);
        let loss = (log.clone() * target.clone()).sum() * -each;
        (loss, (log.exp() - target) * each)
    }
}
