//! What an operator does: `operator-init`, `roster show | install | appoint | hand-over`, `node approve | rotate |
//! revoke`.
//!
//! The operator's key is used here and by nobody who serves. Where the folder has it (`operator/`), a change is signed
//! and installed by one command; where it is kept elsewhere, it is signed there and `roster install` brings it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use common::crypto::{Identity, PublicIdentity, Succession};
use common::known;
use common::roster::{Membership, Roster};
use edge::file::write_new;
use edge::{now, print_lines, print_one};

use super::asked::{self, Absent};
use super::exit::Exit;
use super::printing::How;
use crate::control::{Client, JoinOrder, Question, Reply, Request};
use crate::folder::{self, Enrolled, OPERATOR};
use crate::join;
use crate::view::{self, InstalledRoster, NodeView, WaitingView};

#[derive(Subcommand)]
pub(super) enum RosterCommand {
    /// Print who belongs to the tenant, as the operator signed it.
    Show,
    /// Put a roster in force that the operator signed elsewhere.
    Install {
        /// The signed roster.
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Appoint a coordinator: the first roster of a tenant, or the next one with another coordinator.
    Appoint {
        /// Public key of the coordinator, as its `identity.pub` has it.
        coordinator: PublicIdentity,
        /// Of a new tenant its name.
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        how: How,
    },
    /// Hand the tenant over to another operator's key: it signs this and all that comes after.
    HandOver {
        /// The folder of that key: `operator` in that of `operator-init`.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        signing: Signing,
        #[command(flatten)]
        how: How,
    },
}

/// Who signs.
#[derive(Args)]
pub(super) struct Signing {
    /// The folder of the operator's key; without it, `operator` in the coordinator's.
    #[arg(long, value_name = "DIR")]
    operator: Option<PathBuf>,
}

/// Nodes that are to be members.
#[derive(Args)]
pub(super) struct Approve {
    /// What `node init` printed: a name and a public key; and labels (rack=A), by which runs select nodes. Without a key,
    /// the one that waits under this name or id (`node list`) is meant.
    #[arg(required_unless_present = "list", num_args = 1.., value_name = "NAME KEY LABEL")]
    node: Vec<String>,
    /// A file with such a line for each of several nodes; `-` is the standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    list: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    how: How,
}

/// Nodes that are to have another key.
#[derive(Args)]
pub(super) struct Rotate {
    /// What `node rotate` printed: the old key, the new one, and the signature of each.
    #[arg(required_unless_present = "list", num_args = 4, value_name = "KEY KEY SIGNATURE SIGNATURE")]
    succession: Vec<String>,
    /// A file with such a line for each of several nodes; `-` is the standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "succession")]
    list: Option<PathBuf>,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    how: How,
}

/// A node that is to be a member no more.
#[derive(Args)]
pub(super) struct Revoke {
    /// Name, id (or its start) of the node.
    node: String,
    /// Why: told to the node, and to everyone who watches.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    how: How,
}

/// Makes an operator's key in a folder, and pins its public half there.
pub(super) fn make_operator(dir: &Path, config: &custody::Config) -> Result<Identity> {
    let identity = folder::place_operator(&dir.join(OPERATOR), config, &mut edge::entropy()?)?;
    folder::pin_operator(dir, identity.public())?;
    Ok(identity)
}

/// `operator-init`: a folder of the operator alone.
pub(super) fn operator_init(dir: &Path, custody: &custody::Options) -> Result<ExitCode> {
    let operator = make_operator(dir, &custody.config())?;
    print_lines(&[
        format!("operator {}", operator.public()),
        format!("  secret key  {}", dir.join(OPERATOR).display()),
        "next: `coordinator init --operator` with operator.pub of this folder, where the coordinator is to serve;".into(),
        "then `coordinator roster appoint` here, with the key that it prints, and `coordinator roster install` there".into(),
    ]);
    Ok(Exit::Done.into())
}

pub(super) async fn execute(dir: &Path, command: &RosterCommand) -> Result<ExitCode> {
    match command {
        RosterCommand::Show => {
            let enrolled = Enrolled::open(dir)?;
            print_lines(&enrolled.text.lines().map(str::to_owned).collect::<Vec<_>>());
            Ok(Exit::Done.into())
        }
        RosterCommand::Install { file, how } => {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            install(dir, &text, *how).await
        }
        RosterCommand::Appoint { coordinator, tenant, signing, how } => {
            let next = match (roster_of(dir)?, tenant) {
                (Some(Enrolled { roster, .. }), None) => {
                    Roster { coordinator: *coordinator, ..roster.following() }
                }
                (None, Some(tenant)) => Roster::new(tenant, *coordinator),
                (Some(_), Some(_)) => bail!("this folder has a roster; the name of its tenant stays"),
                (None, None) => bail!("there is no roster yet: name the new tenant with --tenant"),
            };
            install(dir, &signed(dir, signing, next)?, *how).await
        }
        RosterCommand::HandOver { to, signing, how } => {
            let mut next = Enrolled::open(dir)?.roster.following();
            let (from, to) = (signing.open(dir)?, folder::open_operator(to)?);
            ensure!(from.public() != to.public(), "both are the same key");
            next.hand_over(&from, &to)?;
            install(dir, &next.sign(&to, now())?, *how).await
        }
    }
}

pub(super) async fn approve(dir: &Path, options: &Approve) -> Result<ExitCode> {
    let lines = match &options.node[..] {
        [name, labels @ ..] if labels.iter().all(|word| word.contains('=')) => {
            waiting_line(dir, name, labels).await?
        }
        words => lines(words, options.list.as_deref())?,
    };
    let approved = known::parse(&lines)?;
    ensure!(!approved.is_empty(), "no node is named");
    // Whoever compares ids sees here whom he lets in.
    for (node, peer) in &approved {
        eprintln!("{} has the id {node}", peer.name);
    }
    let next = join::admitting(Enrolled::open(dir)?.roster, approved)?;
    install(dir, &signed(dir, &options.signing, next)?, options.how).await
}

/// The words of one, or a list of several.
fn lines(words: &[String], list: Option<&Path>) -> Result<String> {
    match list {
        None => Ok(words.join(" ")),
        Some(file) if file.as_os_str() == "-" => Ok(std::io::read_to_string(std::io::stdin())?),
        Some(file) => fs::read_to_string(file).with_context(|| file.display().to_string()),
    }
}

/// The line of one who waits, with labels besides or in place of his own.
async fn waiting_line(dir: &Path, wanted: &str, labels: &[String]) -> Result<String> {
    let mut node = waiting(dir, wanted).await?.with_context(|| {
        format!(
            "nobody waits as `{wanted}` (`coordinator node list`); with a key behind the name, he need not"
        )
    })?;
    let WaitingView { key, .. } = node.waiting.take().context("who waits has a key")?;
    for word in labels {
        let (name, value) =
            known::label(word).with_context(|| format!("`{word}` is no label: name=value"))?;
        node.labels.insert(name, value);
    }
    let labels = node.labels.iter().map(|(name, value)| format!(" {name}={value}"));
    Ok(format!("{} {key}{}", node.name, labels.collect::<String>()))
}

/// The one who waits under this name, or whose id begins so.
async fn waiting(dir: &Path, wanted: &str) -> Result<Option<NodeView>> {
    let mut found = asked::applicants(dir).await?;
    found.retain(|node| node.name == wanted || node.node.starts_with(wanted));
    ensure!(found.len() <= 1, "more than one waits as `{wanted}`; write more of the id");
    Ok(found.pop())
}

/// Takes off the list who waits.
async fn dismiss(dir: &Path, node: NodeView, how: How) -> Result<ExitCode> {
    let order = JoinOrder::Dismiss { node: node.node.clone(), dry_run: how.dry_run };
    asked::joining(dir, order).await?;
    let roster = Enrolled::open(dir)?.roster;
    let told =
        InstalledRoster { revoked: vec![node.name], ..InstalledRoster::of(&roster, &roster, how.dry_run) };
    print_one(how.printing.format, &told, || told.lines())?;
    Ok(Exit::Done.into())
}

pub(super) async fn rotate(dir: &Path, options: &Rotate) -> Result<ExitCode> {
    let lines = lines(&options.succession, options.list.as_deref())?;
    let mut next = Enrolled::open(dir)?.roster.following();
    let tenant = next.tenant_id();
    for (line, number) in lines.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
        let Succession { from, to, .. } = line
            .trim()
            .parse::<Succession>()
            .map_err(anyhow::Error::from)
            .and_then(|succession| Ok(succession.verify(tenant).map(|()| succession)?))
            .with_context(|| format!("line {number}"))?;
        let taken = next.membership(to.node_id()) != Membership::Unknown;
        ensure!(!taken, "line {number}: the key {to} is on the roster already");
        ensure!(next.succeed(from.node_id(), to), "line {number}: no node has the key {from}");
    }
    install(dir, &signed(dir, &options.signing, next)?, options.how).await
}

