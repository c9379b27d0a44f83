//! What is learned from: windows with the row that follows them, or inputs with the class that they are of.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use common::model::{Classifier, Forecaster, Layer};
use pipeline::Windows;

use super::LearnError;
use super::labelled::Share;
use super::values::rows;

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

    /// What the model sees of one: as many values as its first layer has inputs.
    ///
    /// # Panics
    ///
    /// When there is no such example.
    fn input(&self, index: usize) -> &[f32];

    /// The mean loss over those chosen, of what the model said of them ([chosen, outputs]), and its gradient by that.
    ///
    /// # Panics
    ///
    /// When there is no such example.
    fn loss(&self, output: Tensor<2>, chosen: &[usize]) -> (Tensor<1>, Tensor<2>);
}

/// Mean squared error over windows and metrics.
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

    fn input(&self, index: usize) -> &[f32] {
        self.past(index)
    }

    fn loss(&self, output: Tensor<2>, chosen: &[usize]) -> (Tensor<1>, Tensor<2>) {
        let next = rows(chosen.iter().map(|index| self.next(*index)), self.columns());
        let values = (chosen.len() * self.columns()) as f64;
        let error = output - next;
        (error.clone().square().mean(), error * (2.0 / values))
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

    fn input(&self, index: usize) -> &[f32] {
        self.input(index)
    }

    fn loss(&self, output: Tensor<2>, chosen: &[usize]) -> (Tensor<1>, Tensor<2>) {
        let classes = self.set().classes() as usize;
        let mut target = vec![0.0; chosen.len() * classes];
        for (row, index) in target.chunks_exact_mut(classes).zip(chosen) {
            row[self.class(*index) as usize] = 1.0;
        }
        let target = rows(target.chunks_exact(classes), classes);
        let (log, each) = (log_softmax(output, 1), 1.0 / chosen.len() as f64);
        let loss = (log.clone() * target.clone()).sum() * -each;
        (loss, (log.exp() - target) * each)
    }
}
