//! The command-line flags of the analysis service.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use dataflow_mesh::outbound::Upstream;
use dataflow_settings::duration;
use dataflow_uploads::args::at_least_one;
use dataflow_uploads::{DocumentArgs, UploadArgs};

/// The flags of AnalysisService.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub peers: PeerArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub uploads: UploadArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub analysis: AnalysisArgs,
}

/// The services that analysis calls. If one is unavailable, analysis still responds, and lists what was missing.
#[derive(Debug, Clone, clap::Args)]
pub struct PeerArgs {
    /// Address of the cache service. Without it, results are not cached.
    #[arg(long, env = "DATAFLOW_CACHE_URL", value_name = "URL")]
    pub cache_url: Option<Upstream>,

    /// Address of the config service, which pushes rules and dynamic settings. Without it, analysis uses the built-in
    /// rules, and dynamic settings come only from this process's own sources.
    #[arg(long, env = "DATAFLOW_CONFIG_URL", value_name = "URL")]
    pub config_url: Option<Upstream>,

    /// Timeout for a response of the cache, after which analysis continues without it; at startup, timeout for the
    /// first rules.
    #[arg(long, env = "DATAFLOW_PEER_TIMEOUT", default_value = "2s", value_parser = duration,
          value_name = "DURATION")]
    pub peer_timeout: Duration,

    /// Time to live of a result in the cache.
    #[arg(long, env = "DATAFLOW_RESULT_TTL", default_value = "24h", value_parser = duration,
          value_name = "DURATION")]
    pub result_ttl: Duration,
}

/// How documents are parsed.
#[derive(Debug, Clone, clap::Args)]
pub struct AnalysisArgs {
    /// Maximum number of documents parsed at once, each on its own thread; further ones wait. Default: the number of
    /// processors, at least 2.
    #[arg(long, env = "DATAFLOW_PARSERS", value_parser = at_least_one, value_name = "N")]
    pub parsers: Option<NonZeroUsize>,

    /// Documents up to this size are buffered, looked up in the cache before they are parsed, and their results are
    /// stored in the cache. A larger document is parsed as it arrives; it is looked up in the cache, and its result
    /// stored there, only if the caller sends its `Repr-Digest`.
    #[arg(long, env = "DATAFLOW_SPOOL_BYTES", default_value = "4MiB", value_name = "SIZE")]
    pub spool_bytes: ByteSize,

    /// Memory for results while they are built and sent, and for themes and structures until all documents have been
    /// read, estimated: a caller that pauses within a catalogue, or does not read its result, holds it. Further ones are rejected with RESOURCE_EXHAUSTED. One tenant may use all of it; those
    /// that use less than a quarter get up to an eighth more. Default: half of the memory limit, or any size without one.
    #[arg(long, env = "DATAFLOW_RESULT_MEMORY", value_name = "SIZE")]
    pub result_memory: Option<ByteSize>,

    /// Memory for compiled rule sets that tenants have changed for themselves, estimated; those that were not used for
    /// longest are compiled again when they are needed.
    #[arg(long, env = "DATAFLOW_TENANT_RULES_MEMORY", default_value = "32MiB", value_name = "SIZE")]
    pub tenant_rules_memory: ByteSize,

    /// Memory for compiled mappings of themes that tenants have changed for themselves, estimated. A mapping that takes
    /// more than half of it is not used: the tenant has the shared themes.
    #[arg(long, env = "DATAFLOW_TENANT_THEMES_MEMORY", default_value = "8MiB", value_name = "SIZE")]
    pub tenant_themes_memory: ByteSize,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub documents: DocumentArgs,
}

impl AnalysisArgs {
    /// The memory of all results in bytes, with this memory limit of the process.
    pub fn result_memory(&self, limit: Option<u64>) -> u64 {
        let default = limit.map_or(u64::MAX, |limit| limit / 2);
        self.result_memory.map_or(default, |size| size.as_u64())
    }

    /// The number of documents that are parsed at once.
    pub fn parsers(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        self.parsers.map_or_else(|| processors().max(2), NonZeroUsize::get)
    }
}
