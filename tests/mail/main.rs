//! The SMTP bridge as legacy systems meet it: the program itself, real clients, and death at any moment.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

mod bridge;
mod clients;
mod killed;
mod postfix;
mod relay;
