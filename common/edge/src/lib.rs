//! What the edges of both programs share: clock, randomness, files, log, printing, tethers, and what a process has used.
//!
//! `common` decides and touches nothing; this crate touches and decides nothing.

mod clock;
mod duration;
mod entropy;
pub mod file;
mod log;
mod print;
mod secrecy;
mod stop;
pub mod tether;
mod usage;

pub use clock::now;
pub use duration::duration;
pub use entropy::entropy;
pub use log::{log_ignored, log_to_stderr};
pub use print::{Format, Listing, print_lines, print_one};
pub use secrecy::keep_secrets;
pub use stop::Stop;
pub use usage::cpu_s;
