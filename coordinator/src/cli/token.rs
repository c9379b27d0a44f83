//! `coordinator token create | list | revoke`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use common::token::JOIN_PORT;
use edge::{Listing, duration, print_one};

use super::asked::{self, OTHER_ANSWER};
use super::exit::Exit;
use super::printing::{How, Printing};
use super::run::label;
use crate::control::{JoinAnswer, JoinOrder};
use crate::view::{IssuedToken, TokenView};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Print a token with which one node can join, once.
    Create(Create),
    /// List the tokens that were made, and how they stand; those that have ended for a week.
    List {
        #[command(flatten)]
        printing: Printing,
    },
    /// Take a token back. Who joined with it stays: `node revoke` takes that one out.
    Revoke {
        /// The id of the token, or its start.
        token: String,
        #[command(flatten)]
        how: How,
    },
}

/// A token that is to be made.
#[derive(Args)]
pub(super) struct Create {
    /// The tenant that it is for: the coordinator's own, and no other.
    #[arg(long)]
    tenant: Option<String>,
    /// How long it is good.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    expires: Duration,
    /// A label of the node that joins with it, whatever that says itself; may be repeated.
    #[arg(long = "label", value_name = "LABEL=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A pattern of the names that may join with it: `web-*`.
    #[arg(long, value_name = "PATTERN")]
    names: Option<String>,
    #[command(flatten)]
    how: How,
}

pub(super) async fn execute(dir: &Path, command: &TokenCommand) -> Result<ExitCode> {
    match command {
        TokenCommand::Create(options) => create(dir, options).await?,
        TokenCommand::List { printing } => {
            let JoinAnswer::Tokens { tokens } = asked::joining(dir, JoinOrder::Tokens).await? else {
                bail!(OTHER_ANSWER)
            };
            let mut list = Listing::begin(printing.format);
            tokens.iter().try_for_each(|token| list.item(token, || lines(token)))?;
            list.end();
        }
        TokenCommand::Revoke { token, how } => {
            let order = JoinOrder::Revoke { token: token.clone(), dry_run: how.dry_run };
            let JoinAnswer::Revoked(token) = asked::joining(dir, order).await? else { bail!(OTHER_ANSWER) };
            print_one(how.printing.format, &token, || lines(&token))?;
        }
    }
    Ok(Exit::Done.into())
}

async fn create(dir: &Path, options: &Create) -> Result<()> {
    let Create { tenant, expires, labels, names, how } = options;
    let order = JoinOrder::Issue {
        tenant: tenant.clone(),
        life_s: expires.as_secs(),
        labels: labels.iter().cloned().collect(),
        names: names.clone(),
        dry_run: how.dry_run,
    };
    let JoinAnswer::Issued(issued) = asked::joining(dir, order).await? else { bail!(OTHER_ANSWER) };
    let IssuedToken { token, port, approves, .. } = &issued;
    print_one(how.printing.format, &issued, || {
        vec![token.clone().unwrap_or_else(|| "a token would be made; nothing was changed".to_owned())]
    })?;
    if token.is_some() {
        let port = if *port == JOIN_PORT { String::new() } else { format!(":{port}") };
        let then = if *approves { "" } else { "; then `coordinator node approve NAME`" };
        eprintln!("next, on the machine: `node join TOKEN@HOST{port} --name NAME`{then}");
    }
    Ok(())
}

fn lines(token: &TokenView) -> Vec<String> {
    token.lines(edge::now())
}
