//! Scale: each metric to mean 0 and standard deviation 1, by what the node saw in training.

use serde::{Deserialize, Serialize};

use super::{Moments, Table};

/// Parameters of scaling.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// A metric that varies less than this is divided by this, in the metric's own unit.
    pub sd_min: f64,
    /// Scaled values stay within plus and minus this.
    pub clip: f32,
}

impl Default for Scale {
    fn default() -> Self {
        Self { sd_min: 0.01, clip: 5.0 }
    }
}

/// Mean and divisor of each metric: what turns values into z-scores, also later, when scoring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    means: Vec<f64>,
    sds: Vec<f64>,
    clip: f32,
}

/// A table that a scaler does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scaler is for {scaler} metrics, the table has {table}")]
pub struct ScaleError {
    /// Metrics of the scaler.
    pub scaler: usize,
    /// Columns of the table.
    pub table: usize,
}

/// Moments of each column, over the values that are known, of rows at which the machine was not down.
pub fn column_moments(table: &Table) -> Vec<Moments> {
    let mut moments = vec![Moments::default(); table.columns];
    let rows = table.rows.iter().zip(table.values.chunks_exact(table.columns.max(1)));
    for (_, values) in rows.filter(|(row, _)| !row.down) {
        for (moments, &value) in moments.iter_mut().zip(values) {
            if value.is_finite() {
                moments.add(f64::from(value));
            }
        }
    }
    moments
}

impl Scaler {
    /// Fits the scaler to a table: the training part, never what is scored.
    pub fn fit(table: &Table, params: &Scale) -> Self {
        Self::from_moments(&column_moments(table), params)
    }

    /// The scaler of these moments, which may be those of several nodes together.
    pub fn from_moments(moments: &[Moments], params: &Scale) -> Self {
        Self {
            means: moments.iter().map(|moments| moments.mean).collect(),
            sds: moments.iter().map(|moments| moments.sd().max(params.sd_min)).collect(),
            clip: params.clip,
        }
    }

    /// How many metrics it scales.
    pub fn columns(&self) -> usize {
        self.means.len().min(self.sds.len())
    }

    /// Whether it can scale rows of so many metrics to finite values; one read from a file may not.
    pub fn is_for(&self, columns: usize) -> bool {
        self.means.len() == columns
            && self.sds.len() == columns
            && self.means.iter().all(|mean| mean.is_finite())
            && self.sds.iter().all(|sd| sd.is_finite() && *sd > 0.0)
            && self.clip > 0.0
    }

    /// Scales all values; one that is unknown becomes 0, the mean.
    ///
    /// # Errors
    ///
    /// [`ScaleError`] when the table has another number of metrics.
    pub fn scale(&self, mut table: Table) -> Result<Table, ScaleError> {
        if self.columns() != table.columns {
            return Err(ScaleError { scaler: self.columns(), table: table.columns });
        }
        table.values.chunks_exact_mut(table.columns.max(1)).for_each(|row| self.scale_row(row));
        Ok(table)
    }

    /// Scales one row of as many metrics.
    pub fn scale_row(&self, row: &mut [f32]) {
        for ((value, mean), sd) in row.iter_mut().zip(&self.means).zip(&self.sds) {
            *value = self.scaled(*value, *mean, *sd);
        }
    }

    fn scaled(&self, value: f32, mean: f64, sd: f64) -> f32 {
        let scaled = ((f64::from(value) - mean) / sd) as f32;
        if scaled.is_finite() { scaled.max(-self.clip).min(self.clip) } else { 0.0 }
    }

    /// The value in the metric's own unit that this scaled value stands for.
    pub fn unscaled(&self, column: usize, scaled: f32) -> f32 {
        (f64::from(scaled) * self.sds[column] + self.means[column]) as f32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::table;
    use super::*;

    #[test]
    fn values_become_differences_from_the_mean_in_standard_deviations() {
        let table = table(2, &[1.0, 10.0, 3.0, 30.0]);
        let scaled = Scaler::fit(&table, &Scale::default()).scale(table).unwrap();
        assert_eq!(scaled.values, [-1.0, -1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_metric_that_never_changed_is_divided_by_the_floor_and_clipped() {
        let scaler = Scaler::fit(&table(1, &[2.0, 2.0]), &Scale { sd_min: 0.5, clip: 5.0 });
        assert_eq!(scaler.scale(table(1, &[2.5, 100.0, -100.0])).unwrap().values, [1.0, 5.0, -5.0]);
    }

    #[test]
    fn unknown_values_count_for_nothing_and_become_the_mean() {
        let holed = table(1, &[1.0, f32::NAN, 3.0]);
        let scaler = Scaler::fit(&holed, &Scale::default());
        assert_eq!(scaler.scale(holed).unwrap().values, [-1.0, 0.0, 1.0]);
    }

    #[test]
    fn a_machine_that_is_down_teaches_nothing_of_what_is_usual() {
        let mut table = table(1, &[1.0, 500.0, 3.0, 900.0]);
        table.rows[1].down = true;
        table.rows[3].down = true;
        let scaled = Scaler::fit(&table, &Scale::default()).scale(table).unwrap();
        assert_eq!(scaled.values, [-1.0, 5.0, 1.0, 5.0]);
    }

    #[test]
    fn a_metric_never_seen_is_scaled_around_zero() {
        let scaler = Scaler::fit(&table(1, &[f32::NAN]), &Scale::default());
        assert_eq!(scaler.scale(table(1, &[0.01])).unwrap().values, [1.0]);
    }

    #[test]
    fn a_table_of_another_width_is_refused() {
        let scaler = Scaler::fit(&table(1, &[1.0]), &Scale::default());
        assert_eq!(scaler.scale(table(2, &[1.0, 2.0])), Err(ScaleError { scaler: 1, table: 2 }));
    }

    #[test]
    fn a_scaler_is_read_back_from_its_json_bit_by_bit() {
        let scaler = Scaler::fit(&table(1, &[0.1, 0.7, 1.0 / 3.0]), &Scale::default());
        let text = serde_json::to_string(&scaler).unwrap();
        assert_eq!(serde_json::from_str::<Scaler>(&text).unwrap(), scaler);
    }

    proptest! {
        #[test]
        fn scaling_can_be_undone_within_the_clip(values in prop::collection::vec(-1e3_f32..1e3, 2..40)) {
            let scaler = Scaler::fit(&table(1, &values), &Scale::default());
            let scaled = scaler.scale(table(1, &values)).unwrap();
            for (value, scaled) in values.iter().zip(&scaled.values) {
                prop_assert!(scaled.abs() <= 5.0);
                if scaled.abs() < 5.0 {
                    prop_assert!((scaler.unscaled(0, *scaled) - value).abs() < 2e-3);
                }
            }
        }
    }
}
