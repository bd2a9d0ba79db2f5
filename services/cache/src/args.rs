//! The flags of the cache service.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use dataflow_mesh::args::ServerArgs;

/// The flags of `dataflow cache`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address of the gRPC port.
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDR")]
    pub listen: SocketAddr,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub cache: CacheArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub server: ServerArgs,
}

/// What the cache may hold.
#[derive(Debug, Clone, clap::Args)]
pub struct CacheArgs {
    /// Memory for entries; beyond it the least recently used give way.
    #[arg(
        long = "cache-capacity",
        env = "DATAFLOW_CACHE_CAPACITY",
        default_value = "128MiB",
        value_name = "SIZE"
    )]
    pub capacity: ByteSize,

    /// Largest value of one entry; a larger one is refused with RESOURCE_EXHAUSTED.
    #[arg(long, env = "DATAFLOW_MAX_ENTRY_BYTES", default_value = "32MiB", value_name = "SIZE")]
    pub max_entry_bytes: ByteSize,

    /// How long an entry lives whose writer does not say.
    #[arg(long, env = "DATAFLOW_DEFAULT_TTL", default_value = "30m", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub default_ttl: Duration,
}
