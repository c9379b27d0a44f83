//! The `coordinator` command.

mod asked;
mod doctor;
mod exit;
mod model;
mod node;
mod printing;
mod relay;
mod roster;
mod run;
mod schema;
mod simulate;
mod tenant;
mod token;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use common::crypto::PublicIdentity;
use common::roster::Roster;
use edge::file::write_new;
use edge::{now, print_lines};

use crate::control::Socket;
use crate::driver::{self, Ended};
use crate::folder::{self, Folder, SAMPLE_CONFIG};
use exit::Exit;
use printing::Printing;

#[derive(Parser)]
#[command(name = "coordinator", version, about = "Runs federated training rounds and never sees raw telemetry.", after_help = exit::table())]
struct Cli {
    /// The coordinator's folder: configuration, identity, roster, state and models.
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
    /// Make the key that is to take the place of this coordinator's, while it goes on with the one that it has.
    Rotate,
    /// Start, pause, resume, stop, watch, explain and compare training runs.
    #[command(subcommand)]
    Run(run::RunCommand),
    /// List, approve, revoke and drain nodes.
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Make, list and take back tokens, with which nodes join over the network.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Show who belongs to the tenant, or put a list in force that its operator signed.
    #[command(subcommand)]
    Roster(roster::RosterCommand),
    /// Make an operator's key in a folder of its own, which needs no network.
    OperatorInit {
        #[command(flatten)]
        custody: custody::Options,
    },
    /// List, show, promote, export and import models.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Destroy the key of a tenant's data.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Look whether folder, models, disk, network and clock are as a coordinator needs them; changes nothing.
    Doctor {
        #[command(flatten)]
        printing: Printing,
    },
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

/// What of the starter configuration listens for nodes that join, once it is no comment any more.
const JOIN_SAMPLE: &str = "# [join]\n# listen = \"0.0.0.0:7385\"";

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
    /// Public key of the operator who says which nodes belong to the tenant. Without it, a new operator's key is made in
    /// this folder.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// Listen at this address for nodes that join with a token; without one, at port 7385 of all.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "0.0.0.0:7385")]
    join: Option<SocketAddr>,
    #[command(flatten)]
    custody: custody::Options,
}

/// Runs the command; the whole program but for the allocator.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some(schema) = schema::asked(Cli::command(), &args) {
        print_lines(&[schema]);
        return Exit::Done.into();
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match execute(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coordinator: {error:#}");
            Exit::of(&error).into()
        }
    }
}

fn execute(cli: &Cli) -> Result<ExitCode> {
    let dir = cli.dir.as_path();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &cli.command {
        Command::Init(options) => init(dir, options),
        Command::Serve { halt_at } => {
            drop(runtime);
            serve(dir, *halt_at)
        }
        Command::Rotate => rotate(dir),
        Command::Run(command) => runtime.block_on(run::execute(dir, command)),
        Command::Node(command) => runtime.block_on(node::execute(dir, command)),
        Command::Token(command) => runtime.block_on(token::execute(dir, command)),
        Command::Roster(command) => runtime.block_on(roster::execute(dir, command)),
        Command::OperatorInit { custody } => roster::operator_init(dir, custody),
        Command::Model(command) => runtime.block_on(model::execute(dir, command)),
        Command::Tenant(command) => tenant::execute(dir, command),
        Command::Doctor { printing } => runtime.block_on(doctor::execute(dir, printing.format)),
        Command::RelayInit(options) => relay::init(dir, options),
        Command::Simulate { options } => simulate::execute(options),
        Command::Relay => runtime.block_on(driver::relay(dir)).map(|()| Exit::Done.into()),
    }
}

/// Serves under the key that the operator appointed, one after another.
fn serve(dir: &Path, halt_at: Option<u64>) -> Result<ExitCode> {
    edge::log_to_stderr();
    edge::keep_secrets().context("core dumps cannot be forbidden")?;
    Folder::config(dir)?;
    let socket = Socket::open(dir)?;
    loop {
        if Folder::take_next(dir)? {
            tracing::info!("this coordinator goes on under the next key of its folder");
        }
        // A runtime of its own: what is still going on ends with it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if runtime.block_on(driver::serve(dir, &socket, halt_at))? == Ended::Stopped {
            return Ok(Exit::Done.into());
        }
    }
}

/// Makes the next key, or takes the one that was made.
fn rotate(dir: &Path) -> Result<ExitCode> {
    let next = Folder::make_next(dir)?;
    eprintln!(
        "next: the operator runs `coordinator roster appoint` with this; `coordinator serve` takes the key when that \
         roster is installed"
    );
    print_lines(&[next.public().to_string()]);
    Ok(Exit::Done.into())
}

/// The public key that a file holds.
fn read_key(path: &Path) -> Result<PublicIdentity> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.trim().parse().with_context(|| path.display().to_string())
}

fn init(dir: &Path, options: &Init) -> Result<ExitCode> {
    let interfaces: Vec<String> = options.interfaces.iter().map(|address| format!("\"{address}\"")).collect();
    let tenant = toml::Value::String(options.tenant.clone());
    let custody = options.custody.config();
    let config = SAMPLE_CONFIG
        .replace("kind = \"file\"\n", &custody.lines())
        .replace("tenant = \"default\"", &format!("tenant = {tenant}"))
        .replace("domain = 0", &format!("domain = {}", options.domain))
        .replace("interfaces = [\"127.0.0.1\"]", &format!("interfaces = [{}]", interfaces.join(", ")));
    let config = match options.join {
        None => config,
        Some(join) => config.replace(JOIN_SAMPLE, &format!("[join]\nlisten = \"{join}\"")),
    };
    let operator = options.operator.as_deref().map(read_key).transpose()?;
    let identity = Folder::init(dir, &config, &custody, &mut edge::entropy()?)?;
    let steps = if let Some(operator) = &operator {
        folder::pin_operator(dir, operator)?;
        let appoint = format!("coordinator roster appoint {} --tenant {tenant}", identity.public());
        [
            format!("next: the operator runs `{appoint}`, and what that makes is"),
            "installed here by `coordinator roster install`; then `coordinator serve`".to_owned(),
        ]
    } else {
        let operator = roster::make_operator(dir, &custody::Config::default())?;
        let text = Roster::new(&options.tenant, *identity.public()).sign(&operator, now())?;
        write_new(&dir.join("roster"), text.as_bytes(), 0o644)?;
        let keep = "`coordinator node approve`. Keep the folder `operator` elsewhere when all are there";
        let (next, then) = if options.join.is_some() {
            (
                "`coordinator serve`; `coordinator token create`, and on a machine `node join` with what that prints;",
                "",
            )
        } else {
            (
                "`node init` on each machine, with operator.pub of this folder; `coordinator serve`; and with the line",
                "that it prints ",
            )
        };
        [format!("next: {next}"), format!("{then}{keep}")]
    };
    let [next, then] = steps;
    print_lines(&[
        format!("coordinator {}", identity.node_id()),
        format!("  folder      {}", dir.display()),
        format!("  public key  {}", dir.join("identity.pub").display()),
        format!("  operator    {}", dir.join("operator.pub").display()),
        next,
        then,
    ]);
    Ok(Exit::Done.into())
}
