//! `coordinator run start | pause | resume | stop | extend`: what changes a run.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use edge::{Format, print_one};

use crate::cli::asked::{self, Absent};
use crate::cli::exit::Exit;
use crate::config;
use crate::control::{Question, Reply, Request, RunOrder};

pub(super) async fn start(
    dir: &Path,
    file: &Path,
    select: &[(String, String)],
    format: Format,
) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let text = config::selecting(text, select).with_context(|| file.display().to_string())?;
    order(dir, RunOrder::Start { config: text }, format).await.with_context(|| file.display().to_string())
}

/// Has something done with a run, and prints the run's id.
pub(super) async fn order(dir: &Path, order: RunOrder, format: Format) -> Result<ExitCode> {
    let mut client = asked::ask(dir, &Request::Ask(Question::Do(order))).await?;
    let Some(Reply::Done { run }) = client.next().await? else { bail!(Absent::Ended) };
    print_one(format, &serde_json::json!({ "run": run }), || vec![run.clone()])?;
    Ok(Exit::Done.into())
}
