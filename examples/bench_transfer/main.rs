//! How long does a blob take from process to process, and what does it cost?
//!
//! Raw TCP, RustDDS by itself, ours, and Cyclone DDS from C, side by side: one to one, eight to one and one to eight,
//! on loopback and between network namespaces with links of MTU 1500 that lose nothing or one packet in a hundred.
//! The program starts itself as the senders and receivers. Prints a table, or JSON lines.
//!
//! A transfer lasts from the first sender's start to the last receiver's end, on the clock that all processes of a
//! machine share. In ours, sealing, opening and verifying count; what the others brought is compared with what was
//! sent after the time was taken.

mod bare;
mod blob;
mod cell;
mod choice;
mod control;
mod crew;
mod cyclone;
mod measure;
mod part;
mod screen;
mod site;
mod starling;
mod tcp;

use std::process::ExitCode;
use std::sync::mpsc::channel;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use common::units::Millis;
use edge::Format;

use cell::{Cell, NETWORKS, System, word};
use choice::{Choice, is_chosen};
use crew::Program;
use part::{PART, Part};
use screen::Screen;
use site::Site;

/// Returns memory to the system sooner than the default allocator, as in the two programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures transfers between processes. Hosts of their own need root, `ip` and `nft`; Cyclone DDS needs the packages
/// cyclonedds-dev and cyclonedds-tools. Rows that cannot be had are left out, with a word on stderr.
#[derive(Parser)]
#[command(name = "bench-transfer")]
struct Options {
    /// Only these cells: words as `starling`, `8-1`, `mtu1500`, `4MB`, `1%`, with commas between them. Words of one
    /// kind widen the choice, those of another narrow it. `control` stands for the round trips of control messages.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Choice>,
    /// Round trips of control messages.
    #[arg(long, default_value_t = 10_000)]
    round_trips: usize,
    /// Seconds after which a transfer is taken never to arrive.
    #[arg(long, default_value_t = 20)]
    limit_s: u64,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn main() -> ExitCode {
    let (name, done) = match play_a_part() {
        Some(played) => {
            // Whoever leads reads it on stdout, where an answer would be.
            if let Err(error) = &played {
                part::say(&format!("failed {error:#}"));
            }
            ("a part", played)
        }
        None => ("bench-transfer", measure(&Options::parse())),
    };
    examples::ending(name, done)
}

/// Plays the part that the first argument names, if it names one.
fn play_a_part() -> Option<Result<()>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first()?.as_str() {
        PART => Some(play(&args[1..])),
        control::PART => Some(control::run(&args[1..])),
        _ => None,
    }
}

fn play(args: &[String]) -> Result<()> {
    let (system, args) = args.split_first().context("of which system?")?;
    let system = System::from_str(system, true).map_err(anyhow::Error::msg)?;
    let part = Part::from_args(args)?;
    let (orders, told) = channel();
    match system {
        System::Starling => {
            let (orders, told) = tokio::sync::mpsc::unbounded_channel();
            part::hear(move |order| orders.send(order).is_ok());
            starling::run(&part, told)
        }
        System::Tcp | System::Rustdds => {
            part::hear(move |order| orders.send(order).is_ok());
            if system == System::Tcp { tcp::run(&part, &told) } else { bare::run(&part, &told) }
        }
        System::Cyclonedds => bail!("Cyclone DDS has a program of its own"),
    }
}

fn measure(options: &Options) -> Result<()> {
    let Options { only, round_trips, limit_s, format } = options;
    let cells = NETWORKS.map(|network| {
        let mut cells = Cell::all_over(network);
        cells.retain(|cell| is_chosen(cell, only));
        cells
    });
    let screen = Screen::new(*format, cells.iter().map(Vec::len).sum());
    let dir = tempfile::tempdir()?;
    let mut cyclone = None;
    if cells.iter().flatten().any(|cell| cell.system == System::Cyclonedds) {
        cyclone = cyclone::build(dir.path()).inspect_err(|error| screen.note(error)).ok();
    }
    if cells.iter().flatten().next().is_some() {
        screen.head(cell::HEADER);
    }
    for cells in cells.iter().filter(|cells| !cells.is_empty()) {
        match Site::new(cells[0].wire) {
            Ok(site) => measure_all(cells, &site, (cyclone.as_ref(), Millis(limit_s * 1000)), &screen)?,
            Err(error) => screen.note(&error.context(format!("{} is left out", word(cells[0].wire)))),
        }
    }
    if only.is_empty() || only.contains(&Choice::Control) {
        screen.begin("control messages".to_owned());
        screen.head(control::HEADER);
        control::measure(*round_trips, |line| screen.show(line))?;
    }
    screen.end();
    Ok(())
}

/// The cells of one network.
fn measure_all(
    cells: &[Cell],
    site: &Site,
    (cyclone, limit): (Option<&Program>, Millis),
    screen: &Screen,
) -> Result<()> {
    for cell in cells {
        screen.begin(cell.to_string());
        let args = vec![PART.to_owned(), word(cell.system)];
        let own = Program { path: std::env::current_exe()?.into(), args, environment: |_| Vec::new() };
        let program = if cell.system == System::Cyclonedds { cyclone } else { Some(&own) };
        if let Some(program) = program {
            let note = |late| screen.note(&anyhow::Error::from(late).context(cell.to_string()));
            match measure::measure(cell, site, program, limit, note) {
                Ok(figure) => screen.show(&figure)?,
                Err(error) => screen.note(&error.context(cell.to_string())),
            }
        }
        screen.step();
    }
    Ok(())
}
