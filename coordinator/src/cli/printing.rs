//! How results are printed, and which command prints what.

use clap::{Arg, ArgAction, Args};
use edge::Format;

/// How results are printed.
#[derive(Args, Clone, Copy)]
#[command(arg = schema())]
pub(super) struct Printing {
    /// How to print: for programs `json` is one document, and `jsonl` an object a line.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// How something is done that changes what is stored.
#[derive(Args, Clone, Copy)]
pub(super) struct How {
    /// Check everything, change nothing, and say what would be done.
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) printing: Printing,
}

/// Read before anything else is: nobody who asks for a schema has to name a run.
fn schema() -> Arg {
    Arg::new("schema").long("schema").action(ArgAction::SetTrue).help(
        "Print the JSON Schema of what `--format json` prints, or of a line of `--format jsonl`; do nothing else",
    )
}
