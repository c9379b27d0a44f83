//! `coordinator run start | pause | resume | stop | extend`: what changes a run.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use edge::print_one;

use super::Changes;
use crate::cli::asked::{self, Absent};
use crate::cli::exit::Exit;
use crate::cli::printing::How;
use crate::config;
use crate::control::{Question, Reply, Request, RunOrder};

pub(super) async fn start(
    dir: &Path,
    (file, changes): (&Path, &Changes),
    key: Option<&str>,
    how: How,
) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let config = config::selecting(text, &changes.select)
        .and_then(|text| config::beginning(text, changes.from.as_deref()))
        .and_then(|text| config::evaluating(text, changes.evaluate.as_deref()))
        .with_context(|| file.display().to_string())?;
    let key = key.map(str::to_owned);
    order(dir, RunOrder::Start { config, key }, how).await.with_context(|| file.display().to_string())
}

/// Has something done with a run, or asks what would be done; people get the run's id, or words.
pub(super) async fn order(dir: &Path, order: RunOrder, how: How) -> Result<ExitCode> {
    let question = if how.dry_run { Question::Try(order) } else { Question::Do(order) };
    let mut client = asked::ask(dir, &Request::Ask(question)).await?;
    let Some(Reply::Done(ordered)) = client.next().await? else { bail!(Absent::Ended) };
    print_one(how.printing.format, &ordered, || match &ordered.run {
        Some(run) if !how.dry_run => vec![run.clone()],
        _ => ordered.prospect(),
    })?;
    Ok(Exit::Done.into())
}
