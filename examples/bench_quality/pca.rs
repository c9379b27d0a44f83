//! Principal components: a record is what a few directions, in which the history varied most, say of it.

use nalgebra::{DMatrix, SymmetricEigen};
use pipeline::{Table, Windows};

/// Share of the variance that is kept.
const KEPT: f64 = 0.9;

/// The mean of a history, and the directions that are kept.
pub(crate) struct Pca {
    means: Vec<f64>,
    components: Vec<Vec<f64>>,
}

impl Pca {
    /// The directions that explain 90 % of the variance of scaled telemetry.
    pub(crate) fn fit(history: &Table) -> Self {
        let rows = || history.values.chunks_exact(history.columns.max(1));
        let count = history.rows.len().max(1) as f64;
        let mut means = vec![0.0; history.columns];
        for row in rows() {
            means.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / count);
        }
        let away = |row: &[f32]| away(row, &means);
        let away = DMatrix::from_rows(&rows().map(|row| away(row).into()).collect::<Vec<_>>());
        // Shares of the variance are the same without a division by the number of rows.
        let SymmetricEigen { eigenvalues, eigenvectors } = (away.transpose() * &away).symmetric_eigen();
        let vectors = eigenvectors.column_iter().map(|vector| vector.iter().copied().collect());
        let mut pairs: Vec<(f64, Vec<f64>)> = eigenvalues.iter().copied().zip(vectors).collect();
        pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
        let all: f64 = pairs.iter().map(|(value, _)| value).sum();
        let mut explained = 0.0;
        let mut components = Vec::new();
        for (value, vector) in pairs {
            if explained >= KEPT * all {
                break;
            }
            explained += value;
            components.push(vector);
        }
        Self { means, components }
    }

    /// What the directions say of the row that each window foresees, in the layout of forecasts.
    pub(crate) fn rebuilt(&self, windows: &Windows) -> Vec<f32> {
        (0..windows.count()).flat_map(|index| self.rebuilt_row(windows.next(index))).collect()
    }

    fn rebuilt_row(&self, row: &[f32]) -> Vec<f32> {
        let away = away(row, &self.means);
        let mut rebuilt = self.means.clone();
        for component in &self.components {
            let along: f64 = component.iter().zip(&away).map(|(one, other)| one * other).sum();
            rebuilt.iter_mut().zip(component).for_each(|(sum, part)| *sum += along * part);
        }
        rebuilt.into_iter().map(|value| value as f32).collect()
    }
}

fn away(row: &[f32], means: &[f64]) -> Vec<f64> {
    row.iter().zip(means).map(|(value, mean)| f64::from(*value) - mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::units::Timestamp;
    use pipeline::Row;

    /// Rows around (1, 2, 3): far along (1, 1, 0), a little along (0, 0, 1).
    fn history() -> Table {
        let mut table = Table { columns: 3, ..Table::default() };
        for record in 0..100_u16 {
            let (far, little) = (f32::from(record) - 49.5, [0.5, -0.5, -0.5, 0.5][usize::from(record % 4)]);
            let row =
                Row { source: 0, at: Timestamp(u64::from(record)), record: usize::from(record), down: false };
            table.push(row, &[1.0 + far, 2.0 + far, 3.0 + little]);
        }
        table
    }

    #[test]
    fn what_lies_in_the_kept_directions_is_rebuilt_and_the_rest_is_the_mean() {
        let pca = Pca::fit(&history());
        assert_eq!(pca.components.len(), 1, "one direction has more than 90 %");
        for (row, expected) in [([6.0, 7.0, 3.0], [6.0, 7.0, 3.0]), ([3.0, 2.0, 9.0], [2.0, 3.0, 3.0])] {
            let rebuilt = pca.rebuilt_row(&row);
            assert!(
                rebuilt.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-4),
                "{rebuilt:?}"
            );
        }
    }

    #[test]
    fn a_history_that_never_changed_is_rebuilt_as_its_mean() {
        let mut table = Table { columns: 2, ..Table::default() };
        for record in 0..5 {
            let row = Row { source: 0, at: Timestamp(record), record: record as usize, down: false };
            table.push(row, &[1.0, 2.0]);
        }
        let rebuilt = Pca::fit(&table).rebuilt_row(&[9.0, 2.0]);
        assert!(rebuilt.iter().zip([1.0, 2.0]).all(|(one, other)| (one - other).abs() < 1e-6));
    }
}
