//! Split: the later part of the history is kept from training, to see how the model does on it.

use common::units::Timestamp;
use serde::{Deserialize, Serialize};

use super::Table;

/// Parameters of [`split`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Share of the rows that is kept for validation, 0 to 1; the latest ones.
    pub validation: f64,
}

impl Default for Split {
    fn default() -> Self {
        Self { validation: 0.1 }
    }
}

/// The two parts of a table. Every row for validation is later than every row for training.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// The earlier rows.
    pub training: Table,
    /// The later rows.
    pub validation: Table,
}

/// Cuts at one point in time, the same for all sources, so that no source tells about another's future.
/// Rows at the very time of the cut go to validation.
pub fn split(table: Table, params: &Split) -> Parts {
    let mut times: Vec<_> = table.rows.iter().map(|row| row.at).collect();
    times.sort_unstable();
    let kept = (times.len() as f64 * (1.0 - params.validation.clamp(0.0, 1.0))).round() as usize;
    match times.get(kept) {
        Some(&cut) => split_at(&table, cut),
        None => Parts { validation: Table { columns: table.columns, ..Table::default() }, training: table },
    }
}

fn split_at(table: &Table, cut: Timestamp) -> Parts {
    let empty = || Table { columns: table.columns, ..Table::default() };
    let mut parts = Parts { training: empty(), validation: empty() };
    for (index, row) in table.rows.iter().enumerate() {
        let part = if row.at < cut { &mut parts.training } else { &mut parts.validation };
        part.push(*row, table.row(index));
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{row, table};
    use super::*;

    #[test]
    fn the_last_quarter_is_kept_for_validation() {
        let parts = split(table(1, &[1.0, 2.0, 3.0, 4.0]), &Split { validation: 0.25 });
        assert_eq!(parts.training.values, [1.0, 2.0, 3.0]);
        assert_eq!(parts.validation.values, [4.0]);
    }

    #[test]
    fn nothing_kept_means_all_is_trained_on() {
        let parts = split(table(1, &[1.0, 2.0]), &Split { validation: 0.0 });
        assert_eq!((parts.training.rows.len(), parts.validation.rows.len()), (2, 0));
        assert_eq!(parts.validation.columns, 1);
    }

    proptest! {
        #[test]
        fn no_training_row_is_as_late_as_a_validation_row(
            seconds in prop::collection::vec(0_usize..30, 1..40),
            validation in 0.0..1.0,
        ) {
            let rows: Vec<_> = seconds.iter().map(|second| row(0, *second)).collect();
            let table = Table { columns: 0, rows, values: Vec::new() };
            let parts = split(table, &Split { validation });
            prop_assert_eq!(parts.training.rows.len() + parts.validation.rows.len(), seconds.len());
            let last = parts.training.rows.iter().map(|row| row.at).max();
            let first = parts.validation.rows.iter().map(|row| row.at).min();
            prop_assert!(last.zip(first).is_none_or(|(last, first)| last < first));
        }
    }
}
