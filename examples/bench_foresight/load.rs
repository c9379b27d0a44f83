//! Load: the CPU of virtual machines over the next half hour, of machines that are new.
//!
//! Three quarters of the machines train together. Each of the others has a history of [`HISTORY`] windows, by which it is scaled, and
//! is judged on all that comes after it.

use std::path::Path;

use anyhow::{Result, ensure};
use common::model::{Forecaster, Foresees, Load, MetricName, Network, Quantile};
use common::units::Timestamp;
use node::detect::metrics::auc_pr;
use node::learn::{Training, predict};
use pipeline::{Row, Scale, Scaler, Table, Windows};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;

use super::columns;
use super::line::Line;
use super::recipe::Recipe;

/// Two hours, with the newest record.
const PAST_STEPS: u32 = 23;
/// Half an hour.
const AHEAD: usize = 6;
/// Windows that a new machine has learned its scale from.
const HISTORY: usize = 20;
const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];
const ROUNDS: u32 = 20;
const EPOCHS: u32 = 3;

/// A spike is above the mean of what was seen by so many of its spreads,
const SPIKE_SPREADS: f64 = 3.0;
/// each of which counts as so many percent of CPU at least.
const SPIKE_SPREAD_MIN: f64 = 0.5;

/// All methods with one seed.
pub(crate) fn judged(path: &Path, seed: u64) -> Result<Vec<Line>> {
    let mut machines = machines(path)?;
    ensure!(machines.len() >= 4, "{}: {} machines are too few", path.display(), machines.len());
    machines.shuffle(&mut ChaCha20Rng::seed_from_u64(seed));
    let (newcomers, others) = machines.split_at(machines.len() / 4);
    let recipe = recipe(seed)?;
    let whole = |cpu: &Vec<f64>| Ok(scaler(cpu).scale(table(cpu))?);
    let tables = others.iter().map(whole).collect::<Result<Vec<Table>>>()?;
    let windows: Vec<Windows> = tables.iter().map(|table| recipe.windows(table.clone())).collect();
    let federated = recipe.together(&windows)?;
    let centralised = recipe.centralised(&tables)?;
    let mut all = [const { Judged::new() }; METHODS.len()];
    for cpu in newcomers {
        let history = PAST_STEPS as usize + AHEAD + HISTORY;
        let scaler = scaler(&cpu[..history]);
        let local = recipe.alone(&recipe.windows(scaler.scale(table(&cpu[..history]))?))?;
        let whole = recipe.windows(scaler.scale(table(cpu))?);
        let later = whole.only(|index| whole.target(index) + 1 >= history);
        let said = |parameters| predict(&recipe.task, parameters, &later);
        let says = [
            simple(&later, |_| 0.0),
            simple(&later, |seen| seen[seen.len() - 1]),
            simple(&later, |seen| seen.iter().sum::<f32>() / seen.len() as f32),
            said(&local)?,
            said(&federated)?,
            said(&centralised)?,
        ];
        let spread = f64::from(scaler.unscaled(0, 1.0) - scaler.unscaled(0, 0.0));
        all.iter_mut().zip(says).for_each(|(judged, said)| judged.add(&later, &said, spread));
    }
    let usual = all[0].error;
    METHODS.into_iter().zip(all).map(|(method, judged)| judged.line(method, seed, usual)).collect()
}

/// What is compared, in the order of the table: the mean of a machine's history is what an error is divided by.
const METHODS: [&str; 6] =
    ["mean of the history", "persistence", "mean of the window", "local", "federated", "centralised"];

fn recipe(seed: u64) -> Result<Recipe> {
    let cpu = MetricName::try_from("cpu")?;
    let quantiles = QUANTILES.map(Quantile::try_from).into_iter().collect::<Result<Vec<_>, _>>()?;
    let load = Load { metric: cpu.clone(), steps: AHEAD as u32, quantiles: quantiles.try_into()? };
    let task = Forecaster {
        metrics: vec![cpu].try_into()?,
        past_steps: PAST_STEPS,
        network: Network::Perceptron,
        hidden: vec![64, 32].try_into()?,
        foresees: Foresees::Load(load),
    };
    let training = Training { epochs: EPOCHS, seed, ..Training::default() };
    Ok(Recipe { task, rounds: ROUNDS, training })
}

/// The CPU of each machine, in percent, a value every five minutes.
fn machines(path: &Path) -> Result<Vec<Vec<f64>>> {
    let rows = columns::read(path, ["vm", "cpu"])?;
    let of_one = rows.chunk_by(|one, other| one[0].to_bits() == other[0].to_bits());
    let machines: Vec<Vec<f64>> = of_one.map(|rows| rows.iter().map(|[_, cpu]| *cpu).collect()).collect();
    let least = PAST_STEPS as usize + 2 * AHEAD + HISTORY;
    ensure!(
        machines.iter().all(|cpu| cpu.len() > least && cpu.iter().all(|value| value.is_finite())),
        "{}: a machine has fewer than {least} values, or one that is none",
        path.display()
    );
    Ok(machines)
}

/// What is usual of this history.
fn scaler(history: &[f64]) -> Scaler {
    Scaler::fit(&table(history), &Scale::default())
}

fn table(cpu: &[f64]) -> Table {
    let row =
        |record| Row { source: 0, at: Timestamp::from_millis(record as u64 * 300_000), record, down: false };
    let values = cpu.iter().map(|value| *value as f32).collect();
    Table { columns: 1, rows: (0..cpu.len()).map(row).collect(), values }
}

