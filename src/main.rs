//! The program; everything it does is in the library, see [`stockstream`].

use std::process::ExitCode;

/// Also of the Kafka client, which is written in C: it allocates each record in one thread, and frees it in another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, and most of each would stay empty: without them a drain takes half the memory and no more processor, and
    // the slowest commits a third of the time (docs/PERFORMANCE.md). A kernel that does not know them has none to give.
    let _unknown_there = rustix::thread::disable_transparent_huge_pages(true);
    stockstream::cli::main()
}
