//! The log.

use std::io::IsTerminal;

/// Writes the log to stderr; `RUST_LOG` chooses what.
pub fn log_to_stderr() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,rustdds=off".into());
    let colour = std::io::stderr().is_terminal();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // A log that is set up already stays as it is.
    let _ = log.try_init();
}
