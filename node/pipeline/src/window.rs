//! Window: past steps and the step that follows them, where time runs on without a gap.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Table;

/// Parameters of [`window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// How many past steps a window has.
    pub past_steps: u32,
    /// Every how many steps a window starts: 4 is enough to train, 1 scores every row.
    pub stride: u32,
    /// A step in time longer than this many usual steps (the median of the source) is a gap,
    /// and no window reaches over it.
    pub gap_steps: u32,
}

/// Windows over a table: `past_steps` rows to see and the next row to foresee.
/// The rows are stored once; a window is a place in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    table: Arc<Table>,
    past_steps: usize,
    targets: Vec<usize>,
    runs: Arc<[Range<usize>]>,
}

/// Cuts a table into windows.
pub fn window(table: Table, params: &Window) -> Windows {
    let past_steps = params.past_steps as usize;
    let runs = unbroken_runs(&table, params.gap_steps);
    let targets = targets(&runs, past_steps, params.stride);
    Windows { table: Arc::new(table), past_steps, targets, runs: runs.into() }
}

fn targets(runs: &[Range<usize>], past_steps: usize, stride: u32) -> Vec<usize> {
    let stride = stride.max(1) as usize;
    let in_run = |run: &Range<usize>| (run.start.saturating_add(past_steps)..run.end).step_by(stride);
    runs.iter().flat_map(in_run).collect()
}

/// Ranges of rows of one source without a gap in time.
fn unbroken_runs(table: &Table, gap_steps: u32) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for rows in table.rows.chunk_by(|before, row| before.source == row.source) {
        let steps = || rows.windows(2).map(|pair| pair[1].at.micros_since(pair[0].at));
        let mut sorted: Vec<u64> = steps().collect();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let gap = usual.saturating_mul(u64::from(gap_steps));
        let end = start + rows.len();
        for (row, step) in (start + 1..).zip(steps()) {
            if step > gap {
                runs.push(start..row);
                start = row;
            }
        }
        runs.push(start..end);
        start = end;
    }
    runs
}

impl Windows {
    /// All windows over the same rows, whatever the stride of these.
    #[must_use]
    pub fn every(&self) -> Self {
        Self { targets: targets(&self.runs, self.past_steps, 1), ..self.clone() }
    }

    /// Those of these windows that are wanted, by their numbers.
    #[must_use]
    pub fn only(&self, is_wanted: impl Fn(usize) -> bool) -> Self {
        let wanted = self.targets.iter().enumerate().filter(|(index, _)| is_wanted(*index));
        Self { targets: wanted.map(|(_, target)| *target).collect(), ..self.clone() }
    }

    /// How many windows there are.
    pub fn count(&self) -> usize {
        self.targets.len()
    }

    /// Metrics in a row.
    pub fn columns(&self) -> usize {
        self.table.columns
    }

    /// Rows that a window sees.
    pub fn past_steps(&self) -> usize {
        self.past_steps
    }

    /// The table they look at.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Ranges of rows without a gap, in order; all rows are in one.
    pub fn runs(&self) -> &[Range<usize>] {
        &self.runs
    }

    /// The first row of a range without a gap that a window can foresee, if one can.
    pub fn first_target(&self, run: &Range<usize>) -> Option<usize> {
        Some(run.start.saturating_add(self.past_steps)).filter(|first| *first < run.end)
    }

    /// The window that foresees this row.
    pub fn of_target(&self, row: usize) -> Option<usize> {
        // Runs are in the order of rows, and so are windows.
        self.targets.binary_search(&row).ok()
    }

    /// The row that this window foresees.
    ///
    /// # Panics
    ///
    /// When there is no such window.
    pub fn target(&self, index: usize) -> usize {
        self.targets[index]
    }

    /// What this window sees: `past_steps` x `columns` values, the oldest row first.
    ///
    /// # Panics
    ///
    /// When there is no such window.
    pub fn past(&self, index: usize) -> &[f32] {
        let columns = self.table.columns;
        let target = self.targets[index];
        &self.table.values[(target - self.past_steps) * columns..target * columns]
    }

    /// The same, and the row that it foresees behind them.
    ///
    /// # Panics
    ///
    /// When there is no such window.
    pub fn past_and_next(&self, index: usize) -> &[f32] {
        let columns = self.table.columns;
        let target = self.targets[index];
        &self.table.values[(target - self.past_steps) * columns..(target + 1) * columns]
    }

