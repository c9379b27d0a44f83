//! `coordinator node list`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use edge::Listing;

use super::exit::Exit;
use super::printing::Printing;
use crate::view::NodeView;

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
        list.item(node, || vec![line(node)])?;
    }
    list.end();
    Ok(Exit::Done.into())
}

fn line(node: &NodeView) -> String {
    let labels: Vec<String> = node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let NodeView { name, node, activity, .. } = node;
    format!("{name:<24} {activity:<10} {:<8}  {}", &node[..8.min(node.len())], labels.join(" "))
        .trim_end()
        .to_owned()
}
