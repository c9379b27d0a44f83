//! The `coordinator` command.

mod model;
mod node;
mod relay;
mod run;
mod simulate;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use common::crypto::Identity;
use edge::print_lines;

use crate::control::{Client, Reply, Request, socket_path};
use crate::driver;
use crate::folder::{Folder, SAMPLE_CONFIG};
use crate::view::View;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed, the reason is on stderr; 2 wrong usage; 3 the run that was watched failed.";

#[derive(Parser)]
#[command(name = "coordinator", version, about = "Runs federated training rounds and never sees raw telemetry.", after_help = EXIT_CODES)]
struct Cli {
    /// The coordinator's folder: configuration, identity, allow-list, state and models.
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a folder with an identity and a starter configuration.
    Init(Init),
    /// Serve nodes and the control socket until SIGTERM or Ctrl-C.
    Serve {
        /// Stand still at this fault point; for tests.
        #[arg(long, hide = true, value_name = "N")]
        halt_at: Option<u64>,
    },
    /// Start, pause, resume, stop, watch and list training runs.
    #[command(subcommand)]
    Run(run::RunCommand),
    /// List nodes.
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// List and export models.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Make a folder for a relay, which joins two or more sites.
    RelayInit(relay::RelayInit),
    /// Join this site to others until SIGTERM or Ctrl-C. A folder of its own: see `relay-init`.
    Relay,
    /// Try a run out with virtual nodes, in one process: the program `coordinator-simulate`.
    #[command(disable_help_flag = true)]
    Simulate {
        /// What it is told; `--help` lists it.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
        options: Vec<OsString>,
    },
}

#[derive(Args)]
struct Init {
    /// Whose telemetry this coordinator works for.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// DDS domain, 0 to 231.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=i64::from(dds::DOMAIN_MAX)))]
    domain: u16,
    /// Address of a network interface to use; may be repeated. Without one, all of them.
    #[arg(long = "interface", value_name = "ADDRESS")]
    interfaces: Vec<IpAddr>,
}

/// Runs the command; the whole program but for the allocator.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match execute(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli) -> Result<ExitCode> {
    let dir = cli.dir.as_path();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &cli.command {
        Command::Init(options) => init(dir, options),
        Command::Serve { halt_at } => {
            runtime.block_on(driver::serve(dir, *halt_at)).map(|()| ExitCode::SUCCESS)
        }
        Command::Run(command) => runtime.block_on(run::execute(dir, command)),
        Command::Node(command) => runtime.block_on(node::execute(dir, command)),
        Command::Model(command) => runtime.block_on(model::execute(dir, command)),
        Command::RelayInit(options) => relay::init(dir, options),
        Command::Simulate { options } => simulate::execute(options),
        Command::Relay => runtime.block_on(driver::relay(dir)).map(|()| ExitCode::SUCCESS),
    }
}

fn init(dir: &Path, options: &Init) -> Result<ExitCode> {
    let interfaces: Vec<String> = options.interfaces.iter().map(|address| format!("\"{address}\"")).collect();
    let tenant = toml::Value::String(options.tenant.clone());
    let config = SAMPLE_CONFIG
        .replace("tenant = \"default\"", &format!("tenant = {tenant}"))
        .replace("domain = 0", &format!("domain = {}", options.domain))
        .replace("interfaces = [\"127.0.0.1\"]", &format!("interfaces = [{}]", interfaces.join(", ")));
    let identity = Identity::generate(&mut edge::entropy()?);
    Folder::init(dir, &config, &identity)?;
    print_lines(&[
        format!("coordinator {}", identity.node_id()),
        format!("  folder      {}", dir.display()),
        format!("  public key  {}", dir.join("identity.pub").display()),
        "next: `node init` on each machine, with this public key; add the line it prints to `allowed-nodes`;"
            .into(),
        "then `coordinator serve`".into(),
    ]);
    Ok(ExitCode::SUCCESS)
}

/// A conversation with the coordinator that serves this folder, which must be there.
async fn ask(dir: &Path, request: &Request) -> Result<Client> {
    let not_serving =
        || format!("no coordinator answers at {}; start `coordinator serve`", socket_path(dir).display());
    Client::ask(dir, request).await?.with_context(not_serving)
}

/// The view of the coordinator that serves this folder, or of the folder itself when none does.
async fn view(dir: &Path) -> Result<View> {
    match Client::ask(dir, &Request::View).await? {
        None => driver::stored_view(dir),
        Some(client) => viewed(client).await,
    }
}

/// The view that was asked for.
async fn viewed(mut client: Client) -> Result<View> {
    match client.next().await? {
        Some(Reply::View(view)) => Ok(*view),
        _ => anyhow::bail!("the coordinator ended before it answered"),
    }
}
