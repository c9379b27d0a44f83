use common::limits::{COHORT_MAX, WEIGHT_MAX};
use proptest::prelude::{any, prop_assert, proptest};

use super::*;
use crate::strategy::{DELTA_MAX, Server};

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn node(number: usize) -> NodeId {
    let mut node = NodeId([0; 32]);
    node.0[..8].copy_from_slice(&number.to_le_bytes());
    node
}

fn effort(weight: u64) -> Effort {
    Effort { weight, steps: 3, staleness: 0 }
}

type Updates = Vec<(NodeId, Vec<f32>, u64)>;

/// Updates of nodes numbered from 0, all with one weight.
fn equal<const N: usize>(deltas: &[[f32; N]]) -> Updates {
    deltas.iter().enumerate().map(|(number, delta)| (node(number), delta.to_vec(), 1)).collect()
}

fn next_model(strategy: Strategy, base: &[f32], updates: &Updates) -> Vec<f32> {
    let mut aggregator = Aggregator::new(strategy, base.len());
    for (node, delta, weight) in updates {
        aggregator.fold(*node, &bytes(delta), effort(*weight)).unwrap();
    }
    let mut model = base.to_vec();
    aggregator.finish(&mut model, &mut Moments::new());
    model
}

/// A small generator for orders and values: SplitMix64 (Steele et al. 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn cohort(nodes: usize, parameters: usize, seed: u64) -> Updates {
    let mut state = seed;
    let mut unit = move || (next(&mut state) >> 40) as f32 / (1_u64 << 24) as f32;
    (0..nodes)
        .map(|number| {
            let delta = (0..parameters).map(|_| (unit() - 0.5) * 10.0_f32.powf(unit() * 8.0 - 6.0)).collect();
            (node(number), delta, 1 + (unit() * 100_000.0) as u64)
        })
        .collect()
}

/// One strategy for each way to combine.
fn each_way() -> [Strategy; 7] {
    [
        Combine::Mean,
        Combine::NormalizedMean,
        Combine::Robust(Robust::Median),
        Combine::Robust(Robust::TrimmedMean { share: 0.1 }),
        Combine::Robust(Robust::MultiKrum { byzantine: 3, keep: 9 }),
        Combine::Robust(Robust::Bulyan { byzantine: 3 }),
        Combine::Robust(Robust::GeometricMedian),
    ]
    .map(|combine| Strategy { combine, clip_norm: Some(0.5), ..Strategy::FEDAVG })
}

#[test]
fn a_hundred_orders_of_arrival_give_the_same_bytes() {
    for strategy in each_way() {
        let mut updates = cohort(33, 257, 1);
        let base: Vec<f32> = cohort(1, 257, 2).remove(0).1;
        let expected = bytes(&next_model(strategy, &base, &updates));
        let mut state = 3;
        for _ in 0..100 {
            for last in (1..updates.len()).rev() {
                updates.swap(last, next(&mut state) as usize % (last + 1));
            }
            assert_eq!(bytes(&next_model(strategy, &base, &updates)), expected, "{strategy:?}");
        }
    }
}

#[test]
fn equal_updates_move_the_model_by_exactly_that_update() {
    let delta = vec![0.5, -0.25, 64.0, -64.0, 0.0, f32::MIN_POSITIVE];
    let updates = [3, WEIGHT_MAX, 1].map(|weight| (node(weight as usize), delta.clone(), weight));
    let model = next_model(Strategy::FEDAVG, &[1.0; 6], &updates.to_vec());
    assert_eq!(model, [1.5, 0.75, 65.0, -63.0, 1.0, 1.0]);
}

#[test]
fn a_full_cohort_of_the_largest_updates_does_not_overflow() {
    let mut aggregator = Aggregator::new(Strategy::FEDAVG, 2);
    for number in 0..COHORT_MAX {
        aggregator.fold(node(number), &bytes(&[DELTA_MAX, -DELTA_MAX]), effort(WEIGHT_MAX)).unwrap();
    }
    let mut model = [0.0; 2];
    aggregator.finish(&mut model, &mut Moments::default());
    assert_eq!(model.map(f32::to_bits), [DELTA_MAX, -DELTA_MAX].map(f32::to_bits));
}

