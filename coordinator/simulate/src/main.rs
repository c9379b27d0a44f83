//! The `coordinator-simulate` program, which `coordinator simulate` finds.

/// The allocator of both programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    coordinator_simulate::cli::main(std::env::args_os())
}
