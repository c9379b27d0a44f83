//! How many virtual nodes does the simulator train in a second, beside simulators that build on PyTorch?
//!
//! Two kinds of nodes: those that train an autoencoder of 7,094 parameters (38-64-16-64-38) for one epoch on 100 samples
//! in batches of 20, and those that add a constant to 10 thousand parameters. The figures of the others were measured
//! elsewhere, on the same kinds of nodes, and are quoted.

use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::id::NodeId;
use common::model::Task;
use coordinator::config::RunConfig;
use coordinator_simulate::crew::Crew;
use coordinator_simulate::federation::Federation;
use coordinator_simulate::population::Population;
use coordinator_simulate::synthetic;
use edge::{Format, Listing};
use serde::Serialize;

/// The allocator of the simulator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Samples of a node.
const SAMPLES: usize = 100;

/// Measures how many virtual nodes are trained in a second.
#[derive(Parser)]
#[command(name = "bench-simulate")]
struct Options {
    /// Rounds to measure, after one to warm up.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Threads; by default as many as the machine runs at once.
    #[arg(long)]
    threads: Option<usize>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Nodes of one kind, all of which train in each round.
struct Kind {
    name: &'static str,
    nodes: usize,
    optimizer: &'static str,
    task: String,
    /// What others do, as it was measured for them.
    others: &'static str,
}

#[derive(Serialize)]
struct Measured {
    nodes: &'static str,
    threads: usize,
    clients: u64,
    clients_per_s: f64,
    clients_per_cpu_s: f64,
    others: &'static str,
}

fn main() -> ExitCode {
    examples::ending("bench-simulate", measure_all(&Options::parse()))
}

fn kinds() -> [Kind; 3] {
    let metrics: Vec<String> = (0..38).map(|metric| format!("m{metric:02}")).collect();
    let autoencoder =
        format!("kind = \"forecaster\"\nmetrics = {metrics:?}\npast_steps = 1\nhidden = [64, 16, 64]");
    let others = "a CPU-second: plain C 4,860, pfl 0.6 with PyTorch 567, Flower with Ray 92";
    [
        Kind { name: "autoencoder, SGD", nodes: 1000, optimizer: "sgd", task: autoencoder.clone(), others },
        Kind { name: "autoencoder, Adam", nodes: 1000, optimizer: "adam", task: autoencoder, others },
        Kind {
            name: "trivial",
            nodes: 1000,
            optimizer: "sgd",
            task: "kind = \"flat\"\nparameters = 10_000".into(),
            others: "a second: Flower 124",
        },
    ]
}

fn measure_all(options: &Options) -> Result<()> {
    let threads =
        options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let mut table = Listing::begin(options.format);
    table.remark(|| {
        let columns =
            format!("| nodes | clients a second, {threads} threads | clients a CPU-second | others |");
        vec![columns, "|---|---|---|---|".to_owned()]
    });
    for kind in kinds() {
        let measured = measure(&kind, options.rounds, threads)?;
        let Measured { nodes, clients_per_s, clients_per_cpu_s, others, .. } = &measured;
        table.item(&measured, || {
            vec![format!("| {nodes} | {clients_per_s:.0} | {clients_per_cpu_s:.0} | {others} |")]
        })?;
        table.flush();
    }
    table.end();
    Ok(())
}

fn measure(kind: &Kind, rounds: u32, threads: usize) -> Result<Measured> {
    let Kind { nodes, optimizer, task, .. } = kind;
    let config = RunConfig::parse(&format!(
        "name = \"bench\"\nseed = 1\nrounds = {}\n\
         [cohort]\nminimum = {nodes}\ngoal = {nodes}\nover_selection = 1.0\n\
         [deadlines]\nselection_ms = 1\nconfiguration_ms = 1\nreporting_ms = 1\ncommitting_ms = 1\nattempts = 1\n\
         [training]\nepochs = 1\nbatch = 20\noptimizer = \"{optimizer}\"\nlearning_rate = 0.01\nstride = 1\n\
         [task]\n{task}\n",
        rounds + 1
    ))?;
    let population = match &config.task {
        Task::Forecaster(task) => {
            Population::with_windows_of(task, *nodes, |node| synthetic::windows(task, SAMPLES, 1, node))
        }
        _ => Population::with_nothing(*nodes),
    };
    let ids = (0..*nodes as u64).map(|node| NodeId(*blake3::hash(&node.to_le_bytes()).as_bytes())).collect();
    let mut federation = Federation::new(&config, ids, *nodes, 0.0)?;
    let mut began = None;
    let mut clients = 0;
    Crew::new(threads).run(&mut federation, &population, &|_, _| (), &mut |record, _| {
        match began {
            None => began = Some((edge::now(), edge::cpu_s(std::process::id())?)),
            Some(_) => clients += record.reports().count() as u64,
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let (wall, cpu) = began.context("no round was measured")?;
    let seconds = edge::now().micros_since(wall) as f64 / 1e6;
    let cpu_s = edge::cpu_s(std::process::id())? - cpu;
    let per = |seconds: f64| clients as f64 / seconds;
    let (clients_per_s, clients_per_cpu_s) = (per(seconds), per(cpu_s));
    Ok(Measured { nodes: kind.name, threads, clients, clients_per_s, clients_per_cpu_s, others: kind.others })
}
