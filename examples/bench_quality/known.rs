//! What machines know together of their telemetry and of a model on it: an evaluation, as a coordinator and its nodes do it.

use std::sync::Arc;

use anyhow::Result;
use common::id::NodeId;
use common::model::{EVALUATION_ROUNDS, Forecaster, ParameterVector, Statistics, Task};
use coordinator::strategy::{Aggregator, Effort, Moments, Strategy};
use node::detect::{Divided, Preparation, statistics};

use super::dataset::Machine;

/// All rounds of an evaluation of this model on these machines.
///
/// # Errors
///
/// Why a machine's telemetry cannot be measured.
pub(crate) fn known(
    task: &Forecaster,
    model: &ParameterVector,
    machines: &[Machine],
    preparation: &Preparation,
) -> Result<Statistics> {
    let schema = Arc::new(Task::Evaluation(task.clone()).schema()?);
    let mut all = ParameterVector::zeros(schema).into_values();
    all[..model.values().len()].copy_from_slice(model.values());
    let mut updates = Aggregator::new(Strategy::FEDAVG, all.len());
    for round in 1..=EVALUATION_ROUNDS {
        let (_, known) = Statistics::behind(task, model.schema(), &all)?;
        updates.reset();
        for machine in machines {
            let own = Divided::of(task, &machine.training, preparation)?;
            let weight = own.training().rows.len() as u64;
            let told = statistics::measured(task, model, (&known, round), own, preparation)?;
            let values = [model.values(), told.values()].concat();
            let delta: Vec<u8> =
                values.iter().zip(&all).flat_map(|(to, from)| (to - from).to_le_bytes()).collect();
            let node = NodeId(*blake3::hash(machine.name.as_bytes()).as_bytes());
            updates.fold(node, &delta, Effort { weight, steps: 1, staleness: 0 })?;
        }
        updates.finish(&mut all, &mut Moments::default());
    }
    Ok(Statistics::behind(task, model.schema(), &all)?.1)
}
