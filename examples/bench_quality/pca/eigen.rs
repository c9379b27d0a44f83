//! Eigenvalues and eigenvectors of a symmetric matrix.

/// Sweeps over all pairs; a matrix of telemetry's size has converged after some ten.
const SWEEPS_MAX: usize = 50;

/// Each eigenvalue with its eigenvector, which has length 1, the largest first: by Jacobi's method, cyclic by rows (Golub and
/// Van Loan, Matrix Computations, 4th edition, section 8.5).
///
/// # Panics
///
/// When the matrix is not square.
pub(crate) fn symmetric(mut matrix: Vec<Vec<f64>>) -> Vec<(f64, Vec<f64>)> {
    let count = matrix.len();
    assert!(matrix.iter().all(|row| row.len() == count), "the matrix is square");
    let mut vectors: Vec<Vec<f64>> =
        (0..count).map(|row| (0..count).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    let all: f64 = matrix.iter().flatten().map(|value| value * value).sum();
    for _ in 0..SWEEPS_MAX {
        let off_diagonal: f64 =
            (0..count).flat_map(|row| matrix[row][..row].iter()).map(|value| value * value).sum();
        if off_diagonal <= f64::EPSILON.powi(2) * all {
            break;
        }
        for p in 0..count {
            for q in p + 1..count {
                rotate(&mut matrix, &mut vectors, p, q);
            }
        }
    }
    let vector = |at: usize| vectors.iter().map(|row| row[at]).collect();
    let mut pairs: Vec<(f64, Vec<f64>)> = (0..count).map(|at| (matrix[at][at], vector(at))).collect();
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
    pairs
}

/// Makes two elements 0 by a rotation in their plane, the smaller of the two that do (algorithm 8.5.1).
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    if matrix[p][q].abs() <= f64::MIN_POSITIVE {
        return;
    }
    let tau = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
    let tangent = tau.signum() / (tau.abs() + tau.hypot(1.0));
    let cosine = tangent.hypot(1.0).recip();
    let sine = tangent * cosine;
    let turned = |one: f64, other: f64| (cosine * one - sine * other, sine * one + cosine * other);
    for row in matrix.iter_mut().chain(vectors) {
        (row[p], row[q]) = turned(row[p], row[q]);
    }
    let (above, below) = matrix.split_at_mut(q);
    for (one, other) in above[p].iter_mut().zip(&mut below[0]) {
        (*one, *other) = turned(*one, *other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_whose_eigenvalues_are_known_has_these() {
        // 2 - 2 cos(k pi / 4), k = 1, 2, 3: the second difference of three points.
        let pairs = symmetric(vec![vec![2.0, -1.0, 0.0], vec![-1.0, 2.0, -1.0], vec![0.0, -1.0, 2.0]]);
        let root = 2.0_f64.sqrt();
        let expected = [
            (2.0 + root, [0.5, -root / 2.0, 0.5]),
            (2.0, [root / 2.0, 0.0, -root / 2.0]),
            (2.0 - root, [0.5, root / 2.0, 0.5]),
        ];
        for ((value, vector), (known, along)) in pairs.iter().zip(expected) {
            let cosine: f64 = vector.iter().zip(along).map(|(one, other)| one * other).sum();
            assert!((value - known).abs() < 1e-12 && (cosine.abs() - 1.0).abs() < 1e-12, "{pairs:?}");
        }
    }

    #[test]
    fn eigenvectors_times_eigenvalues_give_the_matrix_again() {
        let count = 12;
        let element =
            |row: usize, column: usize| ((row * column) as f64).sin() + ((row + column) as f64).cos();
        let matrix: Vec<Vec<f64>> =
            (0..count).map(|row| (0..count).map(|column| element(row, column)).collect()).collect();
        let pairs = symmetric(matrix.clone());
        for (row, column) in (0..count * count).map(|at| (at / count, at % count)) {
            let sum: f64 = pairs.iter().map(|(value, vector)| value * vector[row] * vector[column]).sum();
            assert!((sum - matrix[row][column]).abs() < 1e-12, "{row}, {column}");
            let dot: f64 = pairs[row].1.iter().zip(&pairs[column].1).map(|(one, other)| one * other).sum();
            assert!((dot - f64::from(u8::from(row == column))).abs() < 1e-12, "{row}, {column}");
        }
        assert!(pairs.is_sorted_by(|one, other| one.0 >= other.0));
        assert!(symmetric(Vec::new()).is_empty());
        assert!(symmetric(vec![vec![0.0; 2]; 2]).iter().all(|(value, _)| value.abs() < 1e-300));
    }
}
