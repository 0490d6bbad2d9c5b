//! The `tokend` program.

use std::process::ExitCode;

/// About a fifth faster than the system's allocator for many small calls.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tokend::cli::run(std::env::args_os())
}
