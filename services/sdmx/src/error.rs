//! Why a document as a whole cannot be read. Apart from the diagnostics, which speak of one dataflow and let the
//! reading go on.

use std::io;

use super::input::Encoding;

/// A place in the document as it was sent, after decompression and before any change of encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Bytes before this place, from 0.
    pub offset: u64,
    /// Line, from 1; lines end with a line feed.
    pub line: u64,
}

impl Position {
    /// The first byte of a document.
    pub const START: Self = Self { offset: 0, line: 1 };
}

/// Why, and where, the reading stopped. Dataflows handed out before it stay valid, but the catalogue is not whole.
#[derive(Debug, thiserror::Error)]
#[error("byte {}, line {}: {fault}", .position.offset, .position.line)]
pub struct ParseError {
    /// What was found, and what was expected instead.
    #[source]
    pub fault: Fault,
    /// Where: the start of the tag or text at fault, or the byte itself where that is known.
    pub position: Position,
}

impl ParseError {
    /// The stable name of the fault, in upper snake case.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.fault.reason()
    }
}

/// What may be wrong with a document. The message says what was found and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is nothing in it.
    #[error("the document is empty; expected an SDMX-ML structure message")]
    Empty,
    /// It does not begin like XML.
    #[error("found {found}; expected an SDMX-ML structure message")]
    NotXml {
        /// What it looks like, with its first words when these can be read.
        found: String,
    },
    /// It is XML of another kind.
    #[error("found {found}; expected an SDMX-ML structure message (2.0, 2.1, 3.0 or 3.1)")]
    NotStructure {
        /// What it looks like, with its own words when it is an error message.
        found: String,
    },
    /// It is SDMX-ML of a version that is not read.
    #[error("found SDMX-ML {version}; expected 2.0, 2.1, 3.0 or 3.1")]
    UnsupportedVersion {
        /// The version in the namespace of the root.
        version: String,
    },
    /// It ends before its root element does.
    #[error("the document ends {inside}; expected {expected}")]
    Truncated {
        /// What was open at the end.
        inside: String,
        /// What had to follow.
        expected: String,
    },
    /// It is not well-formed XML.
    #[error("{found}; expected {expected}")]
    Malformed {
        /// What was found.
        found: String,
        /// What the grammar asks for.
        expected: String,
    },
    /// Something follows the root element.
    #[error("found content after the end of the root element; expected the end of the document")]
    ContentAfterRoot,
    /// The XML declaration stands elsewhere than at the first byte.
    #[error("found an XML declaration after other content; expected it at the first byte")]
    LateDeclaration,
    /// A document type declaration, which may define entities without end.
    #[error(
        "found a document type declaration; expected none, as SDMX-ML has none and they are refused unread"
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
        /// What stands between `&` and `;`.
        reference: String,
    },
    /// A prefix that nobody declared.
    #[error("found the prefix {prefix:?} without a namespace; expected a declaration xmlns:{prefix}")]
    UnboundPrefix {
        /// The prefix.
        prefix: String,
    },
    /// Bytes that are none in the document's encoding.
    #[error("found bytes that are not valid {encoding}; expected {encoding} text")]
    InvalidEncoding {
        /// The encoding that the document is in.
        encoding: Encoding,
    },
    /// The declaration names one encoding, the bytes are in another.
    #[error(
        "found a declaration of encoding {declared:?} on bytes that are {actual}; expected the two to agree"
    )]
    ContradictoryEncoding {
        /// The name in the declaration.
        declared: String,
        /// What the first bytes show.
        actual: Encoding,
    },
    /// An encoding that is not read.
    #[error("found encoding {declared:?}; expected UTF-8, UTF-16, ISO-8859-1 or US-ASCII")]
    UnsupportedEncoding {
        /// The name in the declaration, or what the first bytes show.
        declared: String,
    },
    /// The gzip stream ends early.
    #[error("the gzip stream ends early; expected its trailer")]
    TruncatedGzip,
    /// The gzip stream is damaged.
    #[error("the gzip stream is damaged ({0}); expected valid gzip")]
    CorruptGzip(#[source] io::Error),
    /// The document is larger than allowed.
    #[error("found more than {limit} bytes of document; expected at most that many")]
    DocumentTooLarge {
        /// The bound, in bytes.
        limit: u64,
    },
    /// One text, comment, instruction or tag is larger than allowed.
    #[error("found a text, comment or tag of more than {limit} bytes; expected at most that many")]
    EventTooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// Elements are nested deeper than allowed.
    #[error("found elements nested more than {limit} deep; expected at most that many")]
    NestedTooDeep {
        /// The bound, in elements.
        limit: usize,
    },
    /// One element has more attributes than allowed.
    #[error("found an element with more than {limit} attributes; expected at most that many")]
    TooManyAttributes {
        /// The bound, in attributes.
        limit: usize,
    },
    /// The bytes stopped coming.
    #[error("the document could not be read: {0}")]
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
            Self::UnsupportedVersion { .. } => "UNSUPPORTED_SDMX_VERSION",
            Self::Truncated { .. } => "TRUNCATED_DOCUMENT",
            Self::Malformed { .. } => "MALFORMED_XML",
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
            Self::Read(_) => "READ_FAILED",
        }
    }
}
