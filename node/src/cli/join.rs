//! `node join`.

use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use common::join::{Answer, Standing};
use common::known::{self, Labels, Peer};
use common::token::Ticket;
use common::units::Millis;
use edge::print_lines;
use zeroize::Zeroizing;

use super::starter::Starter;
use crate::driver::join;
use crate::folder::Joining;

/// What the program ends with when nobody has approved the node within `--wait`.
pub(super) const EXIT_WAITING: u8 = 4;

/// What [`EXIT_WAITING`] means, for people.
pub(super) const EXIT_WAITING_MEANING: &str = "nobody has approved the node within --wait; it still waits";

/// More than any token and host have, in bytes.
const TICKET_BYTES_MAX: u64 = 1024;

/// What this machine is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

#[derive(Args)]
pub(super) struct Join {
    /// The token, and the host of the coordinator that made it; `-` reads both from the standard input, where no other
    /// user of this machine sees them.
    #[arg(required_unless_present = "token_file", value_name = "TOKEN@HOST[:PORT]")]
    ticket: Option<String>,
    /// A file that says the same.
    #[arg(long, value_name = "FILE", conflicts_with = "ticket")]
    token_file: Option<PathBuf>,
    /// The node's name; of a new folder the name of this host when not given.
    #[arg(long)]
    name: Option<String>,
    /// A label that this node would like; the operator sees it when he approves. May be repeated.
    #[arg(long = "label", value_name = "LABEL=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Ask again for this long until somebody has approved this node: 90s, 10m, 2h.
    #[arg(long, value_name = "TIME", value_parser = edge::duration)]
    wait: Option<Duration>,
    /// For a new folder: address of a network interface to use; may be repeated. Without one, all of them.
    #[arg(long = "interface", value_name = "ADDRESS")]
    interfaces: Vec<IpAddr>,
    #[command(flatten)]
    custody: custody::Options,
}

/// Nobody has decided in time.
#[derive(Debug, thiserror::Error)]
#[error("nobody has approved `{0}` yet; it still waits, and `node run` takes part as soon as somebody has")]
pub(super) struct StillWaiting(String);

pub(super) fn execute(dir: &Path, options: &Join) -> Result<()> {
    let ticket = ticket(options)?;
    let custody = options.custody.config();
    let joining = Joining::begin(dir, &custody, &ticket.token.operator, &mut edge::entropy()?)?;
    let name = match (&options.name, &joining.config) {
        (Some(name), _) => name.clone(),
        (None, Some(config)) => config.name.clone(),
        (None, None) => host_name()?,
    };
    let labels: Labels = options.labels.iter().cloned().collect();
    let peer = Peer { name, key: *joining.identity.public(), labels };
    let tenant = joining.config.as_ref().map(|config| config.tenant.as_str());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut answer = runtime.block_on(join::ask(&ticket, &joining.identity, tenant, &peer))?;
    take(&joining, &answer, options, &peer, &custody)?;
    if let (Standing::Waiting, Some(wait)) = (&answer.standing, options.wait) {
        eprintln!("waiting for approval as `{}`, id {}", peer.name, peer.key.node_id());
        let until = edge::now() + Millis(wait.as_millis() as u64);
        let tenant = answer.tenant.to_string();
        answer = runtime.block_on(join::ask_until(&ticket, &joining.identity, &tenant, &peer, until))?;
        take(&joining, &answer, options, &peer, &custody)?;
        ensure!(answer.standing != Standing::Waiting, StillWaiting(peer.name));
    }
    tell(dir, &joining, &answer, &peer);
    Ok(())
}

/// Takes an answer into the folder; a refusal changes nothing there.
fn take(
    joining: &Joining,
    answer: &Answer,
    options: &Join,
    peer: &Peer,
    custody: &custody::Config,
) -> Result<()> {
    let Answer { standing, tenant, domain, suite, roster, certificate, .. } = answer;
    if let Standing::Refused(why) = standing {
        bail!("not let in: {why}");
    }
    let starter = Starter {
        name: &peer.name,
        tenant,
        domain: *domain,
        suite: *suite,
        interfaces: &options.interfaces,
        custody,
    };
    joining.complete(tenant, roster, || starter.config())?;
    joining.certify(certificate)
}

/// What became of it, and what comes next.
fn tell(dir: &Path, joining: &Joining, answer: &Answer, peer: &Peer) {
    let node = peer.key.node_id();
    let word = if answer.standing == Standing::Admitted { "admitted" } else { "waiting" };
    print_lines(&[format!("{word} {} {node}", peer.name)]);
    if answer.standing == Standing::Waiting {
        eprintln!("next: the operator compares the id and runs `coordinator node approve {}`", peer.name);
    }
    let place = dir.join("node.toml");
    match &joining.config {
        None => eprintln!("next: choose sources in {}, then `node run`", place.display()),
        Some(config) if config.dds.domain != answer.domain || config.suite != answer.suite => eprintln!(
            "next: write `domain = {}` and `suite = \"{}\"` into {}, as the coordinator has them, then `node run`",
            answer.domain,
            answer.suite,
            place.display()
        ),
        Some(_) => eprintln!("next: `node run`"),
    }
}

fn ticket(options: &Join) -> Result<Ticket> {
    let mut text = Zeroizing::new(String::with_capacity(TICKET_BYTES_MAX as usize));
    match (&options.ticket, &options.token_file) {
        (_, Some(file)) => {
            let opened = std::fs::File::open(file);
            let read = opened.and_then(|file| file.take(TICKET_BYTES_MAX).read_to_string(&mut text));
            read.with_context(|| file.display().to_string())?;
        }
        (Some(ticket), _) if ticket != "-" => text.push_str(ticket),
        _ => drop(std::io::stdin().take(TICKET_BYTES_MAX).read_to_string(&mut text)?),
    }
    Ok(text.parse()?)
}

fn host_name() -> Result<String> {
    let read = std::fs::read_to_string(HOST_NAME);
    let name = read.map(|text| text.trim().to_owned()).unwrap_or_default();
    ensure!(!name.is_empty(), "this host has no name; name the node with --name");
    Ok(name)
}

fn label(word: &str) -> Result<(String, String), String> {
    known::label(word).ok_or_else(|| "a label is written name=value".to_owned())
}
