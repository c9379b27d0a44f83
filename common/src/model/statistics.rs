//! What the telemetry of many nodes is like, and how a model does on it: numbers whose mean over nodes, weighted by their
//! records, is that of all records in one place. They lie behind a model's parameters and become known one after the
//! other, each round of an evaluation one of them, because each is measured by those before:
//!
//! | round | tensor | shape | mean over records of |
//! |---|---|---|---|
//! | 1 | `magnitudes` | [metrics, 128] | whether the value `x` is in this octave |
//! | 2 | `means` | [metrics] | `x` in units of the largest octave's end |
//! | 3 | `deviations` | [metrics, 128] | whether `x - mean` is in this octave |
//! | 4 | `shifts`, `squares` | [metrics] | `x - mean` in units of the largest of these octaves' end, and its square |
//! | 5 | `errors` | [4, metrics] | mean and standard deviation of the squared error on the record's node, and their squares over 64 |
//! | 6 | `scores` | [256] | whether the score is in this twelfth of an octave |
//!
//! All of them stay near 1, as what is averaged must, and nothing is lost of a metric that varies little around
//! a large value. A value that is unknown is in no octave, and 0 in the means.

use std::ops::Range;

use super::{Forecaster, Foresees, ParametersError, Schema, SchemaError, Tensor};

/// Rounds until all is known.
pub const EVALUATION_ROUNDS: u32 = 6;

/// Octaves: the first has what is less than 2⁻⁶³, the last what is 2⁶³ and more.
const OCTAVES: usize = 128;

/// The octave of 1 up to 2.
const ONE: i32 = 64;

/// Cells of scores, twelve an octave.
const SCORE_CELLS: usize = 256;

const CELLS_PER_OCTAVE: f64 = 12.0;

/// The cell of scores from 1 on.
const SCORE_ONE: f64 = 96.0;

/// Mean and spread of squared errors count as at most this, which is the largest delta that is averaged.
pub const ERROR_MAX: f64 = 64.0;

/// Less of the records than one in a million is nothing but the rounding of a mean.
const SHARE_MIN: f32 = 1e-6;

/// Spreads between nodes by which a newcomer's errors are taken to be larger than those of the mean node: of fifteen
/// nodes, hardly more than one has larger ones.
const BETWEEN_NODES: f64 = 1.5;

/// One of the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Magnitudes,
    Means,
    Deviations,
    Shifts,
    Squares,
    Errors,
    Scores,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Magnitudes,
        Self::Means,
        Self::Deviations,
        Self::Shifts,
        Self::Squares,
        Self::Errors,
        Self::Scores,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Magnitudes => "statistics.magnitudes",
            Self::Means => "statistics.means",
            Self::Deviations => "statistics.deviations",
            Self::Shifts => "statistics.shifts",
            Self::Squares => "statistics.squares",
            Self::Errors => "statistics.errors",
            Self::Scores => "statistics.scores",
        }
    }

    fn shape(self, metrics: usize) -> Vec<usize> {
        match self {
            Self::Magnitudes | Self::Deviations => vec![metrics, OCTAVES],
            Self::Means | Self::Shifts | Self::Squares => vec![metrics],
            Self::Errors => vec![4, metrics],
            Self::Scores => vec![SCORE_CELLS],
        }
    }
}

/// What usually comes of a metric: of its values, or of the squared errors of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usual {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub sd: f64,
}

/// What is known so far. Of a node alone it is what the node tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    metrics: usize,
    values: Vec<f32>,
}

/// The tensors of a task's statistics.
///
/// # Errors
///
/// [`SchemaError::TooLong`] never for a task that has a schema.
pub(super) fn tensors(task: &Forecaster) -> Result<Vec<Tensor>, SchemaError> {
    let tensor = |part: Part| {
        let shape: Vec<u32> = part.shape(task.metrics.len()).into_iter().map(|side| side as u32).collect();
        Tensor::new(part.name(), &shape)
    };
    Part::ALL.into_iter().map(tensor).collect()
}

