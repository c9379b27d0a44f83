//! The SMTP bridge as legacy systems meet it: the program itself and real clients.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

mod bridge;
mod clients;
mod postfix;
mod relay;
