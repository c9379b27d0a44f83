use proptest::prelude::*;

use super::*;

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn average(base: &[f32], updates: &[(Vec<f32>, u64)]) -> Vec<f32> {
    let mut sum = FedAvg::new(base.len());
    for (delta, weight) in updates {
        sum.fold(&bytes(delta), *weight).unwrap();
    }
    let mut model = base.to_vec();
    sum.finish(&mut model);
    model
}

/// A small generator for orders and values: SplitMix64 (Steele et al. 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn cohort(nodes: usize, parameters: usize, seed: u64) -> Vec<(Vec<f32>, u64)> {
    let mut state = seed;
    let unit = move || (next(&mut state) >> 40) as f32 / (1_u64 << 24) as f32;
    let mut unit = unit;
    (0..nodes)
        .map(|_| {
            let delta = (0..parameters).map(|_| (unit() - 0.5) * 10.0_f32.powf(unit() * 8.0 - 6.0)).collect();
            (delta, 1 + (unit() * 100_000.0) as u64)
        })
        .collect()
}

#[test]
fn a_hundred_orders_of_arrival_give_the_same_bytes() {
    let mut updates = cohort(33, 257, 1);
    let base: Vec<f32> = cohort(1, 257, 2).remove(0).0;
    let expected = bytes(&average(&base, &updates));
    let mut state = 3;
    for _ in 0..100 {
        for last in (1..updates.len()).rev() {
            updates.swap(last, next(&mut state) as usize % (last + 1));
        }
        assert_eq!(bytes(&average(&base, &updates)), expected);
    }
}

#[test]
fn equal_updates_move_the_model_by_exactly_that_update() {
    let delta = vec![0.5, -0.25, 64.0, -64.0, 0.0, f32::MIN_POSITIVE];
    let model = average(&[1.0; 6], &[(delta.clone(), 3), (delta.clone(), WEIGHT_MAX), (delta, 1)]);
    assert_eq!(model, [1.5, 0.75, 65.0, -63.0, 1.0, 1.0]);
}

#[test]
fn a_full_cohort_of_the_largest_updates_does_not_overflow() {
    let mut sum = FedAvg::new(2);
    for _ in 0..COHORT_MAX {
        sum.fold(&bytes(&[DELTA_MAX, -DELTA_MAX]), WEIGHT_MAX).unwrap();
    }
    assert_eq!(sum.sums, [1 << 62, -(1 << 62)]);
    let mut model = [0.0; 2];
    sum.finish(&mut model);
    assert_eq!(model.map(f32::to_bits), [DELTA_MAX, -DELTA_MAX].map(f32::to_bits));
}

#[test]
fn a_rejected_update_leaves_the_sum_as_it_was_and_says_which_value_was_wrong() {
    let mut sum = FedAvg::new(11);
    sum.fold(&bytes(&[1.0; 11]), 2).unwrap();
    let before = (sum.sums.clone(), sum.folded, sum.weight_total);

    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 64.000_01, -1.0e30] {
        for index in 0..11 {
            let mut delta = [0.5; 11];
            delta[index] = bad;
            match sum.fold(&bytes(&delta), 1).unwrap_err() {
                UpdateFault::NonFinite { index: found, .. } => assert!(found == index && !bad.is_finite()),
                UpdateFault::OutOfRange { index: found, value } => assert_eq!((found, value), (index, bad)),
                other => panic!("{other}"),
            }
        }
    }
    for length in [0, 43, 45, 48] {
        let shape = UpdateFault::WrongShape { expected_bytes: 44, found_bytes: length };
        assert_eq!(sum.fold(&vec![0; length], 1), Err(shape));
    }
    for weight in [0, WEIGHT_MAX + 1, u64::MAX] {
        assert_eq!(sum.fold(&[0; 44], weight), Err(UpdateFault::WrongWeight(weight)));
    }
    assert_eq!((sum.sums, sum.folded, sum.weight_total), before);
}

#[test]
fn a_reset_sum_remembers_nothing_of_the_round_before() {
    let mut sum = FedAvg::new(3);
    sum.fold(&bytes(&[9.0; 3]), 7).unwrap();
    sum.reset();
    sum.fold(&bytes(&[2.0; 3]), 1).unwrap();
    let mut model = [1.0; 3];
    sum.finish(&mut model);
    assert_eq!((model, sum.folded(), sum.weight_total()), ([3.0; 3], 1, 1));
}

#[test]
fn folding_tells_the_norm_of_the_delta() {
    let folded = FedAvg::new(10).fold(&bytes(&[-2.0; 10]), 1).unwrap();
    assert!((folded.delta_norm - 40_f32.sqrt()).abs() < 1.0e-6);
}

/// Rounding of each delta, plus that of the result to binary32.
fn tolerance(exact: f64) -> f64 {
    (exact.abs() + 1.0) * (-24_f64).exp2()
}

proptest! {
    #[test]
    fn the_result_is_the_exact_weighted_mean_to_its_resolution(nodes in 1_usize..20, parameters in 1_usize..40, seed: u64) {
        let updates = cohort(nodes, parameters, seed);
        let base = cohort(1, parameters, !seed).remove(0).0;
        let model = average(&base, &updates);
        let total: u64 = updates.iter().map(|(_, weight)| weight).sum();
        for index in 0..parameters {
            let sum: f64 = updates.iter().map(|(delta, weight)| f64::from(delta[index]) * *weight as f64).sum();
            let exact = f64::from(base[index]) + sum / total as f64;
            prop_assert!((f64::from(model[index]) - exact).abs() <= tolerance(exact));
        }
    }

    #[test]
    fn a_delta_is_rounded_to_the_nearest_unit(delta in -DELTA_MAX..=DELTA_MAX, weight in 1..=WEIGHT_MAX) {
        let units = (f64::from(delta) * UNITS).round_ties_even() as i64;
        prop_assert_eq!(to_integer(to_units(delta) * weight as f64), units * weight as i64);
    }

    #[test]
    fn no_bytes_make_the_fold_panic(delta in proptest::collection::vec(any::<u8>(), 0..64), weight: u64) {
        let mut sum = FedAvg::new(delta.len() / 4);
        let accepted = sum.fold(&delta, weight).is_ok();
        prop_assert_eq!(sum.folded(), usize::from(accepted));
    }
}
