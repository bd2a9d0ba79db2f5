//! The command-line flags of the analysis service.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use dataflow_mesh::outbound::Upstream;
use dataflow_settings::{DYNAMIC, duration};

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

/// Limits for catalogue uploads.
#[derive(Debug, Clone, clap::Args)]
pub struct UploadArgs {
    /// Maximum number of catalogues received at once; further ones are rejected with RESOURCE_EXHAUSTED, except of
    /// connections and tenants that have less than a quarter of them: for these there is a reserve of a quarter. Each
    /// upload uses up to `--spool-bytes` plus one message of memory.
    #[arg(long, env = "DATAFLOW_MAX_UPLOADS", default_value = "16", value_parser = at_least_one,
          value_name = "N")]
    pub max_uploads: NonZeroUsize,

    /// Idle timeout of an upload: if the next piece of a catalogue takes longer, the call is canceled.
    #[arg(long, env = "DATAFLOW_UPLOAD_IDLE_TIMEOUT", default_value = "10s", value_parser = duration,
          value_name = "DURATION")]
    pub upload_idle_timeout: Duration,
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

/// Limits per document. All sizes are in bytes after decompression.
#[derive(Debug, Clone, clap::Args)]
pub struct DocumentArgs {
    /// Maximum size of a document.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DOCUMENT_BYTES", default_value = "256MiB", value_name = "SIZE")]
    pub max_document_bytes: ByteSize,

    /// Maximum size of a single text, comment or tag in a document.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_EVENT_BYTES", default_value = "1MiB", value_name = "SIZE")]
    pub max_event_bytes: ByteSize,

    /// Maximum nesting depth of elements.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DEPTH", default_value_t = 64, value_name = "N")]
    pub max_depth: usize,

    /// Maximum number of attributes of one element.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_ATTRIBUTES", default_value_t = 256, value_name = "N")]
    pub max_attributes: usize,

    /// Maximum number of dataflows of a document. Each takes about a kilobyte of memory beside its texts.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DATAFLOWS", default_value_t = 100_000, value_name = "N")]
    pub max_dataflows: usize,

    /// Maximum size of the text kept for one dataflow; the rest is dropped and reported.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DATAFLOW_BYTES", default_value = "4MiB", value_name = "SIZE")]
    pub max_dataflow_bytes: ByteSize,

    /// Maximum number of names, descriptions and annotations kept for one dataflow, in total.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DATAFLOW_PARTS", default_value_t = 2000, value_name = "N")]
    pub max_dataflow_parts: usize,

    /// Maximum number of documents of a call: the catalogue, and those with themes or structures.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DOCUMENTS", default_value = "16", value_parser = at_least_one,
          value_name = "N")]
    pub max_documents: NonZeroUsize,

    /// Maximum number of categories and category schemes kept, of all documents of a call; the rest is dropped and
    /// reported.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_CATEGORIES", default_value_t = 50_000, value_name = "N")]
    pub max_categories: usize,

    /// Maximum number of categorisations kept, of all documents of a call; the rest is dropped and reported.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_CATEGORISATIONS", default_value_t = 100_000, value_name = "N")]
    pub max_categorisations: usize,

    /// Memory for the categories and categorisations of a call, which wait until all its documents have been read; the
    /// rest is dropped and reported.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_THEME_BYTES", default_value = "32MiB", value_name = "SIZE")]
    pub max_theme_bytes: ByteSize,

    /// Maximum number of data structures, code lists and constraints kept, of all documents of a call; the rest is dropped
    /// and reported.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_STRUCTURES", default_value_t = 50_000, value_name = "N")]
    pub max_structures: usize,

    /// Memory for the data structures, code lists and constraints of a call, which wait until all its documents have been
    /// read; the rest is dropped and reported. Of lists of codes and values only the numbers are kept.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_STRUCTURE_BYTES", default_value = "32MiB", value_name = "SIZE")]
    pub max_structure_bytes: ByteSize,

    /// Maximum number of diagnostics in one result; the rest is counted.
    #[arg(long, help_heading = DYNAMIC, env = "DATAFLOW_MAX_DIAGNOSTICS", default_value_t = 1000, value_name = "N")]
    pub max_diagnostics: usize,
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

impl DocumentArgs {
    /// The limits of the parser.
    pub fn limits(&self) -> Limits {
        let size = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        Limits {
            document_bytes: self.max_document_bytes.as_u64(),
            event_bytes: size(self.max_event_bytes),
            depth: self.max_depth,
            attributes: self.max_attributes,
            dataflows: self.max_dataflows,
            dataflow_bytes: size(self.max_dataflow_bytes),
            dataflow_parts: self.max_dataflow_parts,
            diagnostics: self.max_diagnostics,
            categories: self.max_categories,
            categorisations: self.max_categorisations,
            theme_bytes: size(self.max_theme_bytes),
            structures: self.max_structures,
            structure_bytes: size(self.max_structure_bytes),
            ..Limits::default()
        }
    }
}

/// Parses a number of things of which there must be one.
fn at_least_one(given: &str) -> Result<NonZeroUsize, &'static str> {
    given.parse().map_err(|_| "expected a whole number, at least 1")
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

    #[test]
    fn a_number_that_must_not_be_zero_says_so() {
        let check = |given: &str, expected: Option<usize>| {
            let found = Cli::try_parse_from(["test", &format!("--max-documents={given}")]);
            let documents = found.as_ref().ok().map(|cli| cli.documents.max_documents.get());
            assert_eq!(documents, expected, "{given}");
            let error = found.err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(error.contains("at least 1"), expected.is_none(), "{error}");
        };
        check("1", Some(1));
        check("0", None);
        check("-1", None);
        check("some", None);
    }
}
