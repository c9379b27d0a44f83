use std::slice;

use super::*;

/// Something was wrong in ten rows.
const WINDOW: Range<usize> = 40..50;

/// Scores of 100 rows, of which these have another score than 0.
fn scores(high: &[(usize, f64)]) -> Vec<Option<f64>> {
    let mut scores = vec![Some(0.0); 100];
    for (row, score) in high {
        scores[*row] = Some(*score);
    }
    scores
}

fn judged(high: &[(usize, f64)]) -> Outcome {
    judge(&[Series { scores: &scores(high), windows: slice::from_ref(&WINDOW) }])
}

fn assert_near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-5, "{value} instead of {expected}");
}

#[test]
fn the_scaled_sigmoid_has_the_values_of_the_paper() {
    // 2 / (1 + e^(5 y)) - 1.
    for (after, known) in [(-1.0, 0.986_614), (-0.5, 0.848_284), (0.0, 0.0), (1.0, -0.986_614), (3.0, -1.0)] {
        assert_near(sigmoid(after), known);
    }
}

#[test]
fn an_alarm_counts_by_how_early_in_its_window_it_is_and_only_the_first() {
    // Row 45 is half of the width before the end: 0.848284 / 0.986614.
    assert_near(judged(&[(45, 2.0)]).whole.raw, 0.859_793);
    assert_near(judged(&[(45, 2.0), (47, 2.0)]).whole.raw, 0.859_793);
    assert_near(judged(&[(40, 2.0)]).whole.raw, 1.0);
    // The last row: (2 / (1 + e^-0.5) - 1) / 0.986614.
    assert_near(judged(&[(49, 2.0)]).whole.raw, 0.248_242);
}

#[test]
fn an_alarm_outside_of_a_window_costs_least_right_after_it() {
    let cost = |row| {
        let outcome = judged(&[(40, 2.0), (row, 2.0)]);
        assert_eq!((outcome.whole.found, outcome.whole.false_alarms), (1, 1));
        outcome.whole.raw - 1.0
    };
    // Before every window and far behind one: the whole weight. Five rows after its last: 5 / 9 of the width less one.
    assert_near(cost(30), -0.11);
    assert_near(cost(80), -0.11);
    assert_near(cost(54), 0.11 * (2.0 / (1.0 + (25.0_f64 / 9.0).exp()) - 1.0));
    assert_near(cost(50), -0.11 * 0.270_876);
}

#[test]
fn a_perfect_detector_has_a_hundred_and_one_that_is_silent_has_nothing() {
    let perfect = judged(&[(40, 2.0)]);
    assert_near(perfect.whole.score().unwrap(), 100.0);
    assert_near(perfect.threshold.unwrap(), 2.0);
    // Nothing but alarms in the wrong place: the best threshold is none.
    let silent = judged(&[(20, 3.0), (21, 2.0)]);
    assert_eq!(silent.threshold, None);
    assert_near(silent.whole.score().unwrap(), 0.0);
    assert_eq!(judge(&[Series { scores: &scores(&[]), windows: &[] }]).whole.score(), None);
}

#[test]
fn what_lies_in_the_first_part_is_not_judged() {
    assert_eq!([100, 4032, 18_050].map(probation), [15, 604, 750]);
    let outcome = judged(&[(14, 9.0), (40, 2.0)]);
    assert_eq!(outcome.whole.false_alarms, 0);
}

#[test]
fn one_threshold_is_the_best_for_all_series_together() {
    let (one, other) =
        (scores(&[(40, 2.0)]), scores(&[(60, 3.0), (61, 3.0), (62, 3.0), (70, 2.5), (45, 1.0)]));
    let series = [&one, &other].map(|scores| Series { scores, windows: slice::from_ref(&WINDOW) });
    let outcome = judge(&series);
    // With 1.0 the second window is found too, for four false alarms.
    assert_near(outcome.threshold.unwrap(), 1.0);
    assert_eq!((outcome.whole.found, outcome.whole.false_alarms), (2, 4));
    assert_near(outcome.whole.raw, outcome.series[0].raw + outcome.series[1].raw);
    // A row without a score raises no alarm.
    let unscored = vec![None; 100];
    let silent = judge(&[Series { scores: &unscored, windows: slice::from_ref(&WINDOW) }]);
    assert_eq!((silent.whole.found, silent.threshold), (0, None));
}
