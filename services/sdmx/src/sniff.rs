//! Content sniffing: the kind of a document that is not a structure message. Providers respond with web pages, plain
//! text, errors and data where a catalogue was requested; a message with the detected kind saves opening the file.

use super::error::Fault;
use super::excerpt::excerpt;
use super::namespace::{Namespace, Schema, version_and_schema};

/// The fault of a document whose first non-white-space byte cannot start XML.
pub(super) fn not_xml(head: &[u8]) -> Option<Fault> {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let found = match &head[start..] {
        [b'<', ..] => return None,
        [b'P', b'K', 3, 4, ..] => "a zip archive".to_owned(),
        [b'%', b'P', b'D', b'F', ..] => "a PDF file".to_owned(),
        // `>` limits the quotation, because that much of the document is available however it is sent.
        bytes => match bytes[..bytes.len().min(512)].split(|byte| matches!(byte, b'<' | b'>')).next() {
            Some(bytes) if is_text(bytes) => {
                format!("plain text {:?}", excerpt(&String::from_utf8_lossy(bytes)))
            }
            _ => "binary data".to_owned(),
        },
    };
    Some(Fault::NotXml { found })
}

/// Describes text outside of any element.
pub(super) fn plain_text(text: &str) -> String {
    format!("plain text {:?}", excerpt(text))
}

/// The fault of a document type declaration at the start of `head`, if `head` is long enough to recognize one.
pub(super) fn doctype(head: &[u8]) -> Option<Fault> {
    let (keyword, content) = head.split_at_checked(9)?;
    let content = content.trim_ascii_start();
    let content = &content[..content.len().min(4)];
    let unclear = content.len() < 4 && b"html".starts_with(&content.to_ascii_lowercase());
    let is_doctype = keyword.eq_ignore_ascii_case(b"<!DOCTYPE") && !unclear;
    is_doctype.then(|| document_type(&String::from_utf8_lossy(content)))
}

/// The fault of a document type declaration, by the text after its keyword.
pub(super) fn document_type(content: &str) -> Fault {
    match content.trim_start().get(..4) {
        Some(name) if name.eq_ignore_ascii_case("html") => {
            Fault::NotStructure { found: "an HTML page".to_owned() }
        }
        _ => Fault::Dtd,
    }
}

/// The kind of a root element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// A message that may contain dataflows.
    Structure,
    /// No namespace, and no SDMX name: a structure message only if it contains dataflows.
    Unknown,
    /// A message whose text describes an error.
    Failure(&'static str),
    /// Anything else.
    Other(&'static str),
}

/// Classifies a root element.
pub(super) fn classify_root(namespace: Namespace, name: &str) -> Root {
    match (namespace, name) {
        (Namespace::Sdmx(..) | Namespace::None, "Error") => Root::Failure("an SDMX error message"),
        (Namespace::Soap | Namespace::None, "Fault") => Root::Failure("a SOAP fault"),
        (Namespace::Soap | Namespace::None, "Envelope") => Root::Failure("a SOAP envelope"),
        (Namespace::Sdmx(_, Schema::Message | Schema::Structure), "Structure")
        | (Namespace::Sdmx(_, Schema::Message | Schema::Registry), "RegistryInterface")
        | (
            Namespace::None,
            "Structure" | "StructureMessage" | "RegistryInterface" | "Structures" | "Dataflows" | "Dataflow",
        ) => Root::Structure,
        _ if is_data(name) && !matches!(namespace, Namespace::Foreign) => Root::Other("an SDMX data message"),
        (Namespace::Sdmx(..), _) => Root::Other("an SDMX message that is not a structure message"),
        _ if ["html", "head", "body"].iter().any(|tag| tag.eq_ignore_ascii_case(name)) => {
            Root::Other("an HTML page")
        }
        (Namespace::None, _) => Root::Unknown,
        _ => Root::Other("XML of another kind"),
    }
}

fn is_data(name: &str) -> bool {
    name.ends_with("Data")
        || matches!(name, "MessageGroup" | "DataSet" | "GenericMetadata" | "StructureSpecificMetadata")
}

/// The version in an SDMX-ML namespace, in its usual notation.
pub(super) fn version_in(uri: &str) -> Option<String> {
    version_and_schema(uri).map(|(version, _)| excerpt(&version.replace('_', ".")))
}

fn is_text(bytes: &[u8]) -> bool {
    let valid = match str::from_utf8(bytes) {
        Ok(_) => true,
        // The last character may be truncated.
        Err(error) => error.error_len().is_none(),
    };
    valid && bytes.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}
