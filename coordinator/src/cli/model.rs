//! `coordinator model list | export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use edge::{Format, Listing, print_lines};

use crate::store::models;
use crate::view::View;

#[derive(Subcommand)]
pub(super) enum ModelCommand {
    /// List the models of all committed rounds.
    List {
        /// How to print the list.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Write a model to a safetensors file, after checking its hash.
    Export {
        /// Hash (or its start) of a model, or id or name of a run; the newest run when not given.
        model: Option<String>,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// One model: the round that made it.
#[derive(serde::Serialize)]
struct Listed<'v> {
    model: &'v str,
    run: &'v str,
    name: &'v str,
    round: u32,
    updates: u32,
    loss: f64,
}

fn listed(view: &View) -> Vec<Listed<'_>> {
    let rounds = view.runs.iter().flat_map(|run| run.history.iter().map(move |round| (run, round)));
    rounds
        .map(|(run, round)| Listed {
            model: &round.model,
            run: &run.run,
            name: &run.name,
            round: round.round,
            updates: round.updates,
            loss: round.loss,
        })
        .collect()
}

pub(super) async fn execute(dir: &Path, command: &ModelCommand) -> Result<ExitCode> {
    let view = super::asked::view(dir).await?;
    match command {
        ModelCommand::List { format } => {
            let mut list = Listing::begin(*format);
            for item in listed(&view) {
                let Listed { model, name, round, updates, loss, .. } = &item;
                list.item(&item, || {
                    vec![format!("{model}  {name} round {round}, {updates} updates, loss {loss:.5}")]
                })?;
            }
            list.end();
        }
        ModelCommand::Export { model, output } => {
            let hash = resolve(&view, model.as_deref())?;
            models::export(dir, hash.parse()?, output).with_context(|| output.display().to_string())?;
            print_lines(&[format!("{hash}  {}", output.display())]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn resolve(view: &View, wanted: Option<&str>) -> Result<String> {
    let mut by_hash = listed(view).into_iter().map(|listed| listed.model.to_owned());
    if let Some(hash) =
        by_hash.find(|hash| wanted.is_some_and(|wanted| wanted.len() >= 8 && hash.starts_with(wanted)))
    {
        return Ok(hash);
    }
    match view.run(wanted).map(|run| (run, &run.model)) {
        Some((_, Some(model))) => Ok(model.clone()),
        Some((run, None)) => bail!("run {} has no model yet", run.run),
        None => bail!("no model or run `{}`; `coordinator model list` shows them", wanted.unwrap_or("")),
    }
}