/// The same at each step and quantile, out of what is seen.
fn simple(windows: &Windows, of: impl Fn(&[f32]) -> f32) -> Vec<f32> {
    let said = |index| std::iter::repeat_n(of(windows.past_and_next(index)), AHEAD * QUANTILES.len());
    (0..windows.count()).flat_map(said).collect()
}

/// What a method said of all new machines.
#[derive(Clone)]
struct Judged {
    /// Sum over the machines of the mean absolute error of the median, in spreads of what came.
    error: f64,
    /// Values below each quantile, and all.
    below: [u64; QUANTILES.len()],
    values: u64,
    spikes: Vec<bool>,
    scores: Vec<f64>,
}

impl Judged {
    const fn new() -> Self {
        Self { error: 0.0, below: [0; QUANTILES.len()], values: 0, spikes: Vec::new(), scores: Vec::new() }
    }

    /// Takes what was said of one machine; `spread` is that of its history, in percent.
    fn add(&mut self, windows: &Windows, said: &[f32], spread: f64) {
        let (mut error, mut count) = (0.0, 0.0);
        let mut came = Vec::new();
        for (index, said) in said.chunks_exact(AHEAD * QUANTILES.len()).enumerate() {
            let value = |row: usize| f64::from(windows.table().row(row)[0]);
            let (mut most, mut foreseen) = (f64::MIN, f64::MIN);
            for (row, said) in windows.ahead(index, AHEAD).zip(said.chunks_exact(QUANTILES.len())) {
                error += (value(row) - f64::from(said[1])).abs();
                count += 1.0;
                came.push(value(row));
                let is_below = |said: &f32| value(row) < f64::from(*said);
                self.below.iter_mut().zip(said).for_each(|(below, said)| *below += u64::from(is_below(said)));
                self.values += 1;
                most = most.max(value(row));
                foreseen = foreseen.max(f64::from(said[2]));
            }
            let seen = windows.past_and_next(index);
            let seen: pipeline::Moments = seen.iter().map(|value| f64::from(*value)).collect();
            let unit = seen.sd().max(SPIKE_SPREAD_MIN / spread);
            self.spikes.push(most > seen.mean + SPIKE_SPREADS * unit);
            self.scores.push((foreseen - seen.mean) / unit);
        }
        let came: pipeline::Moments = came.into_iter().collect();
        self.error += error / count / came.sd().max(0.01);
    }

    fn line(self, method: &'static str, seed: u64, usual: f64) -> Result<Line> {
        let share = |below: u64| below as f64 / self.values as f64;
        let spikes = self.spikes.iter().filter(|spike| **spike).count() as f64 / self.spikes.len() as f64;
        let figures = [
            ("error", self.error / usual),
            ("below_10", share(self.below[0])),
            ("below_50", share(self.below[1])),
            ("below_90", share(self.below[2])),
            ("spikes", spikes),
            ("spike_auc_pr", auc_pr(&self.spikes, &self.scores)?),
        ];
        Ok(Line { setting: "load".to_owned(), method, seed, figures: figures.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// Machines whose load swings, each around a height of its own, with a spike now and then.
    fn file(dir: &Path, machines: usize) -> std::path::PathBuf {
        let path = dir.join("vms.csv.gz");
        let mut out = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        writeln!(out, "vm,step,cpu,mem").unwrap();
        for vm in 0..machines {
            for step in 0..160 {
                let phase = step as f64 * 0.25 + vm as f64;
                let spike = if step % 40 == 39 { 20.0 } else { 0.0 };
                let cpu = 10.0 + 3.0 * vm as f64 + phase.sin() * 4.0 + spike;
                writeln!(out, "{vm},{step},{cpu},1").unwrap();
            }
        }
        out.finish().unwrap();
        path
    }

    #[test]
    fn new_machines_are_foreseen_better_by_others_than_by_their_mean() {
        let dir = tempfile::tempdir().unwrap();
        let lines = judged(&file(dir.path(), 8), 1).unwrap();
        let of = |method: &str, figure: &str| {
            lines.iter().find(|line| line.method == method).unwrap().figures[figure]
        };
        assert_eq!(lines.len(), METHODS.len());
        assert!((of("mean of the history", "error") - 1.0).abs() < 1e-9);
        assert!(of("federated", "error") < 0.8, "{lines:?}");
        assert!((0.01..0.3).contains(&of("federated", "spikes")), "{lines:?}");
        let error = judged(&file(dir.path(), 3), 1).unwrap_err().to_string();
        assert!(error.contains("3 machines are too few"), "{error}");
    }

    #[test]
    fn what_was_said_is_compared_with_what_came() {
        let recipe = recipe(1).unwrap();
        let mut cpu = vec![1.0; 40];
        cpu[35] = 9.0;
        let windows = recipe.windows(table(&cpu));
        let mut judged = Judged::new();
        judged.add(&windows, &simple(&windows, |_| 1.0), 1.0);
        // The first of 11 windows ends at record 23: those from record 29 on have the spike ahead of them.
        assert_eq!((windows.count(), judged.values), (11, 66));
        assert_eq!(judged.spikes.iter().filter(|spike| **spike).count(), 5);
        assert_eq!(judged.below, [0; 3]);
    }
}
