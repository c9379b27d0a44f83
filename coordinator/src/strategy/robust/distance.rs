//! Euclidean distances between deltas.

/// Partial sums of a distance.
const LANES: usize = 16;

/// `‖a - b‖²`, in lanes of a fixed number: it vectorises, and the order of additions is the same everywhere.
pub(super) fn squared(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (groups_a, rest_a) = a.as_chunks::<LANES>();
    let (groups_b, rest_b) = b.as_chunks::<LANES>();
    let square = |a: &f32, b: &f32| (f64::from(*a) - f64::from(*b)).powi(2);
    for (a, b) in groups_a.iter().zip(groups_b) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += square(a, b));
    }
    lanes.iter_mut().zip(rest_a.iter().zip(rest_b)).for_each(|(lane, (a, b))| *lane += square(a, b));
    lanes.iter().sum()
}

/// All of them: `[i][j]` is the squared distance of deltas `i` and `j`.
pub(super) fn all(deltas: &[&[f32]]) -> Vec<Vec<f64>> {
    let mut distances = vec![vec![0.0; deltas.len()]; deltas.len()];
    for i in 0..deltas.len() {
        for j in i + 1..deltas.len() {
            let distance = squared(deltas[i], deltas[j]);
            (distances[i][j], distances[j][i]) = (distance, distance);
        }
    }
    distances
}
