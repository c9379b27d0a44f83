//! Areas under the curves of a ranking, one point for each distinct score.

use super::{MetricError, check};

/// Area under the ROC curve: how probably an anomalous row scores above a usual one, a tie being half
/// (Fawcett 2006, algorithm 2).
///
/// # Errors
///
/// [`MetricError`] when there is nothing to rank.
pub fn auc_roc(labels: &[bool], scores: &[f64]) -> Result<f64, MetricError> {
    let positives = check(labels, scores)? as f64;
    let negatives = labels.len() as f64 - positives;
    let (mut area, mut below) = (0.0, Point::default());
    for point in points(labels, scores) {
        area += (point.false_alarms - below.false_alarms) * (point.hits + below.hits) / 2.0;
        below = point;
    }
    Ok(area / (positives * negatives))
}

/// Area under the precision-recall curve as average precision: the precision at each distinct score,
/// weighted by the recall it adds, without interpolation (Davis and Goadrich 2006 on why).
///
/// # Errors
///
/// [`MetricError`] when there is nothing to rank.
pub fn auc_pr(labels: &[bool], scores: &[f64]) -> Result<f64, MetricError> {
    let positives = check(labels, scores)? as f64;
    let (mut area, mut below) = (0.0, 0.0);
    for point in points(labels, scores) {
        area += (point.hits - below) * point.hits / (point.hits + point.false_alarms);
        below = point.hits;
    }
    Ok(area / positives)
}

/// Anomalous and usual rows at or above a score.
#[derive(Clone, Copy, Default)]
struct Point {
    hits: f64,
    false_alarms: f64,
}

/// The points of the curve from the highest score down.
fn points(labels: &[bool], scores: &[f64]) -> Vec<Point> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&left, &right| scores[right].total_cmp(&scores[left]));
    let mut point = Point::default();
    order
        // Sorted downwards, so this is a tie.
        .chunk_by(|&left, &right| scores[left] <= scores[right])
        .map(|tied| {
            for &row in tied {
                let count = if labels[row] { &mut point.hits } else { &mut point.false_alarms };
                *count += 1.0;
            }
            point
        })
        .collect()
}
