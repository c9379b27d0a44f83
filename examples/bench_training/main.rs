//! What does training cost, beside PyTorch on one thread of the same machine?
//!
//! The same models on the same shapes of data: forecasters of 19 metrics from 19 past steps in batches of 64, and one whole
//! client that trains an autoencoder of 7,094 parameters (38-64-16-64-38) for one epoch on 100 samples in batches of 20. Both
//! take turns, and the median of the turns counts. Costs are CPU time, so that a busy machine changes little.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio, id};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use common::message::model::Optimizer;
use common::model::{Forecaster, Network, ParameterVector, Task};
use common::units::Timestamp;
use edge::{Format, Listing};
use examples::forecaster;
use examples::usage::running_s;
use node::learn::{Progress, Training, train};
use pipeline::{Row, Table, Window, Windows, window};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// The allocator of the programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what a step of training costs.
#[derive(Parser)]
#[command(name = "bench-training")]
struct Options {
    /// Turns of each system; the median counts.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// CPU seconds that a model trains for in a turn, about.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A model, and what it is trained on.
struct Case {
    name: &'static str,
    network: Network,
    metrics: usize,
    past_steps: u32,
    hidden: &'static [u32],
    samples: usize,
    batch: usize,
    optimizer: Optimizer,
}

const CASES: [Case; 5] = [
    Case::forecaster("mlp", Network::Perceptron, &[64, 16, 64]),
    Case::forecaster("lstm", Network::Lstm, &[64]),
    Case::forecaster("convolution", Network::Convolution, &[32, 40]),
    Case::client("client, sgd", Optimizer::Sgd),
    Case::client("client, adam", Optimizer::Adam),
];

/// A model by a system.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    model: String,
    system: String,
    /// CPU microseconds that a step takes.
    cpu_us_step: f64,
    /// Epochs of all samples that a CPU-second is enough for, each from the first model on.
    clients_per_cpu_s: f64,
}

impl Case {
    const fn forecaster(name: &'static str, network: Network, hidden: &'static [u32]) -> Self {
        let optimizer = Optimizer::Adam;
        Self { name, network, metrics: 19, past_steps: 19, hidden, samples: 2048, batch: 64, optimizer }
    }

    const fn client(name: &'static str, optimizer: Optimizer) -> Self {
        let (network, hidden) = (Network::Perceptron, &[64, 16, 64]);
        Self { name, network, metrics: 38, past_steps: 1, hidden, samples: 100, batch: 20, optimizer }
    }

    fn task(&self) -> Result<Forecaster> {
        forecaster(self.metrics, self.past_steps, self.network, self.hidden)
    }

    /// As many windows as there are samples, of noise.
    fn windows(&self) -> Windows {
        let random = &mut ChaCha20Rng::seed_from_u64(1);
        let rows = self.samples + self.past_steps as usize;
        let row =
            |record| Row { source: 0, at: Timestamp::from_millis(record as u64 * 1000), record, down: false };
        let values = (0..rows * self.metrics).map(|_| random.random_range(-1.0..1.0)).collect();
        let table = Table { columns: self.metrics, rows: (0..rows).map(row).collect(), values };
        window(table, &Window { past_steps: self.past_steps, stride: 1, gap_steps: 3 })
    }

    fn line(&self, system: &str, clients: u32, cpu_s: f64) -> Line {
        let steps = f64::from(clients) * self.samples.div_ceil(self.batch) as f64;
        Line {
            model: self.name.to_owned(),
            system: system.to_owned(),
            cpu_us_step: cpu_s / steps * 1e6,
            clients_per_cpu_s: f64::from(clients) / cpu_s,
        }
    }

    /// One epoch after the other, each from the first model, as clients of a round do.
    fn ours(&self, seconds: f64) -> Result<Line> {
        let (task, windows) = (self.task()?, self.windows());
        let first: Arc<ParameterVector> = Arc::new(Task::Forecaster(task.clone()).initial(1)?);
        let settings = Training { batch: self.batch, optimizer: self.optimizer, ..Training::default() };
        let client = |round| {
            let settings = Training { round, ..settings };
            train(&task, &first, &windows, &settings, &mut |_: Progress| ControlFlow::Continue(()))
        };
        client(0)?;
        // The clock is read ever more rarely: it costs about as much as a small client's step.
        let (began, mut clients) = (running_s(id())?, 0);
        loop {
            for _ in 0..=clients / 4 {
                clients += 1;
                client(clients)?;
            }
            let taken = running_s(id())? - began;
            if taken >= seconds {
                return Ok(self.line("starling", clients, taken));
            }
        }
    }

    /// What the script has to know.
    fn said(&self) -> String {
        let Self { name, metrics, past_steps, hidden, samples, batch, .. } = self;
        serde_json::json!({
            "model": name, "network": self.network, "metrics": metrics, "past_steps": past_steps,
            "hidden": hidden, "samples": samples, "batch": batch, "optimizer": self.optimizer,
        })
        .to_string()
    }
}

/// The Python that has PyTorch, if one has.
fn python() -> Option<&'static str> {
    let has_torch = |python: &&str| {
        let tried = Command::new(python).args(["-c", "import torch"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has_torch)
}

/// What the script says.
#[derive(Deserialize)]
struct Said {
    /// Epochs from the first model on.
    clients: u32,
    cpu_s: f64,
}

/// The same by PyTorch.
fn torch(python: &str, case: &Case, seconds: f64) -> Result<Line> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench_training/torch_steps.py");
    let done = Command::new(python).arg(&script).args([case.said(), seconds.to_string()]).output();
    let done = done.with_context(|| python.to_owned())?;
    if !done.status.success() {
        bail!("{}: {}", script.display(), String::from_utf8_lossy(&done.stderr));
    }
    let Said { clients, cpu_s } = serde_json::from_slice(&done.stdout)?;
    Ok(case.line("pytorch", clients, cpu_s))
}

fn main() -> ExitCode {
    examples::ending("bench-training", measure(&Options::parse()))
}

fn measure(options: &Options) -> Result<()> {
    ensure!(options.turns > 0, "--turns: at least one");
    let python = python();
    if python.is_none() {
        eprintln!("PyTorch is not measured: install `python3-torch`");
    }
    let mut list = Listing::begin(options.format);
    let mut rows = vec!["| model | | CPU us a step | clients a CPU-second | of PyTorch's cost |".to_owned()];
    rows.push("|---|---|---|---|---|".to_owned());
    for case in &CASES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for turn in 1..=options.turns {
            eprintln!("{}: turn {turn} of {}", case.name, options.turns);
            ours.push(case.ours(options.seconds)?);
            theirs.extend(python.map(|python| torch(python, case, options.seconds)).transpose()?);
        }
        let theirs = median(theirs);
        for line in median(ours).iter().chain(&theirs) {
            list.item(line, Vec::new)?;
            let share = theirs
                .as_ref()
                .map_or("-".to_owned(), |theirs| format!("{:.2}", line.cpu_us_step / theirs.cpu_us_step));
            let Line { model, system, cpu_us_step, clients_per_cpu_s } = line;
            rows.push(format!(
                "| {model} | {system} | {cpu_us_step:.0} | {clients_per_cpu_s:.1} | {share} |"
            ));
        }
    }
    list.remark(|| rows);
    list.end();
    Ok(())
}

/// The one in the middle, by cost.
fn median(mut lines: Vec<Line>) -> Option<Line> {
    lines.sort_by(|one, other| one.cpu_us_step.total_cmp(&other.cpu_us_step));
    let middle = lines.len() / 2;
    lines.into_iter().nth(middle)
}
