//! One model of many machines: as a coordinator and its nodes train it, and what it takes to have all telemetry in one place.

use std::ops::ControlFlow;

use anyhow::Result;
use common::id::NodeId;
use common::model::{Forecaster, ParameterVector, Task};
use coordinator::config::RunConfig;
use coordinator_simulate::crew::Crew;
use coordinator_simulate::federation::Federation;
use coordinator_simulate::population::Population;
use node::learn::Training;
use pipeline::{Row, Table, Windows};

/// The model of these machines after so many rounds, each with all of them; their names seed the order of their windows.
///
/// # Errors
///
/// What cannot be trained.
///
/// # Panics
///
/// When the training has settings that no run has.
pub fn train(
    task: &Forecaster,
    rounds: u32,
    training: &Training<'_>,
    machines: Vec<(String, Windows)>,
) -> Result<ParameterVector> {
    let (names, windows): (Vec<String>, Vec<Windows>) = machines.into_iter().unzip();
    let nodes = names.len();
    let ids = names.iter().map(|name| NodeId(*blake3::hash(name.as_bytes()).as_bytes())).collect();
    let run = config(task, rounds, training, (nodes, ""));
    let population = Population::with_telemetry(names, task.clone(), windows, Vec::new());
    let mut federation = Federation::new(&run, ids, nodes, 0.0)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let go_on = &mut |_: &_, _: &_| Ok(ControlFlow::Continue(()));
    Crew::new(threads).run(&mut federation, &population, &|_, _| (), go_on)?;
    Ok((**federation.model()).clone())
}

/// A run of so many nodes, all of them in every round, with these keys of `[strategy]`.
///
/// # Panics
///
/// When training or strategy are none that a run has.
pub fn config(
    task: &Forecaster,
    rounds: u32,
    training: &Training<'_>,
    (nodes, strategy): (usize, &str),
) -> RunConfig {
    let Training { epochs, batch, learning_rate, seed, .. } = *training;
    let text = format!(
        "name = \"together\"\nseed = {seed}\nrounds = {rounds}\n\
         [cohort]\nminimum = {nodes}\ngoal = {nodes}\nover_selection = 1.0\n\
         [deadlines]\nselection_ms = 1\nconfiguration_ms = 1\nreporting_ms = 1\ncommitting_ms = 1\nattempts = 1\n\
         [training]\nepochs = {epochs}\nbatch = {batch}\nlearning_rate = {learning_rate}\nstride = 1\n\
         [strategy]\n{strategy}\n\
         [task]\nkind = \"flat\"\nparameters = 1\n"
    );
    // Windows are cut already: every how many records is nothing that the run decides.
    let run = RunConfig::parse(&text).expect("a configuration that was written here");
    RunConfig { task: Task::Forecaster(task.clone()), ..run }
}

/// Tables one below the other, the sources of each after those of the one before.
pub fn pooled<'t>(columns: usize, tables: impl IntoIterator<Item = &'t Table>) -> Table {
    let mut pooled = Table { columns, ..Table::default() };
    for table in tables {
        let first = pooled.rows.last().map_or(0, |row| row.source + 1);
        for (index, row) in table.rows.iter().enumerate() {
            pooled.push(Row { source: first + row.source, ..*row }, table.row(index));
        }
    }
    pooled
}
