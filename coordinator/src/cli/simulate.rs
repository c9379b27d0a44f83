//! `coordinator simulate`: becomes `coordinator-simulate`, a program of its own, which links what trains.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

/// The program.
const PROGRAM: &str = "coordinator-simulate";

pub(super) fn execute(options: &[OsString]) -> Result<ExitCode> {
    let itself = std::env::current_exe().context("cannot find this program's file")?;
    match become_program(itself.parent(), PROGRAM, options)? {}
}

/// Becomes the program of this name beside our own file, or else in `PATH`.
fn become_program(folder: Option<&Path>, name: &str, options: &[OsString]) -> Result<Infallible> {
    let beside = folder.map(|folder| folder.join(name)).filter(|path| path.is_file());
    let program = beside.as_deref().map_or(OsStr::new(name), Path::as_os_str);
    // Returns only when it fails.
    let error = Command::new(program).args(options).exec();
    if error.kind() == ErrorKind::NotFound {
        let folder = folder.map_or_else(String::new, |folder| format!("in {} or ", folder.display()));
        bail!("there is no `{name}` {folder}in PATH; `cargo build --release -p {name}` makes it");
    }
    Err(error).with_context(|| program.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_nowhere_is_named_with_what_to_do() {
        let error =
            become_program(Some(Path::new("nowhere")), "no-such-program", &[]).unwrap_err().to_string();
        let expected = "there is no `no-such-program` in nowhere or in PATH; \
                        `cargo build --release -p no-such-program` makes it";
        assert_eq!(error, expected);
    }
}
