//! `dataflow`, the one binary of the mesh: `analyze` does the main job and exits, `up` runs the whole mesh, `gateway`,
//! `analysis`, `cache` and `config` run one service each, as a pod does, and `status` asks how a mesh is.

mod cli;
mod exit;

mod analyze;
mod bench;
mod built_in;
mod in_process;
mod progress;
mod render;
mod service;
mod status;
mod up;

use std::process::ExitCode;

use clap::Parser;

/// A catalogue is many small strings, made on one thread and freed on another: mimalloc is at home there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
