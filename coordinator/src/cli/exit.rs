//! What the program ends with: the one place that knows the numbers.

use std::process::ExitCode;

use super::asked::Absent;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// It was done.
    Done = 0,
    /// It was not done, and stderr says why.
    Failed = 1,
    /// The command line was wrong. What clap ends with.
    Usage = 2,
    /// The run that was followed failed.
    RunFailed = 3,
    /// The run did not end within the time it was given.
    TimedOut = 4,
    /// The run is paused: nothing comes of it until somebody resumes it.
    Paused = 5,
    /// No coordinator serves the folder.
    NoCoordinator = 6,
    /// The key of the folder cannot be used.
    Custody = custody::EXIT,
    /// Ctrl-C while a run was watched; as shells count SIGINT.
    Interrupted = 130,
}

/// Each way to end, as people read it.
const TABLE: [(Exit, &str); 9] = [
    (Exit::Done, "done"),
    (Exit::Failed, "failed, stderr says why and what to do; or `doctor` found what fails"),
    (Exit::Usage, "wrong usage"),
    (Exit::RunFailed, "the run that was watched or waited for failed"),
    (Exit::TimedOut, "the run did not end within --timeout"),
    (Exit::Paused, "the run that was waited for is paused"),
    (Exit::NoCoordinator, "no coordinator answers; start `coordinator serve`"),
    (Exit::Custody, custody::EXIT_MEANING),
    (Exit::Interrupted, "Ctrl-C while a run was watched; the run goes on"),
];

/// The table for the end of `--help`.
pub(super) fn table() -> String {
    let rows = TABLE.map(|(exit, meaning)| format!("\n  {:>3}  {meaning}", exit as u8));
    format!("Exit codes:{}", rows.concat())
}

impl Exit {
    /// How the program ends with this error.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        if error.chain().any(<dyn std::error::Error>::is::<Absent>) {
            Self::NoCoordinator
        } else if custody::is_cause(error) {
            Self::Custody
        } else {
            Self::Failed
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context;

    use super::*;

    #[test]
    fn the_table_of_the_manual_is_that_of_the_help() {
        let manual = include_str!("../../../common/docs/operate.md");
        for (exit, meaning) in TABLE {
            let row = format!("| {} | {meaning} |", exit as u8);
            assert!(manual.contains(&row), "{row}");
        }
    }

    #[test]
    fn an_absent_coordinator_and_an_absent_key_are_told_from_other_failures_under_any_context() {
        let absent = anyhow::Error::new(Absent::at(Path::new("x"))).context("run.toml");
        assert_eq!(Exit::of(&absent), Exit::NoCoordinator);
        let key = anyhow::Error::new(common::crypto::CustodyError("no token".into())).context("serve");
        assert_eq!(Exit::of(&key), Exit::Custody);
        let other: anyhow::Result<()> = Err(anyhow::anyhow!("disk")).context("run.toml");
        assert_eq!(Exit::of(&other.unwrap_err()), Exit::Failed);
    }
}