#[test]
fn a_refused_update_changes_nothing_and_its_fault_says_which_value_was_wrong() {
    for strategy in each_way().map(|strategy| Strategy { clip_norm: None, ..strategy }) {
        let good = equal(&[[1.0; 11]; 15]);
        let expected = next_model(strategy, &[0.0; 11], &good);
        let mut aggregator = Aggregator::new(strategy, 11);
        for (node, delta, weight) in &good {
            aggregator.fold(*node, &bytes(delta), effort(*weight)).unwrap();
        }
        let mut fold = |delta: &[u8], weight| aggregator.fold(node(99), delta, effort(weight));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 64.000_01, -1.0e30] {
            for index in 0..11 {
                let mut delta = [0.5; 11];
                delta[index] = bad;
                match fold(&bytes(&delta), 1).unwrap_err() {
                    UpdateFault::NonFinite { index: found, .. } => {
                        assert!(found == index && !bad.is_finite());
                    }
                    UpdateFault::OutOfRange { index: found, value } => {
                        assert_eq!((found, value), (index, bad));
                    }
                    other => panic!("{other}"),
                }
            }
        }
        for length in [0, 43, 45, 48] {
            let shape = UpdateFault::WrongShape { expected_bytes: 44, found_bytes: length };
            assert_eq!(fold(&vec![0; length], 1), Err(shape));
        }
        for weight in [0, WEIGHT_MAX + 1, u64::MAX] {
            assert_eq!(fold(&[0; 44], weight), Err(UpdateFault::WrongWeight(weight)));
        }
        let mut model = [0.0; 11];
        aggregator.finish(&mut model, &mut Moments::default());
        assert_eq!(bytes(&model), bytes(&expected));
    }
}

#[test]
fn after_a_reset_nothing_is_left_of_the_round_before() {
    for strategy in each_way() {
        let mut aggregator = Aggregator::new(strategy, 3);
        for (node, delta, weight) in equal(&[[9.0; 3]; 20]) {
            aggregator.fold(node, &bytes(&delta), effort(weight)).unwrap();
        }
        aggregator.reset();
        let updates = equal(&[[0.125; 3]; 15]);
        for (node, delta, weight) in &updates {
            aggregator.fold(*node, &bytes(delta), effort(*weight)).unwrap();
        }
        let mut model = [1.0; 3];
        aggregator.finish(&mut model, &mut Moments::default());
        assert_eq!(bytes(&model), bytes(&[1.125; 3]), "{strategy:?}");
    }
}

#[test]
fn a_long_delta_is_clipped_to_the_norm_and_told_as_it_was() {
    for strategy in each_way().map(|strategy| Strategy { clip_norm: Some(5.0), ..strategy }) {
        let mut aggregator = Aggregator::new(strategy, 2);
        for number in 0..15 {
            // 3, 4, 5 and ten times as long.
            let folded = aggregator.fold(node(number), &bytes(&[30.0, 40.0]), effort(1)).unwrap();
            assert_eq!(folded.delta_norm.to_bits(), 50.0_f32.to_bits());
        }
        let mut model = [0.0; 2];
        aggregator.finish(&mut model, &mut Moments::default());
        assert!((model[0] - 3.0).abs() < 1e-6 && (model[1] - 4.0).abs() < 1e-6, "{strategy:?} {model:?}");
    }
    let unclipped = Strategy { clip_norm: Some(50.0), ..Strategy::FEDAVG };
    assert_eq!(next_model(unclipped, &[0.0; 2], &equal(&[[30.0, 40.0]])), [30.0, 40.0]);
}

#[test]
fn no_update_weighs_more_than_the_cap() {
    let updates = vec![(node(1), vec![1.0], 1000), (node(2), vec![-1.0], 10)];
    let model = |weight_cap| next_model(Strategy { weight_cap, ..Strategy::FEDAVG }, &[0.0], &updates)[0];
    assert_eq!((model(10), model(30)), (0.0, 0.5));
}