pub(super) async fn revoke(dir: &Path, options: &Revoke) -> Result<ExitCode> {
    let Enrolled { roster, .. } = Enrolled::open(dir)?;
    let mut next = roster.following();
    let node = match view::node(&next.nodes, &options.node) {
        Ok(node) => node,
        Err(unknown) => match waiting(dir, &options.node).await? {
            Some(waits) => return dismiss(dir, waits, options.how).await,
            None => return Err(unknown.into()),
        },
    };
    next.revoke(node, &options.reason);
    install(dir, &signed(dir, &options.signing, next)?, options.how).await
}

/// The roster of a folder, if it has one.
fn roster_of(dir: &Path) -> Result<Option<Enrolled>> {
    dir.join("roster").exists().then(|| Enrolled::open(dir)).transpose()
}

impl Signing {
    /// The key of the operator of this folder.
    fn open(&self, dir: &Path) -> Result<Identity> {
        let place = self.operator.clone().unwrap_or_else(|| dir.join(OPERATOR));
        let key = folder::open_operator(&place)?;
        let operator = match roster_of(dir)? {
            Some(enrolled) => enrolled.operator,
            None => folder::operator(dir)?,
        };
        ensure!(
            *key.public() == operator,
            "{} is not the key of the operator, who is {operator}; --operator names the folder of that key",
            place.display()
        );
        Ok(key)
    }
}

