//! Errors that make a whole document unreadable. Separate from diagnostics, which concern one dataflow and do not stop
//! parsing.

use std::{fmt, io};

use super::encoding::Encoding;

/// A position in the document as it was sent, after decompression and before transcoding. Ordered as the documents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The document: 0 for the catalogue, then the number of the further document.
    pub document: u32,
    /// Bytes before this position, from 0.
    pub offset: u64,
    /// Line, from 1; lines end with a line feed.
    pub line: u64,
}

impl Position {
    /// The first byte of the catalogue.
    pub const START: Self = Self::start_of(0);

    /// The first byte of a document.
    #[must_use]
    pub const fn start_of(document: u32) -> Self {
        Self { document, offset: 0, line: 1 }
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::START
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.document > 0 {
            write!(f, "further document {}, ", self.document)?;
        }
        write!(f, "byte {}, line {}", self.offset, self.line)
    }
}

/// The error that stopped parsing, and its position. Dataflows returned before it stay valid, but the catalogue is
/// incomplete.
#[derive(Debug, thiserror::Error)]
#[error("{position}: {fault}")]
pub struct ParseError {
    /// What was found, and what was expected instead.
    #[source]
    pub fault: Fault,
    /// Position: the start of the invalid tag or text, or the byte itself if it is known.
    pub position: Position,
}

impl ParseError {
    /// The stable name of the fault, in upper snake case.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.fault.reason()
    }
}

/// The kinds of invalid documents. The message states what was found and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The document is empty.
    #[error("the document is empty; expected an SDMX message")]
    Empty,
    /// The document starts neither like XML nor like JSON.
    #[error("found {found}; expected an SDMX structure message, in SDMX-ML or SDMX-JSON")]
    NotXml {
        /// The detected kind, with the first words if they can be decoded.
        found: String,
    },
    /// The document is XML or JSON of another kind.
    #[error(
        "found {found}; expected a structure message: SDMX-ML 2.0, 2.1, 3.0 or 3.1, or SDMX-JSON 1.0, 2.0 or 2.1"
    )]
    NotStructure {
        /// The detected kind, with the text of an error message if it is one.
        found: String,
    },
    /// The document is not a data message, where one was expected.
    #[error("found {found}; expected a data message: SDMX-ML 2.0, 2.1, 3.0 or 3.1, SDMX-JSON, or SDMX-CSV")]
    NotData {
        /// The detected kind, with the text of an error message if it is one.
        found: String,
    },
    /// The document is SDMX-ML of an unsupported version.
    #[error("found SDMX-ML {version}; expected 2.0, 2.1, 3.0 or 3.1")]
    UnsupportedVersion {
        /// The version in the namespace of the root.
        version: String,
    },
    /// The document ends before its root does.
    #[error("the document ends {inside}; expected {expected}")]
    Truncated {
        /// The construct that was open at the end.
        inside: String,
        /// The construct that was missing.
        expected: String,
    },
    /// The document is not well-formed XML.
    #[error("{found}; expected {expected}")]
    Malformed {
        /// What was found.
        found: String,
        /// The construct that the grammar requires.
        expected: String,
    },
    /// The document is not well-formed JSON, or has a list of SDMX-JSON in another form.
    #[error("{found}; expected {expected}")]
    MalformedJson {
        /// What was found.
        found: String,
        /// What the grammar requires.
        expected: String,
    },
    /// A row of CSV is not as the grammar or the first row requires.
    #[error("{found}; expected {expected}")]
    MalformedCsv {
        /// What was found.
        found: String,
        /// What the grammar or the first row requires.
        expected: String,
    },
    /// A field of CSV starts with a quote, and the document ends before another one closes it.
    #[error(
        "found a quote that is not closed; expected one more at the end of the field, before the document ends"
    )]
    UnclosedQuote,
    /// Content follows the root.
    #[error("found content after the end of the root; expected the end of the document")]
    ContentAfterRoot,
    /// The XML declaration is not at the first byte.
    #[error("found an XML declaration after other content; expected it at the first byte")]
    LateDeclaration,
    /// A document type declaration, which may define entities without limit.
    #[error(
        "found a document type declaration; expected none, as SDMX-ML has none and they are rejected unread"
    )]
    Dtd,
    /// A reference to an entity that XML does not define.
    #[error(
        "found the undefined entity &{name};; expected &lt; &gt; &amp; &apos; &quot; or a character reference"
    )]
    UndefinedEntity {
        /// Its name.
        name: String,
    },
    /// A reference to a character that XML does not allow.
    #[error("found the character reference &{reference};; expected one of a character that XML allows")]
    InvalidCharacterReference {
        /// The text between `&` and `;`.
        reference: String,
    },
    /// A namespace prefix that is not declared.
    #[error("found the prefix {prefix:?} without a namespace; expected a declaration xmlns:{prefix}")]
    UnboundPrefix {
        /// The prefix.
        prefix: String,
    },
    /// Bytes that are not valid in the document's encoding.
    #[error("found bytes that are not valid {encoding}; expected {encoding} text")]
    InvalidEncoding {
        /// The encoding that the document is in.
        encoding: Encoding,
    },
    /// The declaration names one encoding, but the bytes are in another.
    #[error(
        "found a declaration of encoding {declared:?} on bytes that are {actual}; expected the two to agree"
    )]
    ContradictoryEncoding {
        /// The name in the declaration.
        declared: String,
        /// The encoding that the first bytes show.
        actual: Encoding,
    },
    /// An unsupported encoding.
    #[error(
        "found encoding {declared:?}; expected UTF-8, UTF-16, US-ASCII, ISO 8859 or a code page of Windows"
    )]
    UnsupportedEncoding {
        /// The name in the declaration, or what the first bytes show.
        declared: String,
    },
    /// The gzip stream is truncated.
    #[error("the gzip stream ends early; expected its trailer")]
    TruncatedGzip,
    /// The gzip stream is corrupt.
    #[error("the gzip stream is damaged ({0}); expected valid gzip")]
    CorruptGzip(#[source] io::Error),
    /// The document is larger than the limit.
    #[error("found more than {limit} bytes of document; expected at most that many (--max-document-bytes)")]
    DocumentTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// One text, comment, instruction or tag, one string of JSON, or one field of CSV is larger than the limit.
    #[error(
        "found a text, comment, tag, string or field of more than {limit} bytes; expected at most that many \
         (--max-event-bytes)"
    )]
    EventTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Elements, or objects and arrays of JSON, are nested deeper than the limit.
    #[error(
        "found elements, objects or arrays nested more than {limit} deep; expected at most that many (--max-depth)"
    )]
    NestedTooDeep {
        /// The limit: elements; objects and arrays together in JSON.
        limit: usize,
    },
    /// One element has more attributes than the limit.
    #[error(
        "found an element with more than {limit} attributes; expected at most that many (--max-attributes)"
    )]
    TooManyAttributes {
        /// The limit, in attributes.
        limit: usize,
    },
    /// More namespaces are declared than the limit.
    #[error("found more than {limit} namespace declarations in scope; expected at most that many")]
    TooManyNamespaces {
        /// The limit, in declarations.
        limit: usize,
    },
    /// The document has more dataflows than the limit.
    #[error("found more than {limit} dataflows; expected at most that many (--max-dataflows)")]
    TooManyDataflows {
        /// The limit, in dataflows.
        limit: usize,
    },
    /// Reading from the source failed.
    #[error("reading the document failed: {0}")]
    Read(#[source] io::Error),
}