impl Statistics {
    /// What stands behind the parameters of an evaluated model, and the parameters.
    ///
    /// # Errors
    ///
    /// [`ParametersError::WrongLength`] when these are not the values of one.
    pub fn behind<'v>(
        task: &Forecaster,
        model: &Schema,
        values: &'v [f32],
    ) -> Result<(&'v [f32], Self), ParametersError> {
        let (found, expected) = (values.len(), model.parameters() + Self::length(task));
        if found != expected {
            return Err(ParametersError::WrongLength { found, expected });
        }
        let (parameters, behind) = values.split_at(model.parameters());
        Ok((parameters, Self::of(task, behind.to_vec())?))
    }

    /// Statistics of these values, as [`values`](Self::values) gives them.
    ///
    /// # Errors
    ///
    /// [`ParametersError::WrongLength`] when the task's have another number of them.
    pub fn of(task: &Forecaster, values: Vec<f32>) -> Result<Self, ParametersError> {
        let (found, expected) = (values.len(), Self::length(task));
        if found != expected {
            return Err(ParametersError::WrongLength { found, expected });
        }
        Ok(Self { metrics: task.metrics.len(), values })
    }

    /// How many values the statistics of a task have.
    fn length(task: &Forecaster) -> usize {
        Part::ALL.iter().map(|part| part.shape(task.metrics.len()).iter().product::<usize>()).sum()
    }

    /// The values, one tensor after the other.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    fn range(&self, part: Part) -> Range<usize> {
        let length = |part: &Part| part.shape(self.metrics).iter().product::<usize>();
        let start = Part::ALL.iter().take_while(|before| **before != part).map(length).sum();
        start..start + length(&part)
    }

    fn part(&self, part: Part) -> &[f32] {
        &self.values[self.range(part)]
    }

    fn set(&mut self, part: Part, values: impl IntoIterator<Item = f64>) {
        let range = self.range(part);
        let slots = &mut self.values[range];
        slots.fill(0.0);
        slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = value as f32);
    }

    /// Measures the values of all metrics, a row a record, by what is known before this round; from the fifth on there is nothing to
    /// measure of them.
    ///
    /// # Panics
    ///
    /// When a row has not as many values as there are metrics.
    pub fn measure<'v>(&mut self, round: u32, rows: impl Iterator<Item = &'v [f32]> + Clone) {
        match round {
            1 => self.measure_octaves(Part::Magnitudes, rows, |_, value| value),
            2 => {
                let units = self.each(|known, metric| known.end(Part::Magnitudes, metric));
                let means = self.averaged(rows, |metric, value| cut(value / units[metric]));
                self.set(Part::Means, means);
            }
            3 => {
                let centres = self.each(Self::centre);
                self.measure_octaves(Part::Deviations, rows, |metric, value| value - centres[metric]);
            }
            4 => {
                let centres = self.each(Self::centre);
                let units = self.each(|known, metric| known.end(Part::Deviations, metric));
                let shift = |metric: usize, value: f64| cut((value - centres[metric]) / units[metric]);
                let shifts = self.averaged(rows.clone(), shift);
                let squares = self.averaged(rows, |metric, value| shift(metric, value).powi(2));
                self.set(Part::Shifts, shifts);
                self.set(Part::Squares, squares);
            }
            _ => (),
        }
    }

    /// Notes what the squared errors of each metric usually are on this node.
    pub fn set_errors(&mut self, usual: &[Usual]) {
        let columns = [
            |usual: &Usual| usual.mean,
            |usual: &Usual| usual.sd,
            |usual: &Usual| usual.mean.powi(2) / ERROR_MAX,
            |usual: &Usual| usual.sd.powi(2) / ERROR_MAX,
        ];
        self.set(Part::Errors, columns.iter().flat_map(|column| usual.iter().map(column)));
    }

    /// Notes how often which scores are on this node.
    pub fn set_scores(&mut self, scores: impl Iterator<Item = f64>) {
        let (mut cells, mut all) = (vec![0.0; SCORE_CELLS], 0.0_f64);
        for score in scores {
            let cell = (score.log2() * CELLS_PER_OCTAVE).floor() + SCORE_ONE;
            // What is not above zero has no logarithm, and is in the first cell.
            cells[cell.max(0.0).min((SCORE_CELLS - 1) as f64) as usize] += 1.0;
            all += 1.0;
        }
        self.set(Part::Scores, cells.into_iter().map(|count| count / all.max(1.0)));
    }

    fn each(&self, of: impl Fn(&Self, usize) -> f64) -> Vec<f64> {
        (0..self.metrics).map(|metric| of(self, metric)).collect()
    }

    /// The mean over all rows of something that a value comes to; of one that is unknown it is 0.
    fn averaged<'v>(
        &self,
        rows: impl Iterator<Item = &'v [f32]>,
        of: impl Fn(usize, f64) -> f64,
    ) -> Vec<f64> {
        let (mut sums, mut all) = (vec![0.0; self.metrics], 0.0_f64);
        for row in rows {
            assert_eq!(row.len(), self.metrics, "a value for each metric");
            for (metric, value) in row.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                sums[metric] += of(metric, f64::from(*value));
            }
            all += 1.0;
        }
        sums.into_iter().map(|sum| sum / all.max(1.0)).collect()
    }

    fn measure_octaves<'v>(
        &mut self,
        part: Part,
        rows: impl Iterator<Item = &'v [f32]>,
        of: impl Fn(usize, f64) -> f64,
    ) {
        let (mut cells, mut all) = (vec![0.0; self.metrics * OCTAVES], 0.0_f64);
        for row in rows {
            assert_eq!(row.len(), self.metrics, "a value for each metric");
            for (metric, value) in row.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                cells[metric * OCTAVES + octave(of(metric, f64::from(*value)))] += 1.0;
            }
            all += 1.0;
        }
        self.set(part, cells.into_iter().map(|count| count / all.max(1.0)));
    }

    /// The octaves of a metric.
    fn octaves(&self, part: Part, metric: usize) -> &[f32] {
        &self.part(part)[metric * OCTAVES..][..OCTAVES]
    }

    /// Where the largest octave with values ends.
    fn end(&self, part: Part, metric: usize) -> f64 {
        let last = self.octaves(part, metric).iter().rposition(|share| *share > SHARE_MIN).unwrap_or(0);
        f64::from(last as i32 + 1 - ONE).exp2()
    }

    /// The share of records with a value of this metric.
    pub fn known(&self, metric: usize) -> f64 {
        self.octaves(Part::Magnitudes, metric).iter().map(|share| f64::from(*share)).sum()
    }

    /// What a sum over all records is for each one that has a value.
    fn for_each_known(&self, part: Part, metric: usize) -> f64 {
        let known = self.known(metric);
        if known > 0.0 { f64::from(self.part(part)[metric]) / known } else { 0.0 }
    }

    /// The mean but for the rounding of a value that is small beside the largest.
    fn centre(&self, metric: usize) -> f64 {
        self.end(Part::Magnitudes, metric) * self.for_each_known(Part::Means, metric)
    }

    /// The largest deviation from the mean that any node has, rounded up to a power of two.
    pub fn deviation(&self, metric: usize) -> f64 {
        self.end(Part::Deviations, metric)
    }

    /// What a metric usually is; after four rounds, and `None` of one that nobody measures.
    pub fn usual(&self, metric: usize) -> Option<Usual> {
        let measured = self.octaves(Part::Deviations, metric).iter().any(|share| *share > SHARE_MIN);
        let (unit, shift) = (self.deviation(metric), self.for_each_known(Part::Shifts, metric));
        let variance = self.for_each_known(Part::Squares, metric) - shift.powi(2);
        let mean = self.centre(metric) + unit * shift;
        measured.then(|| Usual { mean, sd: unit * variance.max(0.0).sqrt() })
    }

    /// What the squared errors of a metric are taken to be on a node of which nothing is known: on few of the nodes they are
    /// larger. After five rounds.
    pub fn errors(&self, metric: usize) -> Usual {
        let column = |row: usize| f64::from(self.part(Part::Errors)[row * self.metrics + metric]);
        let upper = |mean: f64, square: f64| {
            mean + BETWEEN_NODES * (square * ERROR_MAX - mean.powi(2)).max(0.0).sqrt()
        };
        Usual { mean: upper(column(0), column(2)), sd: upper(column(1), column(3)) }
    }

    /// What so many of all scores stay below, in the mean over nodes, up to a twelfth of an octave; after six rounds.
    pub fn score_at(&self, quantile: f64) -> Option<f64> {
        let cells = self.part(Part::Scores);
        let all: f64 = cells.iter().map(|share| f64::from(*share)).sum();
        let mut below = 0.0;
        let found = cells.iter().position(|share| {
            below += f64::from(*share);
            all > 0.5 && below >= quantile * all
        });
        found.map(|cell| ((cell as f64 + 1.0 - SCORE_ONE) / CELLS_PER_OCTAVE).exp2())
    }

    /// Whether these are numbers that come of measuring.
    pub fn is_sound(&self, task: &Forecaster) -> bool {
        let is_finite = self.values.iter().all(|value| value.is_finite());
        let knows_errors =
            task.foresees != Foresees::Record || (0..self.metrics).any(|metric| self.errors(metric).sd > 0.0);
        is_finite && knows_errors && (0..self.metrics).any(|metric| self.usual(metric).is_some())
    }
}

