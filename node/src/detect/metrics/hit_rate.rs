//! How many of the metrics that caused a fault an explanation names.

use std::collections::BTreeSet;

/// `HitRate@P%` (Su et al. 2019, section 4.4): of the metrics that caused a fault, the share that is among the first P % as
/// many when all are ranked by their contributions, the largest first. 1 when there is no cause to be named.
pub fn hit_rate(contributions: &[f64], causes: &BTreeSet<usize>, percent: usize) -> f64 {
    if causes.is_empty() {
        return 1.0;
    }
    let mut ranked: Vec<usize> = (0..contributions.len()).collect();
    ranked.sort_by(|one, other| contributions[*other].total_cmp(&contributions[*one]).then(one.cmp(other)));
    let named = ranked.iter().take(causes.len() * percent / 100);
    named.filter(|metric| causes.contains(metric)).count() as f64 / causes.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_among_the_first_as_many_count() {
        let contributions = [0.1, 3.0, 0.0, 2.0, 0.5, 1.0];
        let causes = BTreeSet::from([1, 4]);
        // Ranked: 1, 3, 5, 4, 0, 2.
        for (percent, named) in [(100, 1), (150, 1), (200, 2)] {
            let rate = hit_rate(&contributions, &causes, percent);
            assert!((rate * 2.0 - f64::from(named)).abs() < 1e-12, "{percent} %: {rate}");
        }
        assert!((hit_rate(&contributions, &BTreeSet::from([1, 2, 3]), 100) - 2.0 / 3.0).abs() < 1e-12);
        assert!((hit_rate(&contributions, &BTreeSet::new(), 100) - 1.0).abs() < 1e-12);
        // More than all are all.
        assert!((hit_rate(&contributions, &BTreeSet::from([0, 1, 2, 3, 4]), 150) - 1.0).abs() < 1e-12);
    }
}
