//! What is trained, and how: by all machines together or by one alone, with as many passes.

use std::ops::ControlFlow;

use anyhow::Result;
use common::model::{Forecaster, ParameterVector};
use examples::together;
use node::detect::choice;
use node::learn::{Progress, Training, known};
use pipeline::{Table, Window, Windows, window};

pub(crate) struct Recipe {
    pub(crate) task: Forecaster,
    pub(crate) rounds: u32,
    /// In a round; from its seed comes the first model too.
    pub(crate) training: Training<'static>,
}

impl Recipe {
    /// All windows of a scaled table of which it is known what is to be said.
    pub(crate) fn windows(&self, table: Table) -> Windows {
        let params = Window { past_steps: self.task.past_steps, stride: 1, gap_steps: 3 };
        known(&self.task, &window(table, &params))
    }

    /// Trained by all of them.
    pub(crate) fn together(&self, machines: &[Windows]) -> Result<ParameterVector> {
        let named = |(machine, windows): (usize, &Windows)| (format!("machine-{machine}"), windows.clone());
        let machines = machines.iter().enumerate().map(named).collect();
        together::train(&self.task, self.rounds, &self.training, machines)
    }

    /// Trained on the tables of all of them in one place.
    pub(crate) fn centralised(&self, tables: &[Table]) -> Result<ParameterVector> {
        self.alone(&self.windows(together::pooled(self.task.metrics.len(), tables)))
    }

    /// Trained on these windows alone.
    pub(crate) fn alone(&self, windows: &Windows) -> Result<ParameterVector> {
        let go_on = &mut |_: Progress| ControlFlow::Continue(());
        let run = (self.rounds, self.training.seed);
        Ok(choice::train_alone(&self.task, &self.training, run, windows, go_on)?)
    }
}
