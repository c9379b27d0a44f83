//! `node import`: a very large file goes into the spool, in ranges and in parallel, and may be killed at any time.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use common::id::TenantId;
use edge::file::write_replacing;
use edge::{Format, print_one};
use ingest::import::{self, Batch, Exceptions, State, Summary};
use ingest::spool::{Entry, Position, Refusal, Spool};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::folder::{self, Folder};
use crate::intake::spool_dir;

#[derive(Args)]
pub(super) struct Import {
    /// A CSV file that is complete and not packed.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    times: super::RowTimes,
    /// Threads that read the file; as many as this machine has cores when not given.
    #[arg(long, value_name = "COUNT")]
    workers: Option<NonZeroUsize>,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How far an import is, as it is kept.
#[derive(Serialize, Deserialize)]
struct Progress {
    state: State,
    /// How long it took so far.
    seconds: f64,
}

pub(super) fn execute(dir: &Path, options: &Import) -> Result<()> {
    let config = Folder::config(dir)?;
    let format = options.times.format()?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let tenant = TenantId::of_name(&config.tenant);
    let workers = options.workers.unwrap_or(cores);
    let import = import::Import { workers, ..import::Import::new(tenant, &format) };

    let identity = import.identity(&options.file)?;
    let imports = dir.join("imports");
    std::fs::create_dir_all(&imports).with_context(|| imports.display().to_string())?;
    let kept = |ending: &str| imports.join(format!("{}.{ending}", &identity[..16]));
    let (progress_path, exceptions_path) = (kept("json"), kept("exceptions.jsonl"));

    let key = folder::spool_key(dir, &*Folder::vault(dir, &config)?)?;
    let spool = Spool::open(&spool_dir(dir), key, config.spool, edge::entropy()?)?;
    // Only now is this the only import.
    let before = read_progress(&progress_path)?;
    let exceptions_bytes = before.as_ref().map_or(0, |before| before.state.exceptions_bytes());
    let mut exceptions = Exceptions::open(&exceptions_path, exceptions_bytes)?;
    let length = std::fs::metadata(&options.file).with_context(|| options.file.display().to_string())?.len();
    let bar = super::progress_bar(length, "importing");
    let (began, seconds_before) = (edge::now(), before.as_ref().map_or(0.0, |before| before.seconds));
    let seconds = || seconds_before + edge::now().micros_since(began) as f64 / 1e6;
    let state = import.run(&options.file, before.map(|before| before.state), |batch| {
        store(&spool, &batch).context(
            "let `node run` read what the spool holds, or raise `bytes_max` of [spool]; \
             then run this command again, and it goes on",
        )?;
        exceptions.append(&batch.exceptions)?;
        bar.set_position(batch.state.bytes());
        let progress = Progress { state: batch.state, seconds: seconds() };
        write_replacing(&progress_path, &serde_json::to_vec(&progress)?)
    })?;
    bar.finish_and_clear();

    let summary = Summary::new(&options.file, &state, seconds());
    print_one(options.format, &summary, || vec![summary.to_string()])?;
    if summary.rejected_count() > 0 {
        eprintln!("node: the rows that were left out are in {}", exceptions_path.display());
    }
    if let Some(report) = &config.report {
        report.send(&summary, edge::now())?;
    }
    Ok(())
}

fn read_progress(path: &Path) -> Result<Option<Progress>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| path.display().to_string())?,
    };
    let progress = serde_json::from_slice(&bytes);
    progress.map(Some).with_context(|| format!("{}: not how far an import is", path.display()))
}

/// Puts a batch into the spool; returns when all of it is durable.
fn store(spool: &Spool, batch: &Batch) -> Result<(), Refusal> {
    let mut waiting = VecDeque::new();
    for entry in import::entries(batch, edge::now()) {
        let answer = offer(spool, &entry, &mut waiting)?;
        waiting.push_back(answer);
    }
    waiting.into_iter().try_for_each(durable)
}

type Answer = oneshot::Receiver<Result<Position, Refusal>>;

/// Offers an entry; when the disk is behind, waits for what was offered before.
fn offer(spool: &Spool, entry: &Entry, waiting: &mut VecDeque<Answer>) -> Result<Answer, Refusal> {
    loop {
        match spool.offer(entry.clone()) {
            Err(busy @ Refusal::Busy { .. }) => match waiting.pop_front() {
                Some(oldest) => durable(oldest)?,
                None => return Err(busy),
            },
            offered => return offered,
        }
    }
}

fn durable(answer: Answer) -> Result<(), Refusal> {
    answer.blocking_recv().unwrap_or(Err(Refusal::Closing)).map(|_| ())
}
