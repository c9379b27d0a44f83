//! The log.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use common::units::{Millis, Timestamp};

use crate::now;

/// What others make a process say is told so often in a [`WHILE`], and then counted: a flood of messages is no flood of
/// lines.
const LINES: u32 = 20;

/// For so long.
const WHILE: Millis = Millis(10_000);

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

/// Tells that something from outside was not acted on; of many, how many.
pub fn log_ignored(what: impl Display) {
    static SELDOM: Mutex<Seldom> = Mutex::new(Seldom { began: Timestamp(0), told: 0, left_out: 0 });
    let may_be_told = SELDOM.lock().unwrap_or_else(PoisonError::into_inner).pass(now());
    let Some(left_out) = may_be_told else { return };
    if left_out > 0 {
        tracing::info!("{left_out} more messages were ignored");
    }
    tracing::info!("{what}");
}

/// Lines of one while.
struct Seldom {
    began: Timestamp,
    told: u32,
    left_out: u64,
}

impl Seldom {
    /// Whether one more may be told, and then how many were left out since the last one.
    fn pass(&mut self, now: Timestamp) -> Option<u64> {
        if now >= self.began + WHILE {
            (self.began, self.told) = (now, 0);
        }
        if self.told == LINES {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_some_lines_are_told_and_then_how_many_were_not() {
        let mut seldom = Seldom { began: Timestamp(0), told: 0, left_out: 0 };
        let began = Timestamp::from_millis(1_700_000_000_000);
        let told = (0..10_000).filter(|_| seldom.pass(began) == Some(0)).count();
        assert_eq!(told, LINES as usize);
        assert_eq!(seldom.pass(Timestamp(began.0 + 1)), None);
        assert_eq!(seldom.pass(began + WHILE), Some(10_001 - u64::from(LINES)));
        assert_eq!(seldom.pass(began + WHILE), Some(0));
    }
}
