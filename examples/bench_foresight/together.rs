//! How a model comes about: of all machines together, of one alone, or of all telemetry in one place.

use std::ops::ControlFlow;

use anyhow::Result;
use common::id::NodeId;
use common::model::{Forecaster, ParameterVector, Task};
use coordinator::config::RunConfig;
use coordinator_simulate::crew::Crew;
use coordinator_simulate::federation::Federation;
use coordinator_simulate::population::Population;
use node::learn::{Progress, Training, known, train};
use pipeline::{Row, Table, Window, Windows, window};

/// How it is trained, in each of these ways with as many passes.
pub(crate) struct Recipe {
    pub(crate) task: Forecaster,
    pub(crate) rounds: u32,
    /// Passes in a round.
    pub(crate) epochs: u32,
    pub(crate) seed: u64,
}

const BATCH: usize = 64;
const LEARNING_RATE: f64 = 1e-3;

impl Recipe {
    /// All windows of a scaled table of which it is known what is to be said.
    pub(crate) fn windows(&self, table: Table, gap_steps: u32) -> Windows {
        known(&self.task, &window(table, &Window { past_steps: self.task.past_steps, stride: 1, gap_steps }))
    }

    /// Trained by all of them, as a coordinator and its nodes do it.
    pub(crate) fn together(&self, machines: &[Windows]) -> Result<ParameterVector> {
        let names: Vec<String> = (0..machines.len()).map(|machine| format!("machine-{machine}")).collect();
        let ids = names.iter().map(|name| NodeId(*blake3::hash(name.as_bytes()).as_bytes())).collect();
        let population = Population::with_telemetry(names, self.task.clone(), machines.to_vec(), Vec::new());
        let mut federation = Federation::new(&self.run(machines.len()), ids, machines.len(), 0.0)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let go_on = &mut |_: &_, _: &_| Ok(ControlFlow::Continue(()));
        Crew::new(threads).run(&mut federation, &population, &|_, _| (), go_on)?;
        Ok((**federation.model()).clone())
    }

    fn run(&self, nodes: usize) -> RunConfig {
        let Self { rounds, epochs, seed, .. } = self;
        let text = format!(
            "name = \"foresight\"\nseed = {seed}\nrounds = {rounds}\n\
             [cohort]\nminimum = {nodes}\ngoal = {nodes}\nover_selection = 1.0\n\
             [deadlines]\nselection_ms = 1\nconfiguration_ms = 1\nreporting_ms = 1\ncommitting_ms = 1\nattempts = 1\n\
             [training]\nepochs = {epochs}\nbatch = {BATCH}\nlearning_rate = {LEARNING_RATE}\nstride = 1\n\
             [task]\nkind = \"flat\"\nparameters = 1\n"
        );
        let run = RunConfig::parse(&text).expect("a configuration that was written here");
        RunConfig { task: Task::Forecaster(self.task.clone()), ..run }
    }

    /// Trained on these windows alone.
    pub(crate) fn alone(&self, windows: &Windows) -> Result<ParameterVector> {
        let mut parameters = Task::Forecaster(self.task.clone()).initial(self.seed)?;
        for round in 1..=self.rounds {
            let Self { epochs, seed, .. } = *self;
            let (batch, learning_rate) = (BATCH, LEARNING_RATE);
            let settings = Training { epochs, batch, learning_rate, seed, round, ..Training::default() };
            parameters = train(&self.task, &parameters, windows, &settings, &mut go_on)?.parameters;
        }
        Ok(parameters)
    }
}

/// Tables one below the other, as sources of one.
pub(crate) fn pooled(tables: &[Table]) -> Table {
    let columns = tables.first().map_or(0, |table| table.columns);
    let mut pooled = Table { columns, ..Table::default() };
    for table in tables {
        let first = pooled.rows.last().map_or(0, |row| row.source + 1);
        for (index, row) in table.rows.iter().enumerate() {
            pooled.push(Row { source: first + row.source, ..*row }, table.row(index));
        }
    }
    pooled
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
