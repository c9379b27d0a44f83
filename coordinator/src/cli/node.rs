//! `coordinator node list`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use edge::Listing;

use super::exit::Exit;
use super::printing::Printing;
use crate::view::{NodeView, WorkView};

#[derive(Subcommand)]
pub(super) enum NodeCommand {
    /// List the nodes of `allowed-nodes`, and what they are doing.
    List {
        #[command(flatten)]
        printing: Printing,
    },
}

pub(super) async fn execute(dir: &Path, command: &NodeCommand) -> Result<ExitCode> {
    let NodeCommand::List { printing } = command;
    let mut list = Listing::begin(printing.format);
    for node in &super::asked::serving_view(dir).await?.nodes {
        list.item(node, || lines(node))?;
    }
    list.end();
    Ok(Exit::Done.into())
}

/// The node, and what it does for each run where that is more than one.
fn lines(node: &NodeView) -> Vec<String> {
    let labels: Vec<String> = node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let NodeView { name, node, activity, works, .. } = node;
    let first = format!("{name:<24} {activity:<10} {:<8}  {}", &node[..8.min(node.len())], labels.join(" "));
    let work = |work: &WorkView| {
        format!("  run {} {:<10} {:>3} %", &work.run[..8.min(work.run.len())], work.activity, work.progress)
    };
    let works = works.iter().filter(|_| works.len() > 1).map(work);
    [first.trim_end().to_owned()].into_iter().chain(works).collect()
}
