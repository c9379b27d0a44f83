//! What the programs beside this file share: a fleet of machines that can be made anywhere, pages for reports, what
//! a process has used, and how a program ends.

pub mod fleet;
pub mod page;
pub mod usage;

use std::process::ExitCode;

/// How a program of this name ends: what went wrong is told, if something did.
pub fn ending(program: &str, ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A domain that nobody else uses, unless another process chose the same, and whose ports Linux gives to nobody who
/// asks for any.
pub fn free_domain() -> u16 {
    20 + (std::process::id() % 80) as u16
}