/// The text that the operator of this folder signs.
fn signed(dir: &Path, signing: &Signing, mut next: Roster) -> Result<String> {
    Ok(next.sign(&signing.open(dir)?, now())?)
}

/// Puts a roster in force: by the coordinator that serves the folder, or in the folder itself when none does.
pub(super) async fn install(dir: &Path, text: &str, how: How) -> Result<ExitCode> {
    let question = Question::Roster { text: text.to_owned(), dry_run: how.dry_run };
    let told = match Client::ask(dir, &Request::Ask(question)).await? {
        Some(mut client) => match client.next().await?.ok_or(Absent::Ended)? {
            Reply::Roster(told) => told,
            _ => bail!(asked::OTHER_ANSWER),
        },
        None => store(dir, text, how.dry_run)?,
    };
    print_one(how.printing.format, &told, || told.lines())?;
    Ok(Exit::Done.into())
}

fn store(dir: &Path, text: &str, dry_run: bool) -> Result<InstalledRoster> {
    let Some(enrolled) = roster_of(dir)? else {
        let roster = Roster::open(text, &folder::operator(dir)?).context("the roster")?;
        if !dry_run {
            write_new(&dir.join("roster"), text.as_bytes(), 0o644)?;
        }
        return Ok(InstalledRoster::of(&roster, &Roster::new(&roster.tenant, roster.coordinator), dry_run));
    };
    let next = enrolled.newer(text)?;
    let told = InstalledRoster::of(&next.roster, &enrolled.roster, dry_run);
    if !dry_run {
        next.store(dir)?;
    }
    Ok(told)
}
