//! One program in three parts: it starts itself as the coordinator and as the nodes.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use node::drift::Drifted;
use node::participant::{Assignment, Trained};
use node::trainer::Trainer;

/// What the first argument is in a process that plays a part.
const COORDINATOR: &str = "__coordinator";
const NODE: &str = "__node";
const BENCH_NODE: &str = "__bench_node";

/// Plays the part that the first argument names, if it names one.
pub(crate) fn play_a_part() -> Option<ExitCode> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let part = if args.len() > 1 { args.remove(1) } else { return None };
    match part.to_str()? {
        COORDINATOR => Some(coordinator::cli::main(args)),
        NODE => Some(node::cli::main(args)),
        BENCH_NODE => Some(examples::ending("node", run_node(Path::new(args.get(1)?)))),
        _ => None,
    }
}

/// A node whose trainer adds a constant.
fn run_node(dir: &Path) -> Result<()> {
    edge::log_to_stderr();
    let folder = node::folder::Folder::open(dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(async {
            Box::pin(node::driver::run(folder, AddConstant, Drifted::default(), &mut edge::Stop::listen()?))
                .await
        })
        .map(drop)
}

struct AddConstant;

impl Trainer for AddConstant {
    fn train(
        &mut self,
        assignment: &Assignment,
        _progress: &mut dyn FnMut(u8) -> ControlFlow<()>,
    ) -> Result<Trained, String> {
        let mut parameters = (*assignment.model).clone();
        parameters.values_mut().iter_mut().for_each(|value| *value += 0.001);
        let Assignment { run, epoch, .. } = *assignment;
        Ok(Trained { run, epoch, parameters, samples: 1, steps: 1, loss: 0.0, control: None })
    }

    fn keep(&mut self, _assignment: &Assignment) -> Result<String, String> {
        Ok("a model without meaning is not kept".into())
    }
}

/// A process that is killed when it is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts the coordinator of `dir`.
    pub(crate) fn coordinator(dir: &Path) -> Result<Self> {
        let folder = dir.join("coordinator").display().to_string();
        Self::start(&[COORDINATOR, "--dir", &folder, "serve"], &dir.join("coordinator.log"))
    }

    /// Starts a node of `dir`.
    pub(crate) fn node(dir: &Path, name: &str) -> Result<Self> {
        let folder = dir.join(name).display().to_string();
        Self::start(&[BENCH_NODE, &folder], &dir.join(format!("{name}.log")))
    }

    fn start(args: &[&str], log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| log.display().to_string())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(Self(command.spawn().context("cannot start a process")?))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes the folders of a coordinator and its nodes; returns the nodes' names.
pub(crate) fn prepare(dir: &Path, nodes: u32, domain: u16) -> Result<Vec<String>> {
    let domain = domain.to_string();
    let place = ["--domain", &domain, "--interface", "127.0.0.1"];
    let at = |name: &str| dir.join(name).display().to_string();
    run(&[&[COORDINATOR, "--dir", &at("coordinator"), "init"][..], &place].concat())?;
    let key = at("coordinator/operator.pub");
    let mut allowed = String::new();
    let names: Vec<String> = (1..=nodes).map(|number| format!("node-{number}")).collect();
    for name in &names {
        let folder = at(name);
        let init = [NODE, "--dir", &folder, "init", "--operator", &key, "--name", name];
        run(&[&init[..], &place].concat())?;
        let public = fs::read_to_string(dir.join(name).join("identity.pub"))?;
        let _ = writeln!(allowed, "{name} {}", public.trim());
    }
    let list = at("nodes");
    fs::write(&list, allowed)?;
    run(&[COORDINATOR, "--dir", &at("coordinator"), "node", "approve", "--list", &list])?;
    Ok(names)
}

fn run(args: &[&str]) -> Result<()> {
    let output = Command::new(std::env::current_exe()?).args(args).output()?;
    if !output.status.success() {
        bail!("{}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
