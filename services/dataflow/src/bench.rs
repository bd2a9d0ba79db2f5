//! `dataflow bench`: benchmarks of this project's performance targets, on any catalogue. Speeds are ratios of two
//! alternating runs, since machines are noisy; memory sizes are the kernel's figures.

mod cache;
mod diff;
mod document;
mod frame;
mod gateway;
mod isolation;
mod memory;
mod overload;
mod parse;
mod repeat;
mod rules;
mod scrape;
mod service_process;
mod soak;
mod start;
mod token;

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use crate::exit::{Exit, Failure};
use crate::terminal;

/// The benchmarks.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Throughput of parsing and categorizing, relative to reading the same XML without storing anything, and the share of
    /// themes and families in its time.
    Parse(parse::Args),
    /// CPU time of the difference of two snapshots, relative to parsing one; the size of a snapshot.
    Diff(diff::Args),
    /// Time of categorizing with 2,000 rules, relative to 6 rules. The additional rules match nothing.
    Rules(CatalogueArgs),
    /// Peak memory above idle memory of `dataflow analysis` over gRPC and of `dataflow up` over REST; peak memory of
    /// `dataflow analyze`.
    Memory(CatalogueArgs),
    /// Time from exec to exit of `dataflow analyze`, and from exec to SERVING of `dataflow analysis` and `dataflow up`.
    Start(CatalogueArgs),
    /// CPU time of `analysis` and `cache` for a document whose result is cached, relative to its first analysis. Use a
    /// document of about 2 MB: without `Repr-Digest`, analysis looks up only documents up to
    /// `--spool-bytes`.
    Repeat(CatalogueArgs),
    /// Reads per second from the L1 cache, relative to no-op calls; the time to invalidate 10,000 entries; the time
    /// until a deleted entry is gone from another replica. Needs `redis-server`.
    Cache(cache::Args),
    /// CPU time of a small call through the gateway, over REST and over gRPC, relative to Envoy in front of the same
    /// service.
    Gateway(gateway::Args),
    /// CPU time of a small call over REST with logs of failures and one call in a hundred traced, relative to one without
    /// logs and traces.
    Observability(gateway::observability::Args),
    /// CPU time of the verification of a new token, by algorithm; of a call with a known token and rate limits, relative to
    /// an anonymous one; and the latency of a valid caller beside invalid tokens, relative to alone. Needs `openssl`.
    Token(gateway::tokens::Args),
    /// Calls served per second when 2, 4 and 10 times as many are sent as `analysis` can serve, relative to its
    /// capacity, and in the second after. Needs two processors.
    Overload(overload::Args),
    /// The 99th percentile of the latency of a client of `dataflow up` beside clients that attack it, relative to that
    /// of the client alone. Needs two processors.
    Isolation(isolation::Args),
    /// Time and size of a scrape of `/metrics` of `dataflow gateway` and `up`, after calls of every method and route.
    Scrape(scrape::Args),
    /// Growth of the memory of `dataflow up` under mixed load over minutes.
    Soak(soak::Args),
}

/// The flags of benchmarks that measure on a catalogue.
#[derive(Debug, clap::Args)]
pub(crate) struct CatalogueArgs {
    /// A catalogue, as for `dataflow analyze`.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Number of rounds; the report states whether it gives the best or the median.
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

impl Bench {
    /// Runs the benchmark and prints its report.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let report = match self {
            Bench::Parse(on) => parse::measure(&on)?,
            Bench::Diff(on) => diff::measure(&on)?,
            Bench::Rules(on) => rules::measure(&on)?,
            Bench::Memory(on) => memory::measure(&on).await?,
            Bench::Start(on) => start::measure(&on).await?,
            Bench::Repeat(on) => repeat::measure(&on).await?,
            Bench::Cache(on) => cache::measure(&on).await?,
            Bench::Gateway(on) => gateway::measure(&on).await?,
            Bench::Observability(on) => gateway::observability::measure(&on).await?,
            Bench::Token(on) => gateway::tokens::measure(&on).await?,
            Bench::Overload(on) => overload::measure(&on).await?,
            Bench::Isolation(on) => isolation::measure(&on).await?,
            Bench::Scrape(on) => scrape::measure(&on).await?,
            Bench::Soak(on) => soak::measure(&on).await?,
        };
        terminal::stdout().write_all(report.as_bytes())?;
        Ok(Exit::Success)
    }
}

/// The median; the upper one of an even number.
fn median<T: PartialOrd>(mut values: Vec<T>) -> Option<T> {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let middle = values.len() / 2;
    values.into_iter().nth(middle)
}
