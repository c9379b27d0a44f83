//! Runs in which some nodes send the opposite of what they learned.

use anyhow::Result;
use common::crypto::Plain;
use common::message::update::{self, Change};
use coordinator::config::RunConfig;
use coordinator_simulate::federation::{Federation, Step};
use node::outgoing;

use super::machines::Machines;

/// What an attacker multiplies its update with.
const FACTOR: f32 = -10.0;

/// One node of so many attacks.
const EVERY: usize = 5;

/// Whether the node in this place attacks.
pub(crate) fn is_attacker(node: usize) -> bool {
    node.is_multiple_of(EVERY)
}

/// Nodes that attack, of so many.
pub(crate) fn attackers(nodes: usize) -> usize {
    nodes.div_ceil(EVERY)
}

/// Strategies and their keys in `[strategy]`, those that say how many wrong updates they bear with as many as there are, as
/// far as the number of nodes allows it.
pub(crate) fn strategies(nodes: usize) -> [(&'static str, String); 7] {
    let wrong = attackers(nodes);
    let bulyan = wrong.min((nodes - 3) / 4);
    [
        ("FedAvg", String::new()),
        ("FedAvg, updates clipped to a norm of 1", "clip_norm = 1.0".to_owned()),
        ("median", "combine = { kind = \"median\" }".to_owned()),
        ("trimmed mean", "combine = { kind = \"trimmed_mean\", share = 0.25 }".to_owned()),
        (
            "Multi-Krum",
            format!("combine = {{ kind = \"multi_krum\", byzantine = {wrong}, keep = {} }}", nodes - wrong),
        ),
        ("Bulyan", format!("combine = {{ kind = \"bulyan\", byzantine = {bulyan} }}")),
        ("geometric median", "combine = { kind = \"geometric_median\" }".to_owned()),
    ]
}

/// A run to its end, or as far as the attack lets it come.
pub(crate) fn run(
    machines: &Machines,
    config: &RunConfig,
    attacks: impl Fn(usize) -> bool,
) -> Result<Federation> {
    let ids = machines.ids();
    let nodes = ids.len();
    let mut federation = Federation::new(config, ids, nodes, 0.0)?;
    let plan = federation.plan().clone();
    let mut plaintext = Vec::new();
    loop {
        let wave = match federation.next_step() {
            Step::Train(wave) => wave,
            Step::Committed(_) | Step::Aborted(_) => continue,
            Step::Finished(_) | Step::Failed(_) => return Ok(federation),
        };
        for place in wave.nodes.iter().copied() {
            let trained = machines.population().train(place, &plan, (wave.round, &wave.model), None);
            // A model that was driven out of all bounds cannot be trained any more.
            let Ok(mut trained) = trained else {
                federation.on_declined(&wave, place);
                continue;
            };
            if attacks(place) {
                let values = trained.parameters.values_mut().iter_mut().zip(wave.model.values());
                values.for_each(|(value, base)| *value = base + FACTOR * (*value - base));
            }
            let head = outgoing::head(trained.samples, trained.steps, trained.loss);
            let change = Change { from: wave.model.values(), to: trained.parameters.values() };
            let plain = update::plaintext(&head, change, None);
            plaintext.resize(plain.bytes(), 0);
            plain.write(0, &mut plaintext);
            federation.on_update(&wave, place, &plaintext, None);
        }
    }
}