#[test]
fn the_normalized_mean_is_the_rule_of_wang() {
    // p = (1/4, 3/4), tau_eff = 1/4 x 2 + 3/4 x 6 = 5; 5 x (1/4 x 1/2 + 3/4 x -3/6) and 5 x (1/4 x 8/2 + 3/4 x 0).
    let updates = [(1, [1.0, 8.0], 10, 2), (2, [-3.0, 0.0], 30, 6)];
    let mut aggregator =
        Aggregator::new(Strategy { combine: Combine::NormalizedMean, ..Strategy::FEDAVG }, 2);
    for (number, delta, weight, steps) in updates {
        aggregator.fold(node(number), &bytes(&delta), Effort { weight, steps, staleness: 0 }).unwrap();
    }
    let mut model = [0.0; 2];
    aggregator.finish(&mut model, &mut Moments::new());
    assert_eq!(model.map(f32::to_bits), [-1.25_f32, 5.0].map(f32::to_bits));
    let refused = aggregator.fold(node(3), &bytes(&[0.0; 2]), Effort { weight: 1, steps: 0, staleness: 0 });
    assert_eq!(refused, Err(UpdateFault::WrongSteps(0)));
}

#[test]
fn a_server_steps_by_what_the_updates_were_combined_to() {
    let server = Server::Sgd { learning_rate: 0.5 };
    for strategy in each_way().map(|strategy| Strategy { server, clip_norm: None, ..strategy }) {
        assert_eq!(next_model(strategy, &[1.0], &equal(&[[1.0]; 15])), [1.5]);
    }
}

/// Rounding of each delta, plus that of the result to binary32.
fn tolerance(exact: f64) -> f64 {
    (exact.abs() + 1.0) * (-24_f64).exp2()
}

proptest! {
    #[test]
    fn the_mean_is_the_exact_weighted_mean_to_its_resolution(nodes in 1_usize..20, parameters in 1_usize..40, seed: u64) {
        let updates = cohort(nodes, parameters, seed);
        let base = cohort(1, parameters, !seed).remove(0).1;
        let model = next_model(Strategy::FEDAVG, &base, &updates);
        let total: u64 = updates.iter().map(|(_, _, weight)| weight).sum();
        for index in 0..parameters {
            let sum: f64 =
                updates.iter().map(|(_, delta, weight)| f64::from(delta[index]) * *weight as f64).sum();
            let exact = f64::from(base[index]) + sum / total as f64;
            prop_assert!((f64::from(model[index]) - exact).abs() <= tolerance(exact));
        }
    }

    #[test]
    fn no_bytes_make_the_fold_panic(delta in proptest::collection::vec(any::<u8>(), 0..64), weight: u64, steps: u32) {
        for strategy in each_way() {
            let effort = Effort { weight, steps, staleness: 0 };
            let _ = Aggregator::new(strategy, delta.len() / 4).fold(node(0), &delta, effort);
        }
    }
}

#[test]
fn what_was_added_before_a_wrong_value_was_met_is_taken_back() {
    let values = 3 * update::BLOCK + 5;
    let updates = cohort(3, values, 4);
    let strategy = Strategy { combine: Combine::Mean, ..Strategy::FEDAVG };
    let expected = next_model(strategy, &vec![0.0; values], &updates);
    let mut wrong = updates[0].1.clone();
    wrong[values - 7] = f32::NAN;
    let mut aggregator = Aggregator::new(strategy, values);
    for (node, delta, weight) in &updates {
        let fault = aggregator.fold(*node, &bytes(&wrong), effort(9)).unwrap_err();
        assert!(matches!(fault, UpdateFault::NonFinite { index, .. } if index == values - 7), "{fault}");
        aggregator.fold(*node, &bytes(delta), effort(*weight)).unwrap();
    }
    let mut model = vec![0.0; values];
    aggregator.finish(&mut model, &mut Moments::new());
    assert_eq!(bytes(&model), bytes(&expected));
}