impl Fault {
    /// The stable name, in upper snake case.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "EMPTY_DOCUMENT",
            Self::NotXml { .. } => "NOT_XML",
            Self::NotStructure { .. } => "NOT_A_STRUCTURE_MESSAGE",
            Self::NotData { .. } => "NOT_A_DATA_MESSAGE",
            Self::UnsupportedVersion { .. } => "UNSUPPORTED_SDMX_VERSION",
            Self::Truncated { .. } => "TRUNCATED_DOCUMENT",
            Self::Malformed { .. } => "MALFORMED_XML",
            Self::MalformedJson { .. } => "MALFORMED_JSON",
            Self::MalformedCsv { .. } => "MALFORMED_CSV",
            Self::UnclosedQuote => "UNCLOSED_QUOTE",
            Self::ContentAfterRoot => "CONTENT_AFTER_ROOT",
            Self::LateDeclaration => "LATE_XML_DECLARATION",
            Self::Dtd => "DTD_REFUSED",
            Self::UndefinedEntity { .. } => "UNDEFINED_ENTITY",
            Self::InvalidCharacterReference { .. } => "INVALID_CHARACTER_REFERENCE",
            Self::UnboundPrefix { .. } => "UNBOUND_PREFIX",
            Self::InvalidEncoding { .. } => "INVALID_ENCODING",
            Self::ContradictoryEncoding { .. } => "CONTRADICTORY_ENCODING",
            Self::UnsupportedEncoding { .. } => "UNSUPPORTED_ENCODING",
            Self::TruncatedGzip => "TRUNCATED_GZIP",
            Self::CorruptGzip(_) => "CORRUPT_GZIP",
            Self::DocumentTooLarge { .. } => "DOCUMENT_TOO_LARGE",
            Self::EventTooLarge { .. } => "EVENT_TOO_LARGE",
            Self::NestedTooDeep { .. } => "NESTED_TOO_DEEP",
            Self::TooManyAttributes { .. } => "TOO_MANY_ATTRIBUTES",
            Self::TooManyNamespaces { .. } => "TOO_MANY_NAMESPACES",
            Self::TooManyDataflows { .. } => "TOO_MANY_DATAFLOWS",
            Self::Read(_) => "READ_FAILED",
        }
    }
}
