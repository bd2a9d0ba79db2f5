//! The limits of one parser run. They are a module because operators set them, and because each of them has a test on
//! both sides.

/// Limits per document. A document above a limit of its structure fails; a dataflow above a limit of its content is
/// truncated and reported, and the rest of the catalogue is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole document after decompression; default 256 MiB. One byte more is `DOCUMENT_TOO_LARGE`.
    pub document_bytes: u64,
    /// Bytes of one text, comment, instruction or tag, one string of JSON or one field of CSV, without the delimiter that
    /// ends it, and of the text of one element; default 1 MiB. One byte more is `EVENT_TOO_LARGE`.
    pub event_bytes: usize,
    /// Open elements, the root being the first; default 64. One more is `NESTED_TOO_DEEP`. In JSON twice as many open
    /// objects and arrays, because a list of objects is two.
    pub depth: usize,
    /// Attributes of one element; default 256. One more is `TOO_MANY_ATTRIBUTES`.
    pub attributes: usize,
    /// Namespace declarations in scope, the innermost and all around it; default 1,024. One more is
    /// `TOO_MANY_NAMESPACES`.
    pub namespaces: usize,
    /// Dataflows of the document; default 100,000. One more is `TOO_MANY_DATAFLOWS`.
    pub dataflows: usize,
    /// Bytes of text stored for one dataflow; default 4 MiB. Text above the limit is dropped: `DATAFLOW_CUT_SHORT`.
    pub dataflow_bytes: usize,
    /// Names, descriptions and annotations stored for one dataflow, in total; default 2,000. Further ones are dropped:
    /// `DATAFLOW_CUT_SHORT`.
    pub dataflow_parts: usize,
    /// Diagnostics kept; default 1,000. The rest is counted, and warnings evict informational ones.
    pub diagnostics: usize,
    /// Identities remembered to detect duplicates, eight bytes each; default 65,536. Later ones are not checked.
    pub identities: usize,
    /// Categories kept, of all documents; default 50,000. Further ones are dropped: `CATEGORIES_CUT_SHORT`.
    pub categories: usize,
    /// Categorisations kept, of all documents; default 100,000. Further ones are dropped: `CATEGORISATIONS_CUT_SHORT`.
    pub categorisations: usize,
    /// Bytes of categories and categorisations kept, of all documents, with their overhead; default 32 MiB. The rest is
    /// dropped as above. The paths of the themes in use have as many.
    pub theme_bytes: usize,
    /// Data structures, code lists and constraints kept, of all documents; default 50,000. Further ones are dropped:
    /// `STRUCTURES_CUT_SHORT`.
    pub structures: usize,
    /// Bytes of these, of all documents, with their overhead; default 32 MiB. The rest is dropped as above.
    pub structure_bytes: usize,
}

impl Limits {
    /// All limits as numbers, for a cache key that distinguishes sets of limits.
    pub fn numbers(&self) -> [u64; 15] {
        let &Self {
            document_bytes,
            event_bytes,
            depth,
            attributes,
            namespaces,
            dataflows,
            dataflow_bytes,
            dataflow_parts,
            diagnostics,
            identities,
            categories,
            categorisations,
            theme_bytes,
            structures,
            structure_bytes,
        } = self;
        let rest = [
            event_bytes,
            depth,
            attributes,
            namespaces,
            dataflows,
            dataflow_bytes,
            dataflow_parts,
            diagnostics,
            identities,
            categories,
            categorisations,
            theme_bytes,
            structures,
            structure_bytes,
        ];
        let mut numbers = [document_bytes; 15];
        for (number, limit) in numbers[1..].iter_mut().zip(rest) {
            *number = limit as u64;
        }
        numbers
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 256 << 20,
            event_bytes: 1 << 20,
            depth: 64,
            attributes: 256,
            namespaces: 1_024,
            dataflows: 100_000,
            dataflow_bytes: 4 << 20,
            dataflow_parts: 2_000,
            diagnostics: 1_000,
            identities: 65_536,
            categories: 50_000,
            categorisations: 100_000,
            theme_bytes: 32 << 20,
            structures: 50_000,
            structure_bytes: 32 << 20,
        }
    }
}
