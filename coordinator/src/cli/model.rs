//! `coordinator model list | show | promote | rollback | export | import`.

mod alias;
mod file;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use edge::{Format, Listing};

use super::asked;
use super::exit::Exit;
use super::printing::{How, Printing};
use crate::control::{ModelAnswer, ModelOrder};
use crate::view::model::{ListedModel, OriginKind};

#[derive(Subcommand)]
pub(super) enum ModelCommand {
    /// List the models of all committed rounds, and imported ones.
    List {
        #[command(flatten)]
        printing: Printing,
    },
    /// Show where a model comes from: run, round, the model before it, nodes and how much each learned from, strategy,
    /// code, task.
    Show {
        /// Alias, hash (or its start, at least 8 digits), or id or name of a run; the newest run when not given.
        model: Option<String>,
        #[command(flatten)]
        printing: Printing,
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
        #[command(flatten)]
        printing: Printing,
    },
    /// Take a model in from a safetensors file with the metadata that an exported one has.
    Import {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
}

/// An alias that is to name another model.
#[derive(Args)]
pub(super) struct Turn {
    /// The alias.
    #[arg(long, default_value = "production", value_name = "NAME")]
    alias: String,
    #[command(flatten)]
    how: How,
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

pub(super) async fn execute(dir: &Path, command: &ModelCommand) -> Result<ExitCode> {
    match command {
        ModelCommand::List { printing } => list(dir, printing.format).await?,
        ModelCommand::Show { model, printing } => show::show(dir, model.clone(), printing.format).await?,
        ModelCommand::Promote { model, turn } => alias::promote(dir, model, turn).await?,
        ModelCommand::Rollback(turn) => alias::roll_back(dir, turn).await?,
        ModelCommand::Export { model, output, kind, printing } => {
            file::export(dir, model.clone(), (output, *kind), printing.format).await?;
        }
        ModelCommand::Import { file, how } => file::import(dir, file, *how).await?,
    }
    Ok(Exit::Done.into())
}

async fn list(dir: &Path, format: Format) -> Result<()> {
    let ModelAnswer::Listed { models } = asked::models(dir, ModelOrder::List).await? else {
        bail!(asked::OTHER_ANSWER)
    };
    let mut list = Listing::begin(format);
    // What a run began with is nothing that somebody wants; `show` knows it.
    for model in models.iter().filter(|model| model.origin != OriginKind::Initial) {
        list.item(model, || vec![line(model)])?;
    }
    list.end();
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
