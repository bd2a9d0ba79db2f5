//! The flags of uploads.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytesize::ByteSize;
use dataflow_sdmx::Limits;
use dataflow_settings::{DYNAMIC, duration};

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
///
/// # Errors
///
/// If it is none, which is said in words.
pub fn at_least_one(given: &str) -> Result<NonZeroUsize, &'static str> {
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