    /// The rows of the table behind the one that this window foresees, so many at most: time runs on to them without a gap.
    ///
    /// # Panics
    ///
    /// When there is no such window.
    pub fn ahead(&self, index: usize, steps: usize) -> Range<usize> {
        let first = self.targets[index] + 1;
        // Runs are in the order of rows, and the target is in one.
        let run = &self.runs[self.runs.partition_point(|run| run.end < first)];
        first..first.saturating_add(steps).min(run.end)
    }

    /// What this window foresees: one row.
    ///
    /// # Panics
    ///
    /// When there is no such window.
    pub fn next(&self, index: usize) -> &[f32] {
        self.table.row(self.targets[index])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{row, table};
    use super::*;

    const EVERY: Window = Window { past_steps: 2, stride: 1, gap_steps: 3 };

    #[test]
    fn a_window_sees_the_past_rows_and_foresees_the_next() {
        let windows = window(table(2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), &EVERY);
        assert_eq!(windows.count(), 2);
        assert_eq!((windows.past(0), windows.next(0)), (&[1.0, 2.0, 3.0, 4.0][..], &[5.0, 6.0][..]));
        assert_eq!((windows.past(1), windows.next(1)), (&[3.0, 4.0, 5.0, 6.0][..], &[7.0, 8.0][..]));
    }

    #[test]
    fn a_stride_of_four_takes_every_fourth_window() {
        let windows = window(table(1, &[0.0; 20]), &Window { stride: 4, ..EVERY });
        assert_eq!(
            (0..windows.count()).map(|index| windows.target(index)).collect::<Vec<_>>(),
            [2, 6, 10, 14, 18]
        );
        assert_eq!(windows.every().count(), 18);
        assert_eq!((windows.of_target(6), windows.of_target(7)), (Some(1), None));
        assert_eq!((windows.first_target(&(5..20)), windows.first_target(&(5..7))), (Some(7), None));
    }

    #[test]
    fn no_window_reaches_over_a_gap_in_time_or_into_another_source() {
        let rows =
            [row(0, 0), row(0, 1), row(0, 2), row(0, 9), row(0, 10), row(1, 11), row(1, 12), row(1, 13)];
        let windows = window(Table { columns: 1, rows: rows.to_vec(), values: vec![0.0; 8] }, &EVERY);
        assert_eq!(*windows.runs(), [0..3, 3..5, 5..8]);
        assert_eq!((0..windows.count()).map(|index| windows.target(index)).collect::<Vec<_>>(), [2, 7]);
    }

    #[test]
    fn what_is_ahead_of_a_window_ends_with_its_run() {
        let rows: Vec<_> = [0, 1, 2, 3, 4, 20, 21, 22, 23].map(|second| row(0, second)).to_vec();
        let values = (0..9).map(|value| value as f32).collect();
        let windows = window(Table { columns: 1, rows, values }, &EVERY);
        let ahead: Vec<_> = (0..windows.count()).map(|index| windows.ahead(index, 2)).collect();
        assert_eq!(ahead, [3..5, 4..5, 5..5, 8..9, 9..9]);
        assert_eq!(windows.past_and_next(1), [1.0, 2.0, 3.0]);
        let some = windows.only(|index| !windows.ahead(index, 2).is_empty());
        assert_eq!((0..some.count()).map(|index| some.target(index)).collect::<Vec<_>>(), [2, 3, 7]);
        assert_eq!(some.every().count(), 5);
    }

    #[test]
    fn a_table_shorter_than_a_window_has_none() {
        assert_eq!(window(table(1, &[1.0, 2.0]), &EVERY).count(), 0);
        assert_eq!(window(table(1, &[]), &EVERY).count(), 0);
    }

    proptest! {
        #[test]
        fn windows_never_look_ahead(
            steps in prop::collection::vec((0_u32..3, 0_usize..4), 0..60),
            past_steps in 0_u32..5,
            stride in 0_u32..5,
        ) {
            let mut at = 0;
            let mut rows: Vec<_> = steps.iter().map(|(source, step)| { at += step; row(*source, at) }).collect();
            rows.sort_by_key(|row| (row.source, row.at));
            let values = (0..rows.len()).map(|index| index as f32).collect();
            let table = Table { columns: 1, rows, values };
            let windows = window(table.clone(), &Window { past_steps, stride, gap_steps: 2 });
            for index in 0..windows.count() {
                let target = windows.target(index);
                prop_assert_eq!(windows.past(index).len(), past_steps as usize);
                for (place, value) in (target - past_steps as usize..target).zip(windows.past(index)) {
                    prop_assert_eq!(*value as usize, place);
                    prop_assert!(table.rows[place].at <= table.rows[target].at);
                    prop_assert_eq!(table.rows[place].source, table.rows[target].source);
                }
            }
        }
    }
}
