//! `dataflow bench`: the figures this project holds itself to, measured on any catalogue. Speeds are ratios of two runs
//! taken side by side, since machines are noisy; sizes are the kernel's own.

mod cache;
mod gateway;
mod memory;
mod parse;
mod repeat;
mod rules;
mod running;
mod start;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;

use crate::exit::{Exit, Failure};

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Speed of parsing and categorising, against reading the same XML and keeping nothing.
    Parse(On),
    /// CPU of categorising by 2,000 rules, against by 6: those added match nothing.
    Rules(On),
    /// Peak memory of `dataflow analysis` over gRPC and of `dataflow up` over REST, above their idle memory, and of
    /// `dataflow analyze`.
    Memory(On),
    /// Time from exec to exit of `dataflow analyze`, and from exec to SERVING of `dataflow analysis` and `dataflow up`.
    Start(On),
    /// CPU that `analysis` and `cache` take for a document that was analysed before, against the first time. Meant for one of
    /// some 2 MB: only what is smaller than `--spool-bytes` is looked up.
    Repeat(On),
    /// Calls a second of an entry read from the first level, against calls that do nothing; how long it takes to
    /// invalidate 10,000 entries, and until a deleted one is gone everywhere. Needs `redis-server`.
    Cache(cache::Args),
    /// CPU of a small call through the gateway, over REST and over gRPC, against Envoy before the same service.
    Gateway(gateway::Args),
}

/// On what to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct On {
    /// A catalogue, as for `dataflow analyze`.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Rounds to measure; the report says which of them count.
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

impl Bench {
    /// Measures and prints.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let report = match self {
            Bench::Parse(on) => parse::measure(&on)?,
            Bench::Rules(on) => rules::measure(&on)?,
            Bench::Memory(on) => memory::measure(&on).await?,
            Bench::Start(on) => start::measure(&on).await?,
            Bench::Repeat(on) => repeat::measure(&on).await?,
            Bench::Cache(on) => cache::measure(&on).await?,
            Bench::Gateway(on) => gateway::measure(&on).await?,
        };
        io::stdout().write_all(report.as_bytes())?;
        Ok(Exit::Done)
    }
}

/// The middle one, of two the later.
fn median<T: PartialOrd>(mut values: Vec<T>) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let middle = values.len() / 2;
    values.into_iter().nth(middle)
}
