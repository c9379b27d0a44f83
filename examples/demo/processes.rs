//! Processes of the two programs: started from this program's own file, never left behind.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// How long a program may take to end after SIGTERM.
const END: Duration = Duration::from_secs(10);
/// Last lines of a log that are shown when its program failed.
const TAIL_LINES: usize = 5;

/// Which program a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Coordinator,
    Node,
}

impl Role {
    /// The program's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Node => "node",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::Coordinator => "__coordinator",
            Self::Node => "__node",
        }
    }

    /// The program that the demo was started as, if it is not the demo itself.
    pub(crate) fn of_argument(first: &str) -> Option<Self> {
        [Self::Coordinator, Self::Node].into_iter().find(|role| role.argument() == first)
    }
}

/// Ends this process when the demo that started it is gone, however it went: its end of our stdin closes.
pub(crate) fn end_with_the_demo() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}

/// Starts programs in one working folder, so that paths in it are short: a socket's path has little room.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    itself: PathBuf,
    home: PathBuf,
}

/// A program that serves until it is told to end.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    /// Closing it ends the process.
    _leash: Option<ChildStdin>,
}

impl Programs {
    /// Programs that work in `home`.
    ///
    /// # Errors
    ///
    /// When this program's own file cannot be found.
    pub(crate) fn new(home: PathBuf) -> Result<Self> {
        Ok(Self { itself: std::env::current_exe().context("cannot find this program's file")?, home })
    }

    /// The working folder.
    pub(crate) fn home(&self) -> &PathBuf {
        &self.home
    }

    fn command<A: AsRef<OsStr>>(&self, role: Role, dir: &str, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.itself);
        command.args([role.argument(), "--dir", dir]).args(args).current_dir(&self.home);
        // Ctrl-C reaches the demo alone, which then ends the others in order.
        command.stdin(Stdio::piped()).kill_on_drop(true).process_group(0);
        command
    }

    /// Starts a program whose output is read while it runs.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(crate) fn follow(&self, role: Role, dir: &str, args: &[&str]) -> Result<Child> {
        let mut command = self.command(role, dir, args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().with_context(|| format!("cannot start {}", role.name()))
    }

    /// Runs a command to its end and returns what it printed.
    ///
    /// # Errors
    ///
    /// With what it said on stderr when it failed, or when it took longer than `limit`.
    pub(crate) async fn ask<A: AsRef<OsStr>>(
        &self,
        role: Role,
        dir: &str,
        args: impl IntoIterator<Item = A>,
        limit: Duration,
    ) -> Result<String> {
        let mut command = self.command(role, dir, args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", role.name()))?;
        let _leash = child.stdin.take();
        let output = timeout(limit, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{dir}: no end after {} s", limit.as_secs()))??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{dir}: {}", said.lines().last().unwrap_or("failed without a word"));
        }
        String::from_utf8(output.stdout).with_context(|| format!("{dir}: printed what is no text"))
    }

    /// Starts a program that serves; what it says goes to `<dir>.log`.
    ///
    /// # Errors
    ///
    /// When it cannot be started or its log cannot be made.
    pub(crate) fn serve(&self, role: Role, dir: &str, command: &str) -> Result<Daemon> {
        let log = self.home.join(format!("{dir}.log"));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = self.command(role, dir, [command]);
        command.stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", role.name()))?;
        Ok(Daemon { name: dir.to_owned(), _leash: child.stdin.take(), child, log })
    }
}

impl Daemon {
    /// The last part of its folder's name: its machine's.
    pub(crate) fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// What it said last, for an error.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
        format!("its log {} ends with\n  {last}", self.log.display())
    }
}

/// Fails when one of them has ended by itself.
///
/// # Errors
///
/// Names it, with the end of its log.
pub(crate) fn check_alive(daemons: &mut [Daemon]) -> Result<()> {
    for daemon in daemons {
        if let Some(status) = daemon.child.try_wait()? {
            bail!("{} ended early ({status}); {}", daemon.name, daemon.tail());
        }
    }
    Ok(())
}

/// Asks all of them to end and waits for it; one that does not is killed.
///
/// # Errors
///
/// Names the first that had to be killed, or that ended with an error.
pub(crate) async fn end(daemons: &mut Vec<Daemon>) -> Result<()> {
    for daemon in daemons.iter() {
        if let Some(pid) = daemon.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // A process that is gone already is what was asked for.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    let all = async {
        for daemon in daemons.iter_mut() {
            // Its status is looked at below, when it is known which of them ended in time.
            let _ = daemon.child.wait().await;
        }
    };
    let _ = timeout(END, all).await;
    let mut failed = None;
    for mut daemon in daemons.drain(..) {
        let fault = match daemon.child.try_wait()? {
            Some(status) if status.success() => continue,
            Some(status) => format!("{} ended with an error ({status})", daemon.name),
            None => {
                daemon.child.kill().await.with_context(|| daemon.name.clone())?;
                format!("{} did not end within {} s of SIGTERM and was killed", daemon.name, END.as_secs())
            }
        };
        failed.get_or_insert(format!("{fault}; {}", daemon.tail()));
    }
    failed.map_or(Ok(()), |fault| bail!(fault))
}
