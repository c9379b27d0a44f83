//! `coordinator model list | show | promote | rollback | export | import`.

mod alias;
mod file;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use edge::{Format, json_line, print_lines};

use crate::control::{Client, ModelAnswer, ModelOrder, Reply, Request};
use crate::folder;
use crate::registry;
use crate::store::Store;
use crate::view::model::{ListedModel, OriginKind};

#[derive(Subcommand)]
pub(super) enum ModelCommand {
    /// List the models of all committed rounds, and imported ones.
    List {
        /// How to print the list.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show where a model comes from: run, round, the model before it, nodes and how much each learned from, strategy,
    /// code, task.
    Show {
        /// Alias, hash (or its start, at least 8 digits), or id or name of a run; the newest run when not given.
        model: Option<String>,
        /// How to print it.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Make an alias name a model, after checking that its file is there and whole.
    Promote {
        /// Alias, hash (or its start, at least 8 digits), or id or name of a run.
        model: String,
        #[command(flatten)]
        turn: Turn,
    },
    /// Make an alias name the model that it named before.
    Rollback(Turn),
    /// Write a model to a file, after checking its hash.
    Export {
        /// Alias, hash (or its start, at least 8 digits), or id or name of a run; the newest run when not given.
        model: Option<String>,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// What kind of file: `safetensors` for PyTorch and others, or `onnx` for ONNX Runtime.
        #[arg(long = "as", value_enum, default_value_t, value_name = "KIND")]
        kind: Kind,
    },
    /// Take a model in from a safetensors file with the metadata that an exported one has.
    Import {
        /// The file.
        file: PathBuf,
        /// Only check the file, and tell its hash.
        #[arg(long)]
        dry_run: bool,
        /// How to print the result.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// An alias that is to name another model.
#[derive(Args)]
pub(super) struct Turn {
    /// The alias.
    #[arg(long, default_value = "production", value_name = "NAME")]
    alias: String,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What an exported model is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Parameters by their names, as they are stored.
    #[default]
    Safetensors,
    /// A graph that can be run; forecasters only.
    Onnx,
}

/// What a coordinator of another version may do.
pub(super) const OTHER_ANSWER: &str =
    "the coordinator answered something else: is it of another version than this command?";

pub(super) async fn execute(dir: &Path, command: &ModelCommand) -> Result<ExitCode> {
    match command {
        ModelCommand::List { format } => list(dir, *format).await?,
        ModelCommand::Show { model, format } => show::show(dir, model.clone(), *format).await?,
        ModelCommand::Promote { model, turn } => alias::promote(dir, model, turn).await?,
        ModelCommand::Rollback(turn) => alias::roll_back(dir, turn).await?,
        ModelCommand::Export { model, output, kind } => {
            file::export(dir, model.clone(), output, *kind).await?;
        }
        ModelCommand::Import { file, dry_run, format } => file::import(dir, file, *dry_run, *format).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the coordinator that serves this folder, or looks into the folder itself when none does.
pub(super) async fn asked(dir: &Path, order: ModelOrder) -> Result<ModelAnswer> {
    let Some(mut client) = Client::ask(dir, &Request::Model(order.clone())).await? else {
        return stored(dir, &order);
    };
    match client.next().await? {
        Some(Reply::Model(answer)) => Ok(answer),
        Some(_) => bail!(OTHER_ANSWER),
        None => bail!("the coordinator ended before it answered"),
    }
}

fn stored(dir: &Path, order: &ModelOrder) -> Result<ModelAnswer> {
    let store = match order {
        ModelOrder::Import { .. } => Store::open(dir)?,
        _ => match (Store::open_existing(dir)?, order) {
            (Some(store), _) => store,
            (None, ModelOrder::List) => return Ok(ModelAnswer::Listed { models: Vec::new() }),
            (None, _) => bail!("{} has no models yet; `coordinator run start` makes some", dir.display()),
        },
    };
    // Without the list nodes are named by their ids.
    let allowed = folder::allowed(dir).unwrap_or_default();
    registry::answer(&store, order, |node| common::known::name(&allowed, node), edge::now())
}

/// Prints one result: the lines that people read, or one JSON object.
pub(super) fn print_one(
    format: Format,
    result: &impl serde::Serialize,
    text: impl FnOnce() -> Vec<String>,
) -> Result<()> {
    match format {
        Format::Text => print_lines(&text()),
        Format::Json => print_lines(&[json_line(result)?]),
    }
    Ok(())
}

async fn list(dir: &Path, format: Format) -> Result<()> {
    let ModelAnswer::Listed { models } = asked(dir, ModelOrder::List).await? else { bail!(OTHER_ANSWER) };
    // What a run began with is nothing that somebody wants; `show` knows it.
    for model in models.iter().filter(|model| model.origin != OriginKind::Initial) {
        print_one(format, model, || vec![line(model)])?;
    }
    Ok(())
}

fn line(listed: &ListedModel) -> String {
    let ListedModel { model, name, round, updates, loss, aliases, .. } = listed;
    let from = match loss {
        Some(loss) => format!("{name} round {round}, {updates} updates, loss {loss:.5}"),
        None => format!("imported from {name}, round {round}"),
    };
    [&[model.clone(), from], aliases.as_slice()].concat().join("  ")
}
