use common::id::NodeId;

use crate::strategy::{Aggregator, Combine, DELTA_MAX, Effort, Moments, Server, Strategy, UpdateFault};

fn scaffold(nodes: u32, learning_rate: f64) -> Strategy {
    let (combine, server) = (Combine::Scaffold { nodes: 0 }, Server::Sgd { learning_rate });
    Strategy { combine, server, ..Strategy::FEDAVG }.among(nodes)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn effort(weight: u64) -> Effort {
    Effort { weight, steps: 4, staleness: 0 }
}

#[test]
fn the_model_moves_by_the_plain_mean_and_the_control_variate_by_the_share_of_all_nodes() {
    // By hand, for x = (1, 2), c = (0.5, -0.5), η = 0.5 and two of four nodes, which count alike:
    // mean Δy = ((0.5 - 0.25) / 2, (-0.25 + 0.75) / 2) = (0.125, 0.25), so x = (1.0625, 2.125);
    // mean Δc = ((1 - 0.5) / 2, (0 + 2) / 2) = (0.25, 1), of which the half goes to c = (0.625, 0).
    let mut updates = Aggregator::new(scaffold(4, 0.5), 2);
    updates.fold(NodeId([1; 32]), &bytes(&[0.5, -0.25, 1.0, 0.0]), effort(5)).unwrap();
    let folded = updates.fold(NodeId([2; 32]), &bytes(&[-0.25, 0.75, -0.5, 2.0]), effort(90)).unwrap();
    assert!((folded.delta_norm - 0.625_f32.sqrt()).abs() < 1e-6, "the norm is that of the model's delta");
    let (mut model, mut moments) = (vec![1.0, 2.0], vec![vec![0.5, -0.5]]);
    updates.finish(&mut model, &mut moments);
    assert_eq!((model, moments), (vec![1.0625, 2.125], vec![vec![0.625, 0.0]]));
}

#[test]
fn before_the_first_round_the_control_variate_is_zero() {
    let mut updates = Aggregator::new(scaffold(1, 1.0), 1);
    updates.fold(NodeId([1; 32]), &bytes(&[0.25, 4.0]), effort(1)).unwrap();
    let (mut model, mut moments) = (vec![1.0], Moments::new());
    updates.finish(&mut model, &mut moments);
    assert_eq!((model, moments), (vec![1.25], vec![vec![4.0]]));
}

#[test]
fn no_order_of_arrival_is_seen_in_the_control_variate() {
    let update = |node: u8| -> Vec<f32> {
        (0..64)
            .map(|index| (f32::from(node) * 1.7 + index as f32).sin() * 10_f32.powi(index % 7 - 5))
            .collect()
    };
    let made = |order: &[u8]| {
        let mut updates = Aggregator::new(scaffold(9, 1.0), 32);
        for node in order {
            updates.fold(NodeId([*node; 32]), &bytes(&update(*node)), effort(u64::from(*node))).unwrap();
        }
        let (mut model, mut moments) = (vec![0.5; 32], vec![vec![-0.25; 32]]);
        updates.finish(&mut model, &mut moments);
        (bytes(&model), bytes(&moments[0]))
    };
    let expected = made(&[1, 2, 3, 4, 5]);
    for order in [[5, 4, 3, 2, 1], [2, 5, 1, 4, 3], [3, 1, 4, 5, 2]] {
        assert_eq!(made(&order), expected);
    }
}

#[test]
fn a_control_variate_is_checked_as_a_delta_is() {
    let mut updates = Aggregator::new(scaffold(2, 1.0), 2);
    let mut fold = |values: &[f32]| updates.fold(NodeId([1; 32]), &bytes(values), effort(1)).unwrap_err();
    assert_eq!(fold(&[0.0; 2]), UpdateFault::WrongShape { expected_bytes: 16, found_bytes: 8 });
    assert!(matches!(fold(&[0.0, 0.0, f32::NAN, 0.0]), UpdateFault::NonFinite { index: 2, .. }));
    assert!(matches!(fold(&[0.0, 0.0, 0.0, DELTA_MAX * 2.0]), UpdateFault::OutOfRange { index: 3, .. }));
}
