//! SCAFFOLD beside FedAvg on what both are about: nodes whose optima differ, and that take many steps of their own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use common::id::NodeId;
use coordinator::strategy::{Aggregator, Combine, Effort, Moments, Strategy};
use node::participant::control;

/// Nodes with the losses `a/2 (y - b)²`: how curved each is, and where it is least.
const NODES: [(f32, f32); 4] = [(1.0, -3.0), (10.0, 0.5), (2.0, 2.0), (5.0, -1.0)];

const STEPS: u32 = 40;
const LEARNING_RATE: f32 = 0.05;

/// Where the mean of all losses is least: `Σ a b / Σ a`.
fn optimum() -> f32 {
    NODES.iter().map(|(a, b)| a * b).sum::<f32>() / NODES.iter().map(|(a, _)| a).sum::<f32>()
}

/// The model after so many rounds, in each of which `cohort` of the nodes take part, in turn.
fn run(combine: Combine, rounds: usize, cohort: usize) -> f32 {
    let strategy = Strategy { combine, ..Strategy::FEDAVG }.among(NODES.len() as u32);
    let (mut model, mut moments) = (vec![0.0_f32], Moments::new());
    let mut own = [[0.0_f32]; NODES.len()];
    let mut updates = Aggregator::new(strategy, 1);
    for round in 0..rounds {
        updates.reset();
        let server = moments.first().cloned().unwrap_or_else(|| vec![0.0]);
        for place in 0..cohort {
            let node = (round * cohort + place) % NODES.len();
            let (a, b) = NODES[node];
            let correction = control::correction(&server, &own[node])[0];
            let y = (0..STEPS).fold(model[0], |y, _| y - LEARNING_RATE * (a * (y - b) + correction));
            let mut delta = (y - model[0]).to_le_bytes().to_vec();
            if combine.has_control() {
                let next = control::next(&server, &own[node], (&model, &[y]), STEPS, LEARNING_RATE)[0];
                delta.extend((next - own[node][0]).to_le_bytes());
                own[node] = [next];
            }
            let effort = Effort { weight: 1, steps: STEPS, staleness: 0 };
            updates.fold(NodeId([node as u8; 32]), &delta, effort).unwrap();
        }
        updates.finish(&mut model, &mut moments);
    }
    model[0]
}

#[test]
fn where_nodes_differ_the_mean_drifts_to_a_wrong_point_and_scaffold_finds_the_optimum() {
    let far = (run(Combine::Mean, 300, NODES.len()) - optimum()).abs();
    assert!(far > 0.2, "many steps of each node pull the mean away: {far}");
    // All nodes in each round, and two of them in turn.
    for cohort in [NODES.len(), 2] {
        let near = (run(Combine::Scaffold { nodes: 0 }, 300, cohort) - optimum()).abs();
        assert!(near < 1e-3, "{cohort} of the nodes in a round: {near}");
    }
}
