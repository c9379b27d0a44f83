//! Value by value: median and trimmed mean (Yin et al. 2018, definitions 1 and 2).

/// The median of each value; of an even number, the mean of the two in the middle.
pub(super) fn median(deltas: &[&[f32]]) -> Vec<f32> {
    each_value(deltas, middle)
}

/// The mean of each value without the `trim` largest and the `trim` smallest.
pub(super) fn trimmed_mean(deltas: &[&[f32]], trim: usize) -> Vec<f32> {
    each_value(deltas, |sorted| mean(&sorted[trim..sorted.len() - trim]))
}

/// The mean of the `keep` values closest to the median, of each value: the second half of Bulyan.
pub(super) fn mean_around_median(deltas: &[&[f32]], keep: usize) -> Vec<f32> {
    each_value(deltas, |sorted| {
        let median = middle(sorted);
        // Those closest to it lie side by side.
        let far = |value: f32| (f64::from(value) - median).abs();
        let mut from = 0;
        while from + keep < sorted.len() && far(sorted[from]) > far(sorted[from + keep]) {
            from += 1;
        }
        mean(&sorted[from..from + keep])
    })
}

fn middle(sorted: &[f32]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { f64::from(sorted[half]) } else { mean(&sorted[half - 1..=half]) }
}

fn each_value(deltas: &[&[f32]], combine: impl Fn(&[f32]) -> f64) -> Vec<f32> {
    let mut column = vec![0.0; deltas.len()];
    let values = deltas.first().map_or(0, |delta| delta.len());
    (0..values)
        .map(|index| {
            column.iter_mut().zip(deltas).for_each(|(value, delta)| *value = delta[index]);
            column.sort_unstable_by(f32::total_cmp);
            combine(&column) as f32
        })
        .collect()
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}
