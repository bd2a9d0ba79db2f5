//! The data model of a dataflow in plain values: no lifetimes, no XML, ready to be sent, stored or compared.

use super::error::Position;
use super::facts::Facts;

/// A language tag as written (`it`, `EN`, `en-GB`; empty if the text has none, or `und`), and a text in that language.
pub type Localized = (String, String);

/// One dataflow definition. Texts are trimmed, and runs of white space are one space; empty texts are omitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataflow {
    /// The identifier, never empty.
    pub id: String,
    /// The maintenance agency; empty if absent.
    pub agency_id: String,
    /// The version as written. If absent `1.0`, the standard's default, or empty since SDMX 3.0, where such a dataflow
    /// has no version.
    pub version: String,
    /// Names in document order; the first of several in one language.
    pub names: Vec<Localized>,
    /// Descriptions in document order, likewise.
    pub descriptions: Vec<Localized>,
    /// The data structure definition, if present and valid. The reader does not check that it exists.
    pub structure: Option<StructureReference>,
    /// The `isFinal` flag, if present; SDMX 3 has none.
    pub is_final: Option<bool>,
    /// The location of the full definition, if this is a stub.
    pub external: Option<ExternalReference>,
    /// The interpreted annotations.
    pub facts: Facts,
    /// Annotations in document order; only with `StructureReader::with_annotations`.
    pub annotations: Vec<Annotation>,
    /// The predecessor's texts; `None` with `StructureReader::without_legacy`.
    pub legacy: Option<Box<LegacyFields>>,
    /// Position of the start tag.
    pub position: Position,
}

/// A reference to a data structure definition (a key family in SDMX 2.0).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StructureReference {
    /// The maintenance agency; empty if absent.
    pub agency_id: String,
    /// The identifier, never empty.
    pub id: String,
    /// The version as written, including SDMX 3 wildcards; if absent as that of a dataflow.
    pub version: String,
}

/// The location of the definition of a stub (`isExternalReference="true"`); a document may omit both URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ExternalReference {
    /// A document with the definition.
    pub structure_url: Option<String>,
    /// A service that returns the definition.
    pub service_url: Option<String>,
}

/// A note on a dataflow, for programs rather than people. Absent fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Annotation {
    /// The `id` attribute.
    pub id: String,
    /// `AnnotationType`, which identifies the kind of annotation.
    pub kind: String,
    /// `AnnotationTitle`, where many providers put the value.
    pub title: String,
    /// `AnnotationURL`; the first one if there are several.
    pub url: String,
    /// `AnnotationText` in all languages.
    pub texts: Vec<Localized>,
    /// `AnnotationValue` of SDMX 3.
    pub value: String,
}

/// The four texts that the predecessor kept of a dataflow, by its own rules: untrimmed, up to the first child element,
/// with preference for Italian.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LegacyFields {
    /// The Italian name, or one without a language; empty if absent.
    pub name_it: String,
    /// The English name; empty if absent.
    pub name_en: String,
    /// The Italian name, else the English one, else the id.
    pub display_name: String,
    /// The first description, in any language.
    pub description: String,
}

impl Annotation {
    /// Empties every field, and keeps the allocations.
    pub(super) fn clear(&mut self) {
        let Self { id, kind, title, url, texts, value } = self;
        [id, kind, title, url, value].into_iter().for_each(String::clear);
        texts.clear();
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        let Self { id, kind, title, url, texts, value } = self;
        let texts = texts.iter().map(|(language, text)| language.len() + text.len()).sum::<usize>();
        [id, kind, title, url, value].map(String::len).iter().sum::<usize>() + texts
    }
}
