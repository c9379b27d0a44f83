//! The `node` program.

/// Returns memory to the system sooner than the default allocator, and recycles large buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    node::cli::main(std::env::args_os())
}
