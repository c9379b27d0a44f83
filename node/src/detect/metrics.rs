//! How good scores are against labels: AUC-ROC, AUC-PR, and their volumes under the surface; and explanations against
//! known causes.

mod area;
mod hit_rate;
mod volume;

pub use area::{auc_pr, auc_roc};
pub use hit_rate::hit_rate;
pub use volume::{Volume, vus};

/// Labels and scores on which a measure has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// No rows.
    #[error("there is nothing to measure")]
    Empty,
    /// Labels and scores are not of the same rows.
    #[error("{labels} labels for {scores} scores")]
    WrongLength {
        /// Labels given.
        labels: usize,
        /// Scores given.
        scores: usize,
    },
    /// A score that is NaN or infinite.
    #[error("the score of row {row} is not finite")]
    NotFinite {
        /// The first such row.
        row: usize,
    },
    /// No row is labelled as anomalous.
    #[error("no row is labelled as anomalous")]
    NoPositives,
    /// Every row is labelled as anomalous.
    #[error("every row is labelled as anomalous")]
    NoNegatives,
}

/// Refuses what the measures cannot rank; the number of anomalous rows.
fn check(labels: &[bool], scores: &[f64]) -> Result<usize, MetricError> {
    if labels.len() != scores.len() {
        return Err(MetricError::WrongLength { labels: labels.len(), scores: scores.len() });
    }
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        return Err(MetricError::NotFinite { row });
    }
    match labels.iter().filter(|label| **label).count() {
        _ if labels.is_empty() => Err(MetricError::Empty),
        0 => Err(MetricError::NoPositives),
        positives if positives == labels.len() => Err(MetricError::NoNegatives),
        positives => Ok(positives),
    }
}

#[cfg(test)]
mod tests;
