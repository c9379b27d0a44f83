//! What the programs beside this file share: a fleet of machines that can be made anywhere, recorded ones, pages for reports, one
//! model of many machines, a task without telemetry, what a process has used, and how a program ends.

pub mod fleet;
pub mod page;
pub mod recorded;
pub mod together;
pub mod usage;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use common::model::{Forecaster, Foresees, MetricName, Network};
use flate2::read::GzDecoder;

/// How a program of this name ends: what went wrong is told, if something did.
pub fn ending(program: &str, ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The text of a file that is packed with gzip.
///
/// # Errors
///
/// Names the file.
pub fn unpacked(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| GzDecoder::new(file).read_to_string(&mut text));
    read.with_context(|| path.display().to_string())?;
    Ok(text)
}

/// A task over so many metrics without meaning.
///
/// # Errors
///
/// More metrics or layers than a model may have.
pub fn forecaster(
    metrics: usize,
    past_steps: u32,
    network: Network,
    hidden: &[u32],
) -> anyhow::Result<Forecaster> {
    let name = |metric: usize| MetricName::try_from(format!("m{metric}").as_str());
    let metrics = (0..metrics).map(name).collect::<Result<Vec<_>, _>>()?.try_into()?;
    let (hidden, foresees) = (hidden.to_vec().try_into()?, Foresees::default());
    Ok(Forecaster { metrics, past_steps, network, hidden, foresees })
}

/// A domain that nobody else uses, unless another process chose the same, and whose ports Linux gives to nobody who
/// asks for any.
pub fn free_domain() -> u16 {
    20 + (std::process::id() % 80) as u16
}
