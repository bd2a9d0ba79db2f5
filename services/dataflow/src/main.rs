//! `dataflow`, the one binary of the mesh: `analyze` does the main job and exits, `up` runs the whole mesh, `gateway`,
//! `analysis`, `cache` and `config` run one service each, as a pod does; `status`, `rules` and `providers` are clients of a
//! mesh that runs, and `healthcheck` asks the process beside it.

mod cli;
mod exit;

mod analyze;
mod bench;
mod client;
mod healthcheck;
mod in_process;
mod predecessor;
mod progress;
mod providers;
mod pushed_settings;
mod roles;
mod rules;
mod status;
mod terminal;
mod up;

use std::process::ExitCode;

/// A catalogue is many small strings, made on one thread and freed on another: mimalloc is at home there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os().collect())
}
