//! The `coordinator` command.

mod asked;
mod doctor;
mod exit;
mod model;
mod node;
mod printing;
mod relay;
mod run;
mod schema;
mod simulate;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, Parser, Subcommand};
use edge::print_lines;

use crate::driver;
use crate::folder::{Folder, SAMPLE_CONFIG};
use exit::Exit;
use printing::Printing;

#[derive(Parser)]
#[command(name = "coordinator", version, about = "Runs federated training rounds and never sees raw telemetry.", after_help = exit::table())]
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
    /// Start, pause, resume, stop, watch, explain and compare training runs.
    #[command(subcommand)]
    Run(run::RunCommand),
    /// List nodes.
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// List, show, promote, export and import models.
    #[command(subcommand)]
    Model(model::ModelCommand),
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
            runtime.block_on(driver::serve(dir, *halt_at)).map(|()| Exit::Done.into())
        }
        Command::Run(command) => runtime.block_on(run::execute(dir, command)),
        Command::Node(command) => runtime.block_on(node::execute(dir, command)),
        Command::Model(command) => runtime.block_on(model::execute(dir, command)),
        Command::Doctor { printing } => runtime.block_on(doctor::execute(dir, printing.format)),
        Command::RelayInit(options) => relay::init(dir, options),
        Command::Simulate { options } => simulate::execute(options),
        Command::Relay => runtime.block_on(driver::relay(dir)).map(|()| Exit::Done.into()),
    }
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
    let identity = Folder::init(dir, &config, &custody, &mut edge::entropy()?)?;
    print_lines(&[
        format!("coordinator {}", identity.node_id()),
        format!("  folder      {}", dir.display()),
        format!("  public key  {}", dir.join("identity.pub").display()),
        "next: `node init` on each machine, with this public key; add the line it prints to `allowed-nodes`;"
            .into(),
        "then `coordinator serve`".into(),
    ]);
    Ok(Exit::Done.into())
}
