//! `dataflow`, the only binary: `analyze` analyzes one catalogue and exits, `up` runs the whole mesh, `gateway`,
//! `analysis`, `cache` and `config` run one service each, as a pod does; `status`, `rules`, `providers`, `keys` and `flags`
//! are clients of a running mesh, and `healthcheck` checks the process in the same container.

mod cli;
mod exit;

mod analyze;
mod bench;
mod categories;
mod client;
mod diff;
mod flags;
mod healthcheck;
mod in_process;
mod keys;
mod predecessor;
mod probe;
mod progress;
mod providers;
mod pushed_settings;
mod revisions;
mod roles;
mod rules;
mod snapshot;
mod status;
mod terminal;
mod themes;
mod up;
mod upload;
mod verify;

use std::process::ExitCode;

/// A catalogue is many small strings that are allocated on one thread and freed on another, for which mimalloc is fast.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os().collect())
}
