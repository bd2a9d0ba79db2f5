//! The flags of the analysis service.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use dataflow_mesh::outbound::Upstream;
use dataflow_settings::DYNAMIC;

use dataflow_sdmx::Limits;

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

/// How many catalogues may be on their way, and how slowly.
#[derive(Debug, Clone, clap::Args)]
pub struct UploadArgs {
    /// Catalogues being received at once; further ones are refused with RESOURCE_EXHAUSTED. Each may hold
    /// `--spool-bytes` and one message of memory.
    #[arg(long, env = "DATAFLOW_MAX_UPLOADS", default_value = "16", value_name = "N")]
    pub max_uploads: NonZeroUsize,

    /// How long the next piece of a catalogue may take to arrive; then the call is cancelled.
    #[arg(long, env = "DATAFLOW_UPLOAD_IDLE_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub upload_idle_timeout: Duration,
}

/// The services that analysis calls. It does without either of them, and says so in its answers.
#[derive(Debug, Clone, clap::Args)]
pub struct PeerArgs {
    /// The cache service, as `http://HOST:PORT`; without it results are not kept.
    #[arg(long, env = "DATAFLOW_CACHE_URL", value_name = "URL")]
    pub cache_url: Option<Upstream>,

    /// The config service, as `http://HOST:PORT`; without it the rules are those built in, and the dynamic options what
    /// this process itself is told.
    #[arg(long, env = "DATAFLOW_CONFIG_URL", value_name = "URL")]
    pub config_url: Option<Upstream>,

    /// How long to wait for an answer of the cache before going on without it, and at the start for the first rules.
    #[arg(long, env = "DATAFLOW_PEER_TIMEOUT", default_value = "2s", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub peer_timeout: Duration,

    /// How long a result is kept in the cache.
    #[arg(long, env = "DATAFLOW_RESULT_TTL", default_value = "24h", value_parser = humantime::parse_duration,
          value_name = "DURATION")]
    pub result_ttl: Duration,
}

/// How documents are read.
#[derive(Debug, Clone, clap::Args)]
pub struct AnalysisArgs {
    /// Documents parsed at once, each on a thread of its own; further ones wait. Default: the number of processors,
    /// at least 2.
    #[arg(long, env = "DATAFLOW_PARSERS", value_name = "N")]
    pub parsers: Option<NonZeroUsize>,

    /// A document up to this size is held, looked up in the cache before it is parsed, and its result kept there; a
    /// larger one is parsed as it arrives, each time anew.
    #[arg(long, env = "DATAFLOW_SPOOL_BYTES", default_value = "4MiB", value_name = "SIZE")]
    pub spool_bytes: ByteSize,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub documents: DocumentArgs,
}

/// What one document may cost. All sizes count bytes after gzip is undone.
#[derive(Debug, Clone, clap::Args)]
pub struct DocumentArgs {
    /// Largest document.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DOCUMENT_BYTES", default_value = "256MiB", value_name = "SIZE")]
    pub max_document_bytes: ByteSize,

    /// Largest single text, comment or tag of a document.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_EVENT_BYTES", default_value = "1MiB", value_name = "SIZE")]
    pub max_event_bytes: ByteSize,

    /// Deepest nesting of elements.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DEPTH", default_value_t = 64, value_name = "N")]
    pub max_depth: usize,

    /// Most attributes of one element.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_ATTRIBUTES", default_value_t = 256, value_name = "N")]
    pub max_attributes: usize,

    /// Most bytes of text kept for one dataflow; what comes after is dropped and reported.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DATAFLOW_BYTES", default_value = "4MiB", value_name = "SIZE")]
    pub max_dataflow_bytes: ByteSize,

    /// Most names, descriptions and annotations kept for one dataflow, taken together.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DATAFLOW_PARTS", default_value_t = 2000, value_name = "N")]
    pub max_dataflow_parts: usize,

    /// Most diagnostics in one result; the rest is counted.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DIAGNOSTICS", default_value_t = 1000, value_name = "N")]
    pub max_diagnostics: usize,
}

impl AnalysisArgs {
    /// How many documents are parsed at once.
    pub fn parsers(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        self.parsers.map_or_else(|| processors().max(2), NonZeroUsize::get)
    }
}

impl DocumentArgs {
    /// The limits of the parser.
    pub fn limits(&self) -> Limits {
        let size = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        Limits {
            document_bytes: self.max_document_bytes.as_u64(),
            event_bytes: size(self.max_event_bytes),
            depth: self.max_depth,
            attributes: self.max_attributes,
            dataflow_bytes: size(self.max_dataflow_bytes),
            dataflow_parts: self.max_dataflow_parts,
            diagnostics: self.max_diagnostics,
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        documents: DocumentArgs,
    }

    #[test]
    fn the_flags_default_to_the_parsers_own_limits() {
        assert_eq!(Cli::parse_from(["test"]).documents.limits(), Limits::default());
    }
}
