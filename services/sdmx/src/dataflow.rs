//! What a catalogue says of one dataflow, in plain values: no lifetimes, no XML, ready to be sent, stored or compared.

use super::annotations::Facts;
use super::error::Position;

/// A language tag as it was written (`it`, `EN`, `en-GB`; empty when the text has none), and a text in that language.
pub type Localised = (String, String);

/// One dataflow definition. Texts are trimmed, and runs of white space in them are one space; empty texts are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataflow {
    /// The identifier, never empty.
    pub id: String,
    /// The maintaining agency; empty when the document does not say.
    pub agency_id: String,
    /// The version as written; `1.0`, the standard's default, when absent.
    pub version: String,
    /// Names in document order; a language may come twice.
    pub names: Vec<Localised>,
    /// Descriptions in document order.
    pub descriptions: Vec<Localised>,
    /// The data structure that it follows, when given and understood. Whether it exists is not asked.
    pub structure: Option<StructureReference>,
    /// Whether it is final, when the document says so; SDMX 3 has no such flag.
    pub is_final: Option<bool>,
    /// Where the full definition is, when this is a stub.
    pub external: Option<ExternalReference>,
    /// What the annotations say.
    pub facts: Facts,
    /// Annotations in document order; only when asked for by `StructureReader::with_annotations`.
    pub annotations: Vec<Annotation>,
    /// What the predecessor would have read; none when declined by `StructureReader::without_legacy`.
    pub legacy: Option<Box<LegacyFields>>,
    /// The start tag of its element.
    pub position: Position,
}

/// A reference to a data structure definition (a key family in SDMX 2.0).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StructureReference {
    /// The maintaining agency; empty when the document does not say.
    pub agency_id: String,
    /// The identifier, never empty.
    pub id: String,
    /// The version as written, wildcards of SDMX 3 included; `1.0` when absent.
    pub version: String,
}

/// Where the definition behind a stub can be had (`isExternalReference="true"`); a document may name neither place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ExternalReference {
    /// A document that holds the definition.
    pub structure_url: Option<String>,
    /// A service that can be asked for it.
    pub service_url: Option<String>,
}

/// A note on a dataflow, for programs more than for people. Fields are empty when absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Annotation {
    /// The `id` attribute.
    pub id: String,
    /// `AnnotationType`, by which annotations are told apart.
    pub kind: String,
    /// `AnnotationTitle`, in which many providers put the value.
    pub title: String,
    /// `AnnotationURL`; the first when there are several.
    pub url: String,
    /// `AnnotationText` in every language given.
    pub texts: Vec<Localised>,
    /// `AnnotationValue`, of SDMX 3.
    pub value: String,
}

/// The four texts that the predecessor kept of a dataflow, made by its rules and not by ours: untrimmed, up to the
/// first child element, with its preference for Italian.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LegacyFields {
    /// The Italian name, or one without a language; empty when there is none.
    pub name_it: String,
    /// The English name; empty when there is none.
    pub name_en: String,
    /// The Italian name, else the English one, else the id.
    pub display_name: String,
    /// The first description, in whatever language.
    pub description: String,
}

impl Annotation {
    /// Empties every field and keeps the room.
    pub(super) fn clear(&mut self) {
        let Self { id, kind, title, url, texts, value } = self;
        [id, kind, title, url, value].into_iter().for_each(String::clear);
        texts.clear();
    }

    /// Bytes of text in it.
    pub(super) fn bytes(&self) -> usize {
        let Self { id, kind, title, url, texts, value } = self;
        let texts = texts.iter().map(|(language, text)| language.len() + text.len()).sum::<usize>();
        [id, kind, title, url, value].map(String::len).iter().sum::<usize>() + texts
    }
}
