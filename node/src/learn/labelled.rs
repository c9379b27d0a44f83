//! Inputs, each with the class that it is of: a set that is held once, and the shares of it that nodes have.

use std::sync::Arc;

use super::LearnError;

/// Inputs of one width, and the class of each.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledSet {
    inputs: u32,
    classes: u32,
    values: Vec<f32>,
    labels: Vec<u32>,
}

/// Some examples of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    set: Arc<LabelledSet>,
    chosen: Vec<u32>,
}

impl LabelledSet {
    /// `values` are the inputs one after the other, `labels` their classes, counted from 0.
    ///
    /// # Errors
    ///
    /// [`LearnError::Labels`] when they do not go together, or a class is none of so many.
    pub fn new(inputs: u32, classes: u32, values: Vec<f32>, labels: Vec<u32>) -> Result<Self, LearnError> {
        if Some(values.len()) != labels.len().checked_mul(inputs as usize)
            || u32::try_from(labels.len()).is_err()
        {
            let (values, labels) = (values.len(), labels.len());
            return Err(LearnError::Labels(format!(
                "{labels} labels for {values} values, {inputs} an example"
            )));
        }
        match labels.iter().position(|label| *label >= classes) {
            Some(at) => {
                let label = labels[at];
                Err(LearnError::Labels(format!("example {at} is of class {label}, and there are {classes}")))
            }
            None => Ok(Self { inputs, classes, values, labels }),
        }
    }

    /// Values of an example.
    pub fn inputs(&self) -> u32 {
        self.inputs
    }

    /// Classes, counted from 0.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    /// The class of each example.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The first so many examples, and the others.
    ///
    /// # Panics
    ///
    /// When there are fewer.
    pub fn split_at(mut self, count: usize) -> (Self, Self) {
        let values = self.values.split_off(count * self.inputs as usize);
        let labels = self.labels.split_off(count);
        let (inputs, classes) = (self.inputs, self.classes);
        (self, Self { inputs, classes, values, labels })
    }

    /// All of it.
    pub fn whole(self: &Arc<Self>) -> Share {
        self.share((0..self.labels.len() as u32).collect())
    }

    /// The examples chosen.
    ///
    /// # Panics
    ///
    /// When one is not in the set.
    pub fn share(self: &Arc<Self>, chosen: Vec<u32>) -> Share {
        assert!(chosen.iter().all(|index| (*index as usize) < self.labels.len()), "it shares what it has");
        Share { set: Arc::clone(self), chosen }
    }
}

impl Share {
    /// The set that it is a part of.
    pub fn set(&self) -> &LabelledSet {
        &self.set
    }

    /// How many examples it has.
    pub fn count(&self) -> usize {
        self.chosen.len()
    }

    /// The values of one.
    ///
    /// # Panics
    ///
    /// When there is no such example.
    pub fn input(&self, index: usize) -> &[f32] {
        let (inputs, from) = (self.set.inputs as usize, self.chosen[index] as usize);
        &self.set.values[from * inputs..(from + 1) * inputs]
    }

    /// The class of one.
    ///
    /// # Panics
    ///
    /// When there is no such example.
    pub fn class(&self, index: usize) -> u32 {
        self.set.labels[self.chosen[index] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_examples_chosen_in_their_order() {
        let set = LabelledSet::new(2, 3, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], vec![2, 0, 1]).unwrap();
        let share = Arc::new(set).share(vec![2, 0]);
        assert_eq!((share.count(), share.input(0), share.class(0)), (2, &[4.0, 5.0][..], 1));
        assert_eq!((share.input(1), share.class(1)), (&[0.0, 1.0][..], 2));
    }

    #[test]
    fn labels_that_do_not_go_with_their_values_are_refused() {
        let error = LabelledSet::new(2, 3, vec![0.0; 5], vec![0; 3]).unwrap_err().to_string();
        assert_eq!(error, "3 labels for 5 values, 2 an example");
        let error = LabelledSet::new(1, 3, vec![0.0; 2], vec![0, 3]).unwrap_err().to_string();
        assert_eq!(error, "example 1 is of class 3, and there are 3");
    }
}
