//! The program; everything it does is in the library, see [`stockstream`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    stockstream::cli::main()
}
