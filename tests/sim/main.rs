//! `cargo sim -- --seeds N`: worlds of faults by the thousand. Ends with 1 and a test to be pasted when one of them
//! breaks a promise.

use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;
use harness::seeds::{Tally, explore_all};
use indicatif::{ProgressBar, ProgressStyle};

/// Worlds that are tried to make a found one smaller.
const SHRINKS: u32 = 2_000;

#[derive(Parser)]
#[command(about = "Simulates fleets in which things go wrong, and looks for a broken promise.")]
struct Args {
    /// How many worlds.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The seed of the first; the others follow.
    #[arg(long, default_value_t = 0)]
    from: u64,
}

fn main() -> ExitCode {
    let Args { seeds, from } = Args::parse();
    // A panic in a world is a broken promise like any other; it is told when it is small.
    std::panic::set_hook(Box::new(|_| ()));
    let style = ProgressStyle::with_template("{pos}/{len} worlds  {per_sec}  {eta} left");
    let bar = ProgressBar::new(seeds).with_style(style.expect("the template is one"));
    let tally = Mutex::new(Tally::default());
    let explored = explore_all(from..from + seeds, None, SHRINKS, |world| {
        *tally.lock().expect("no thread panics") += world;
        bar.inc(1);
    });
    bar.finish_and_clear();
    if let Err(found) = explored {
        eprintln!("{found}");
        return ExitCode::FAILURE;
    }
    let Tally { worlds, faults, rounds, aborted, time } = tally.into_inner().expect("no thread panics");
    let hours = time.0 as f64 / 3_600_000.0;
    edge::print_lines(&[format!(
        "{worlds} worlds kept every promise: {faults} faults, {rounds} rounds committed, {aborted} attempts without a \
         model, {hours:.1} hours of virtual time"
    )]);
    ExitCode::SUCCESS
}
