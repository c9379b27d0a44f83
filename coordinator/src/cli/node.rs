//! `coordinator node list`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use edge::{Format, json_line, print_lines};

use crate::control::Request;
use crate::view::NodeView;

#[derive(Subcommand)]
pub(super) enum NodeCommand {
    /// List the nodes of `allowed-nodes`, and what they are doing.
    List {
        /// How to print the list.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub(super) async fn execute(dir: &Path, command: &NodeCommand) -> Result<ExitCode> {
    let NodeCommand::List { format } = command;
    let view = super::viewed(super::ask(dir, &Request::View).await?).await?;
    let lines: Result<Vec<String>> = match format {
        Format::Json => view.nodes.iter().map(json_line).collect(),
        Format::Text => Ok(view.nodes.iter().map(line).collect()),
    };
    print_lines(&lines?);
    Ok(ExitCode::SUCCESS)
}

fn line(node: &NodeView) -> String {
    let labels: Vec<String> = node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let NodeView { name, node, activity, .. } = node;
    format!("{name:<24} {activity:<10} {:<8}  {}", &node[..8.min(node.len())], labels.join(" "))
        .trim_end()
        .to_owned()
}
