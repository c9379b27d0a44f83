//! `coordinator node list | drain | undrain | renew | approve | rotate | revoke`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use edge::{Listing, print_one};

use super::asked::{self, Absent};
use super::exit::Exit;
use super::printing::{How, Printing};
use super::roster;
use crate::control::{Question, Reply, Request};
use crate::view::{NodeOrder, NodeView, WorkView};

#[derive(Subcommand)]
pub(super) enum NodeCommand {
    /// List the nodes of the roster and what they are doing, and those that wait for approval.
    List {
        #[command(flatten)]
        printing: Printing,
    },
    /// Select a node for no new round, over restarts too; it goes on with the rounds that it is in.
    Drain(Which),
    /// Select a drained node again.
    Undrain(Which),
    /// Give a node another certificate: one that was away until its last one ended is let in again.
    Renew(Which),
    /// Make a node, or several, members of the tenant: the operator signs the next roster. One that waits is named by its
    /// name or the start of its id.
    Approve(roster::Approve),
    /// Give a node, or several, the next key: it ends its rounds with the one that it has.
    Rotate(roster::Rotate),
    /// Take a node out for good: what it sends is refused from now on, and it is given no key any more. One that waits for
    /// approval is taken off the list.
    Revoke(roster::Revoke),
}

/// A node, for which something is done.
#[derive(Args)]
pub(super) struct Which {
    /// Name, id (or its start) of the node.
    node: String,
    #[command(flatten)]
    how: How,
}

pub(super) async fn execute(dir: &Path, command: &NodeCommand) -> Result<ExitCode> {
    match command {
        NodeCommand::List { printing } => list(dir, printing).await,
        NodeCommand::Drain(which) => order(dir, which, NodeOrder::Drain).await,
        NodeCommand::Undrain(which) => order(dir, which, NodeOrder::Undrain).await,
        NodeCommand::Renew(which) => order(dir, which, NodeOrder::Renew).await,
        NodeCommand::Approve(options) => roster::approve(dir, options).await,
        NodeCommand::Rotate(options) => roster::rotate(dir, options).await,
        NodeCommand::Revoke(options) => roster::revoke(dir, options).await,
    }
}

async fn list(dir: &Path, printing: &Printing) -> Result<ExitCode> {
    let mut list = Listing::begin(printing.format);
    let members = asked::serving_view(dir).await?.nodes;
    for node in members.iter().chain(&asked::applicants(dir).await?) {
        list.item(node, || lines(node))?;
    }
    list.end();
    Ok(Exit::Done.into())
}

async fn order(dir: &Path, Which { node, how }: &Which, order: NodeOrder) -> Result<ExitCode> {
    let question = Question::Node { node: node.clone(), order, dry_run: how.dry_run };
    let mut client = asked::ask(dir, &Request::Ask(question)).await?;
    let Some(Reply::Node(ordered)) = client.next().await? else { bail!(Absent::Ended) };
    print_one(how.printing.format, &ordered, || ordered.lines())?;
    Ok(Exit::Done.into())
}

/// The node, what it does for each run where that is more than one, and that its telemetry drifted if it did.
fn lines(node: &NodeView) -> Vec<String> {
    let labels: Vec<String> = node.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let NodeView { name, node, activity, works, drifted, .. } = node;
    let first = format!("{name:<24} {activity:<16} {:<8}  {}", &node[..8.min(node.len())], labels.join(" "));
    let work = |work: &WorkView| {
        format!("  run {} {:<10} {:>3} %", &work.run[..8.min(work.run.len())], work.activity, work.progress)
    };
    let works = works.iter().filter(|_| works.len() > 1).map(work);
    let drifted =
        drifted.iter().map(|run| format!("  drifted from the model of run {}", &run[..8.min(run.len())]));
    [first.trim_end().to_owned()].into_iter().chain(works).chain(drifted).collect()
}