/// Within 1 either side of zero: a node that joins later may have larger values than all before.
fn cut(value: f64) -> f64 {
    value.clamp(-1.0, 1.0)
}

fn octave(value: f64) -> usize {
    let octave = value.abs().log2().floor() + f64::from(ONE);
    // Zero has no logarithm, and is in the first.
    octave.max(0.0).min((OCTAVES - 1) as f64) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Network, ParameterVector, Task};
    use super::*;

    fn task() -> Forecaster {
        Forecaster {
            metrics: ["a", "b"].map(|name| name.try_into().unwrap()).to_vec().try_into().unwrap(),
            past_steps: 2,
            network: Network::Perceptron,
            hidden: vec![3].try_into().unwrap(),
            foresees: Foresees::Record,
        }
    }

    fn model() -> Schema {
        Task::Forecaster(task()).schema().unwrap()
    }

    fn nothing() -> Statistics {
        let all = ParameterVector::zeros(Arc::new(Task::Evaluation(task()).schema().unwrap()));
        Statistics::behind(&task(), &model(), all.values()).unwrap().1
    }

    /// The mean over nodes, each weighted by its records.
    fn mean(nodes: &[(usize, Statistics)]) -> Statistics {
        let all: usize = nodes.iter().map(|(records, _)| records).sum();
        let mut mean = nothing();
        for (records, node) in nodes {
            let share = *records as f64 / all as f64;
            for (sum, value) in mean.values.iter_mut().zip(&node.values) {
                *sum = (f64::from(*sum) + share * f64::from(*value)) as f32;
            }
        }
        mean
    }

    #[test]
    fn nodes_together_know_the_mean_and_spread_of_all_their_records() {
        // Of one metric the values are far from zero and close together; of the other some are unknown.
        let node = |from: usize, records: usize| -> Vec<[f32; 2]> {
            let row = |row: usize| {
                let value = (row * row % 7) as f32;
                [1e6 + value, if row.is_multiple_of(5) { f32::NAN } else { value - 3.0 }]
            };
            (from..from + records).map(row).collect()
        };
        let nodes = [node(0, 40), node(40, 10), node(50, 250)];
        let mut known = nothing();
        for round in 1..=4 {
            let measured = nodes.iter().map(|rows| {
                let mut own = known.clone();
                own.measure(round, rows.iter().map(|row| &row[..]));
                (rows.len(), own)
            });
            known = mean(&measured.collect::<Vec<_>>());
        }
        let all = nodes.concat();
        for metric in 0..2 {
            let values: Vec<f64> =
                all.iter().map(|row| f64::from(row[metric])).filter(|value| value.is_finite()).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let sd =
                (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
            let usual = known.usual(metric).unwrap();
            assert!(
                (usual.mean - mean).abs() < 1e-4 && (usual.sd - sd).abs() < 1e-4,
                "{usual:?} {mean} {sd}"
            );
            assert!((known.known(metric) - values.len() as f64 / 300.0).abs() < 1e-5);
            assert!((4.0..=16.0).contains(&known.deviation(metric)));
        }
    }

    #[test]
    fn a_metric_that_is_never_measured_or_always_zero_is_no_fault() {
        let mut known = nothing();
        let rows = [[0.0, f32::NAN]; 9];
        (1..=4).for_each(|round| known.measure(round, rows.iter().map(|row| &row[..])));
        assert_eq!(known.usual(1), None);
        let Usual { mean, sd } = known.usual(0).unwrap();
        assert!(mean.abs() < 1e-18 && sd < 1e-18);
        assert!(!known.is_sound(&task()), "nothing is known of errors");
    }

    #[test]
    fn errors_are_taken_to_be_as_large_as_on_few_of_the_nodes() {
        let node = |mean: f64| {
            let mut own = nothing();
            own.set_errors(&[Usual { mean, sd: 2.0 * mean }, Usual { mean: 1.0, sd: 3.0 }]);
            (10, own)
        };
        let known = mean(&[node(0.2), node(0.4), node(0.6)]);
        // The spread of 0.2, 0.4 and 0.6.
        let between = (0.08_f64 / 3.0).sqrt();
        let expected =
            [Usual { mean: 0.4 + 1.5 * between, sd: 0.8 + 3.0 * between }, Usual { mean: 1.0, sd: 3.0 }];
        for (metric, expected) in expected.into_iter().enumerate() {
            let usual = known.errors(metric);
            assert!((usual.mean - expected.mean).abs() < 2e-3, "{usual:?} {expected:?}");
            assert!((usual.sd - expected.sd).abs() < 2e-3, "{usual:?} {expected:?}");
        }
    }

    #[test]
    fn a_quantile_of_scores_is_that_of_all_nodes_up_to_a_cell() {
        let node = |scores: Range<u32>| {
            let mut own = nothing();
            own.set_scores(scores.map(|score| f64::from(score) / 100.0));
            (1000, own)
        };
        assert_eq!(nothing().score_at(0.5), None);
        let known = mean(&[node(0..1000), node(1000..2000)]);
        for quantile in [0.25, 0.5, 0.995] {
            let found = known.score_at(quantile).unwrap() / (20.0 * quantile);
            assert!((1.0..1.06).contains(&found), "{quantile}: {found}");
        }
        let mut odd = nothing();
        odd.set_scores([-1.0, 0.0, 1e9, f64::NAN].into_iter());
        assert!(odd.score_at(0.5).unwrap() < 0.01 && odd.score_at(1.0).unwrap() > 8000.0);
    }

    #[test]
    fn values_of_another_model_are_no_statistics() {
        let error = Statistics::behind(&task(), &model(), &[0.0; 9]).unwrap_err();
        let expected = Task::Evaluation(task()).schema().unwrap().parameters();
        assert_eq!(error, ParametersError::WrongLength { found: 9, expected });
    }
}
