//! Those who take in: the bridge, with and without sync, and two that throw mail away.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::units::Millis;

/// What the first argument is in a process that plays a part.
const COORDINATOR: &str = "__coordinator";
const NODE: &str = "__node";

/// How long a server may take to listen.
const START: Millis = Millis(20_000);

/// Plays the part that the first argument names, if it names one.
pub(crate) fn play_a_part() -> Option<ExitCode> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let part = if args.len() > 1 { args.remove(1) } else { return None };
    match part.to_str()? {
        COORDINATOR => Some(coordinator::cli::main(args)),
        NODE => Some(node::cli::main(args)),
        _ => None,
    }
}

/// Who takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// The bridge: a mail is on the disk before it is acknowledged.
    Starling,
    /// The bridge: a mail is with the operating system before it is acknowledged.
    StarlingUnsynced,
    /// Postfix's `smtp-sink`: a mail is thrown away.
    SmtpSink,
    /// aiosmtpd with its `Sink`: a mail is thrown away.
    Aiosmtpd,
}

impl System {
    pub(crate) const ALL: [Self; 4] =
        [Self::Starling, Self::StarlingUnsynced, Self::SmtpSink, Self::Aiosmtpd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Starling => "starling",
            Self::StarlingUnsynced => "no sync",
            Self::SmtpSink => "smtp-sink",
            Self::Aiosmtpd => "aiosmtpd",
        }
    }
}

/// A server that is killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a server for mail and waits until it listens; `None` when this host does not have it.
    pub(crate) fn start(system: System, dir: &Path) -> Result<Option<Self>> {
        let address = free_address()?;
        let smtp = format!(
            "[smtp]\nlisten = [\"{address}\"]\nhostname = \"bridge.example.com\"\n\
             trusted_networks = [\"127.0.0.0/8\"]\nmailboxes = {{ telemetry = \"default\" }}\n\
             mails_per_minute = 100000000\nconnections_per_source_max = 1000\n"
        );
        let command = match system {
            System::Starling | System::StarlingUnsynced => bridge(system, dir, &smtp)?,
            System::SmtpSink => {
                let mut command = Command::new("smtp-sink");
                command.args(["-u", "nobody", &address.to_string(), "512"]);
                command
            }
            System::Aiosmtpd => {
                let there =
                    Command::new("python3").args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
                if !there.is_ok_and(|status| status.success()) {
                    eprintln!("bench-ingest: no aiosmtpd (`pip install aiosmtpd`): left out");
                    return Ok(None);
                }
                let mut command = Command::new("python3");
                let handler = ["-c", "aiosmtpd.handlers.Sink", "-l", &address.to_string()];
                command.args(["-m", "aiosmtpd", "-n"]).args(handler);
                command
            }
        };
        Self::spawn(system, command, address, dir).map(Some)
    }

    /// Starts a bridge for OTLP and waits until it listens.
    pub(crate) fn otlp(system: System, dir: &Path) -> Result<Self> {
        let address = free_address()?;
        let otlp = format!(
            "[otlp]\nlisten = [\"{address}\"]\ntenant = \"default\"\ntrusted_networks = [\"127.0.0.0/8\"]\n"
        );
        Self::spawn(system, bridge(system, dir, &otlp)?, address, dir)
    }

    fn spawn(system: System, mut command: Command, address: SocketAddr, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let log = File::create(dir.join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut server =
            Self { child: child.with_context(|| format!("cannot start {}", system.name()))?, address };
        let until = edge::now() + START;
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if edge::now() >= until || server.child.try_wait()?.is_some() {
                bail!("{} does not listen: {}", system.name(), fs::read_to_string(dir.join("log"))?.trim());
            }
            std::thread::yield_now();
        }
        Ok(server)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A bridge with this section in its configuration.
fn bridge(system: System, dir: &Path, section: &str) -> Result<Command> {
    fs::create_dir_all(dir)?;
    let at = |name: &str| dir.join(name).display().to_string();
    run(&[COORDINATOR, "--dir", &at("coordinator"), "init"])?;
    run(&[NODE, "--dir", &at("node"), "init", "--operator", &at("coordinator/operator.pub")])?;
    let config = dir.join("node/node.toml");
    let sync = format!("sync = {}", system == System::Starling);
    let text = fs::read_to_string(&config)?.replace("sync = true", &sync);
    fs::write(&config, format!("{text}\n{section}"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([NODE, "--dir", &at("node"), "smtp-bridge"]);
    Ok(command)
}

fn run(args: &[&str]) -> Result<()> {
    let output = Command::new(std::env::current_exe()?).args(args).output()?;
    if !output.status.success() {
        bail!("{}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
