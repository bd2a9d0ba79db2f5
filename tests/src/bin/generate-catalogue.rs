//! Writes a generated catalogue to standard output, for benchmarks: `generate-catalogue > FILE`.

use std::io;

use clap::Parser;
use dataflow_tests::generator::Catalogue;

/// Writes an SDMX 2.1 catalogue to standard output. The same parameters give the same bytes on every machine.
#[derive(Debug, Parser)]
struct Cli {
    /// Number of dataflows.
    #[arg(long, env = "DATAFLOW_GENERATE_FLOWS", default_value_t = Catalogue::LARGE.flows, value_name = "N")]
    flows: u32,

    /// Size of the document, in bytes.
    #[arg(long, env = "DATAFLOW_GENERATE_BYTES", default_value_t = Catalogue::LARGE.bytes, value_name = "N")]
    bytes: u64,

    /// The seed; a different seed gives a different catalogue.
    #[arg(long, env = "DATAFLOW_GENERATE_SEED", default_value_t = Catalogue::LARGE.seed, value_name = "N")]
    seed: u64,
}

fn main() -> io::Result<()> {
    let Cli { flows, bytes, seed } = Cli::parse();
    io::copy(&mut Catalogue { flows, bytes, seed }.reader(), &mut io::stdout().lock()).map(drop)
}
