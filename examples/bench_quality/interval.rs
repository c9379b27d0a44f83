//! In what a mean lies but for chance.

use super::judge::mean;

/// The 0.975 quantile of Student's t for 1 to 9 degrees of freedom.
const STUDENT: [f64; 9] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];
/// That of the normal distribution.
const NORMAL: f64 = 1.959_964;

/// The 95 % interval of Student's t for the mean that these values are drawn around; none for fewer than two.
pub(crate) fn interval(values: &[f64]) -> Option<[f64; 2]> {
    let freedom = values.len().checked_sub(2)? + 1;
    let middle = mean(values.iter().copied())?;
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    let error = (squares / freedom as f64 / values.len() as f64).sqrt();
    let half = quantile(freedom) * error;
    Some([middle - half, middle + half])
}

/// Beyond the table by its expansion around the normal (Abramowitz and Stegun 1964, 26.7.5), within 0.0002.
fn quantile(freedom: usize) -> f64 {
    STUDENT.get(freedom - 1).copied().unwrap_or_else(|| {
        let (z, n) = (NORMAL, freedom as f64);
        let first = (z.powi(3) + z) / 4.0;
        let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
        let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
        z + first / n + second / n.powi(2) + third / n.powi(3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_published_tables() {
        for (freedom, known) in
            [(1, 12.7062), (2, 4.3027), (9, 2.2622), (10, 2.2281), (30, 2.0423), (120, 1.9799)]
        {
            assert!((quantile(freedom) - known).abs() < 2e-4, "{freedom}: {}", quantile(freedom));
        }
    }

    #[test]
    fn an_interval_is_so_many_standard_errors_around_the_mean() {
        // Mean 2, standard deviation 1, standard error 1 / sqrt(3).
        let [low, high] = interval(&[1.0, 2.0, 3.0]).unwrap();
        assert!((high - 2.0 - 4.3027 / 3.0_f64.sqrt()).abs() < 1e-9 && (low + high - 4.0).abs() < 1e-9);
        let [low, high] = interval(&[0.5; 4]).unwrap();
        assert!((high - low).abs() < 1e-12, "without chance there is no width");
        assert_eq!((interval(&[1.0]), interval(&[])), (None, None));
    }
}
