//! Rules that choose updates by their distances: Krum and Multi-Krum (Blanchard et al. 2017, section 4), Bulyan
//! (El Mhamdi et al. 2018, section 4).

use super::coordinate::mean_around_median;
use super::distance;

/// The mean of the `keep` deltas of the best scores: the smallest sums of the squared distances to the `n - f - 2`
/// closest others.
pub(super) fn multi_krum(deltas: &[&[f32]], byzantine: usize, keep: usize) -> Vec<f32> {
    let distances = distance::all(deltas);
    let candidates: Vec<usize> = (0..deltas.len()).collect();
    let mut ranked: Vec<(f64, usize)> =
        candidates.iter().map(|index| (score(&distances, &candidates, *index, byzantine), *index)).collect();
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    mean(deltas, ranked.iter().take(keep).map(|(_, index)| *index))
}

/// `n - 2 f` deltas, each the one that Krum chooses among those that are left; then of each value the mean of the
/// `n - 4 f` closest to the median.
pub(super) fn bulyan(deltas: &[&[f32]], byzantine: usize) -> Vec<f32> {
    let distances = distance::all(deltas);
    let mut left: Vec<usize> = (0..deltas.len()).collect();
    let mut chosen = Vec::new();
    while chosen.len() < deltas.len() - 2 * byzantine {
        let best = left
            .iter()
            .map(|index| (score(&distances, &left, *index, byzantine), *index))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map(|(_, index)| index)
            .expect("as many are left as are to be chosen");
        left.retain(|index| *index != best);
        chosen.push(deltas[best]);
    }
    mean_around_median(&chosen, chosen.len() - 2 * byzantine)
}

/// The sum of the squared distances to the `n - f - 2` closest of the candidates, at least to one.
fn score(distances: &[Vec<f64>], candidates: &[usize], index: usize, byzantine: usize) -> f64 {
    let others = candidates.iter().filter(|other| **other != index);
    let mut near: Vec<f64> = others.map(|other| distances[index][*other]).collect();
    near.sort_unstable_by(f64::total_cmp);
    let closest = candidates.len().saturating_sub(byzantine + 2).max(1);
    near.iter().take(closest).sum()
}

fn mean(deltas: &[&[f32]], chosen: impl Iterator<Item = usize>) -> Vec<f32> {
    let chosen: Vec<&[f32]> = chosen.map(|index| deltas[index]).collect();
    let value = |index: usize| {
        (chosen.iter().map(|delta| f64::from(delta[index])).sum::<f64>() / chosen.len() as f64) as f32
    };
    (0..chosen[0].len()).map(value).collect()
}
