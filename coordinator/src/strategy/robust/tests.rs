use super::Robust::{self, Bulyan, GeometricMedian, Median, MultiKrum, TrimmedMean};

fn combine(rule: Robust, deltas: &[&[f32]]) -> Vec<f32> {
    rule.combine(deltas, &vec![1; deltas.len()])
}

#[test]
fn the_median_of_each_value_is_its_own() {
    assert_eq!(combine(Median, &[&[1.0, 9.0], &[2.0, 7.0], &[30.0, 8.0]]), [2.0, 8.0]);
    assert_eq!(combine(Median, &[&[1.0], &[2.0], &[4.0], &[100.0]]), [3.0]);
}

#[test]
fn a_trimmed_mean_leaves_out_the_share_at_both_ends() {
    let deltas: [&[f32]; 5] = [&[-100.0, 3.0], &[1.0, 1.0], &[2.0, 90.0], &[6.0, 2.0], &[100.0, -90.0]];
    assert_eq!(combine(TrimmedMean { share: 0.2 }, &deltas), [3.0, 2.0]);
    assert_eq!(combine(TrimmedMean { share: 0.39 }, &deltas), [3.0, 2.0], "the number is rounded down");
    assert_eq!(combine(TrimmedMean { share: 0.4 }, &deltas), [2.0, 2.0]);
    assert_eq!(combine(TrimmedMean { share: 0.0 }, &deltas[1..4]), [3.0, 31.0]);
}

/// On a line: four close together, and one far away. With f = 1 each is scored by its 5 - 1 - 2 = 2 closest.
const LINE: [&[f32]; 5] = [&[0.0], &[1.0], &[3.0], &[4.5], &[100.0]];

#[test]
fn krum_chooses_the_update_whose_closest_others_are_closest() {
    // Scores: 1 + 9, 1 + 4, 4 + 2.25, 2.25 + 12.25, ..
    assert_eq!(combine(MultiKrum { byzantine: 1, keep: 1 }, &LINE), [1.0]);
    assert_eq!(combine(MultiKrum { byzantine: 1, keep: 3 }, &LINE), [(1.0 + 3.0) / 3.0]);
}

#[test]
fn bulyan_is_the_mean_around_the_median_of_what_krum_chooses() {
    // n = 7, f = 1: five are chosen, and three of each value kept.
    let deltas: [&[f32]; 7] =
        [&[0.0, 5.0], &[1.0, 5.5], &[2.5, 5.0], &[3.0, 4.0], &[4.2, 5.0], &[1e3, 5.0], &[5.0, -1e3]];
    // Krum chooses the third, the second, the fourth, the first and the fifth. Closest to 2.5 are 1, 2.5 and 3.
    let combined = combine(Bulyan { byzantine: 1 }, &deltas);
    assert!(
        (combined[0] - 6.5 / 3.0).abs() < 1e-6 && combined[1].to_bits() == 5.0_f32.to_bits(),
        "{combined:?}"
    );
}

#[test]
fn the_geometric_median_of_a_triangle_is_its_fermat_point() {
    // All angles under 120 degrees: from the point, each side is seen under 120 degrees. Of this triangle it is
    // (0, 1/√3).
    let found = combine(GeometricMedian, &[&[-1.0, 0.0], &[1.0, 0.0], &[0.0, 3.0]]);
    assert!(found[0].abs() < 1e-4 && (f64::from(found[1]) - 1.0 / 3.0_f64.sqrt()).abs() < 1e-4, "{found:?}");
}

#[test]
fn the_geometric_median_counts_samples() {
    let deltas: [&[f32]; 3] = [&[0.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]];
    let found = GeometricMedian.combine(&deltas, &[10, 1, 1]);
    assert!(found.iter().all(|value| value.abs() < 1e-4), "{found:?}");
}

/// Ten updates of (1, -1) and a little of their own, of which some are sent times -10.
fn attacked(wrong: usize) -> Vec<Vec<f32>> {
    let honest = |index: usize| {
        let own = 0.05 * (index as f32 - 4.5) / 4.5;
        vec![1.0 + own, -1.0 + own]
    };
    let sent = |index: usize| {
        let honest = honest(index);
        if index < wrong { honest.iter().map(|value| value * -10.0).collect() } else { honest }
    };
    (0..10).map(sent).collect()
}

#[test]
fn two_of_ten_that_send_ten_times_the_opposite_move_no_robust_rule() {
    let attacked = attacked(2);
    let deltas: Vec<&[f32]> = attacked.iter().map(Vec::as_slice).collect();
    let mean: f32 = deltas.iter().map(|delta| delta[0]).sum::<f32>() / 10.0;
    assert!(mean < -0.5, "the mean is turned round: {mean}");
    let rules = [
        Median,
        TrimmedMean { share: 0.2 },
        MultiKrum { byzantine: 2, keep: 1 },
        MultiKrum { byzantine: 2, keep: 6 },
    ];
    for rule in rules {
        let combined = combine(rule, &deltas);
        let far = combined.iter().zip([1.0, -1.0]).map(|(found, right): (&f32, f32)| (found - right).abs());
        assert!(far.clone().all(|far| far < 0.06), "{rule:?} {combined:?}");
    }
    // A wrong one of seven is what Bulyan bears; the geometric median is drawn a little.
    let bulyan = combine(Bulyan { byzantine: 1 }, &deltas[1..8]);
    assert!((bulyan[0] - 1.0).abs() < 0.06 && (bulyan[1] + 1.0).abs() < 0.06, "{bulyan:?}");
    let geometric = combine(GeometricMedian, &deltas);
    assert!((geometric[0] - 1.0).abs() < 0.1 && (geometric[1] + 1.0).abs() < 0.1, "{geometric:?}");
}

#[test]
#[should_panic(expected = "too few updates")]
fn a_rule_without_enough_updates_is_a_bug() {
    combine(Bulyan { byzantine: 1 }, &LINE);
}

#[test]
fn what_a_rule_needs_is_what_its_paper_says() {
    let needs = |rule: Robust| rule.needs();
    assert_eq!([Median, MultiKrum { byzantine: 2, keep: 1 }, Bulyan { byzantine: 2 }].map(needs), [1, 7, 11]);
}
