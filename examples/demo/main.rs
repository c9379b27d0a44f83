//! `cargo demo`: a federation on this host, from nothing to a report.
//!
//! One coordinator and some nodes run as processes of their own over DDS, exactly as on many hosts: this
//! program starts itself again in their place, with the code of the two programs. The nodes learn from a fleet
//! that is made from a seed, or from a data set in the same layout (`--data`).

mod args;
mod federation;
mod machines;
mod processes;
mod quality;
mod report;
mod screen;
mod show;
mod table;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// The allocator of both programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let itself = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    let program = rest.first().and_then(|first| first.to_str()).and_then(processes::Role::of_argument);
    match program {
        Some(role) => {
            processes::end_with_the_demo();
            let args = std::iter::once(role.name().into()).chain(rest.into_iter().skip(1));
            match role {
                processes::Role::Coordinator => coordinator::cli::main(args),
                processes::Role::Node => node::cli::main(args),
            }
        }
        None => show::main(&args::Args::parse_from(std::iter::once(itself).chain(rest))),
    }
}
