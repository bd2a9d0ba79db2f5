//! Writes a generated catalogue to standard output, for benchmarks: `generate-catalogue > FILE`.

use std::io;

use clap::{Parser, ValueEnum};
use dataflow_tests::generator::{Catalogue, ShortTexts};

/// Writes an SDMX 2.1 catalogue to standard output. The same parameters give the same bytes on every machine.
#[derive(Debug, Parser)]
struct Cli {
    /// What the dataflows consist of.
    #[arg(long, env = "DATAFLOW_GENERATE_PROFILE", value_enum, default_value_t)]
    profile: Profile,

    /// Number of dataflows; the default depends on the profile.
    #[arg(long, env = "DATAFLOW_GENERATE_FLOWS", value_name = "N")]
    flows: Option<u32>,

    /// Size of the document with the profile `annotated`, in bytes.
    #[arg(long, env = "DATAFLOW_GENERATE_BYTES", default_value_t = Catalogue::LARGE.bytes, value_name = "N")]
    bytes: u64,

    /// The seed; a different seed gives a different catalogue.
    #[arg(long, env = "DATAFLOW_GENERATE_SEED", default_value_t = Catalogue::LARGE.seed, value_name = "N")]
    seed: u64,
}

/// What the dataflows consist of.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Profile {
    /// Names and descriptions in two languages, and mostly annotations, as Eurostat's.
    #[default]
    Annotated,
    /// One name and one sentence each, and nothing else.
    ShortTexts,
}

fn main() -> io::Result<()> {
    let Cli { profile, flows, bytes, seed } = Cli::parse();
    let out = &mut io::stdout().lock();
    match profile {
        Profile::Annotated => {
            let flows = flows.unwrap_or(Catalogue::LARGE.flows);
            io::copy(&mut Catalogue { flows, bytes, seed }.reader(), out)
        }
        Profile::ShortTexts => {
            let flows = flows.unwrap_or(ShortTexts::DEFAULT.flows);
            io::copy(&mut ShortTexts { flows, seed }.reader(), out)
        }
    }
    .map(drop)
}
