//! Parses SDMX structure messages as a stream of dataflows, and counts data messages.
//!
//! [`StructureReader`] takes any `Read` and returns one [`Dataflow`] after the other, so memory is bounded by one
//! dataflow and fixed buffers, independent of the size of the catalogue. [`Facts`] are extracted from the annotations
//! of a dataflow; the annotations themselves, which make up most of a catalogue, are kept only on request.
//!
//! # Supported input
//!
//! SDMX-ML 2.0, 2.1, 3.0 and 3.1, as a structure message or as a registry's response; and documents without any
//! namespace. The version is taken from the namespaces, never from prefixes. Encodings: UTF-8, UTF-16, US-ASCII and
//! those of one byte per character, plain or gzip-compressed. A dataflow is a `Dataflow` element directly inside
//! `Dataflows`, or inside the root of a document without namespaces; everywhere else the element is a reference to one
//! (in constraints, mappings, agreements). SDMX 2.0 key families are data structures, and never listed as dataflows.
//!
//! # Themes
//!
//! [`StructureReader::with_themes`] collects category schemes and categorisations, of several documents one after the
//! other: `CategorySchemes` and `Categorisations` of SDMX 2.1 and 3, and of 2.0 the `CategoryRef` inside a dataflow and
//! the `DataflowRef` inside a category. They wait in [`Themes`] until [`Themes::resolve`] follows the links, because
//! links may precede what they link.
//!
//! # Data messages
//!
//! [`count_data`] counts the series, observations and periods of a data message, in SDMX-ML, SDMX-JSON or SDMX-CSV, and
//! keeps nothing of it.
//!
//! # Structures
//!
//! [`StructureReader::with_structures`] collects data structures (in SDMX 2.0 key families) and constraints likewise, in
//! SDMX-ML and SDMX-JSON, and of code lists the number of codes. They wait in [`Structures`], within its limits. [`Structures::index`] finds those of a dataflow. A `Dataflow` inside a constraint is never
//! a dataflow, also in documents without namespaces.
//!
//! # Errors and diagnostics
//!
//! A document that is not a structure message, not well-formed, truncated, or above a limit is a [`ParseError`]: with a
//! stable reason, the byte, the line, what was found and what was expected. Document type declarations are rejected,
//! and with them every entity except the five that XML predefines. A duplicate attribute is an error, as XML requires.
//! Skipped elements must be well-formed too; only references in attributes that the reader does not use are not
//! checked.
//!
//! An irregularity of one dataflow is a [`Diagnostic`]: one invalid definition never fails the whole catalogue.
//!
//! # Limits
//!
//! | [`Limits`] | default | above it |
//! |---|---|---|
//! | `document_bytes`, decompressed | 256 MiB | `DOCUMENT_TOO_LARGE` |
//! | `event_bytes`, one text, comment, tag or field | 1 MiB | `EVENT_TOO_LARGE` |
//! | `depth`, open elements | 64 | `NESTED_TOO_DEEP` |
//! | `attributes` of an element | 256 | `TOO_MANY_ATTRIBUTES` |
//! | `namespaces` declared in scope | 1,024 | `TOO_MANY_NAMESPACES` |
//! | `dataflows` | 100,000 | `TOO_MANY_DATAFLOWS` |
//! | `dataflow_bytes`, stored text | 4 MiB | the rest is dropped, `DATAFLOW_CUT_SHORT` |
//! | `dataflow_parts`, names, annotations, ... | 2,000 | the rest is dropped, `DATAFLOW_CUT_SHORT` |
//! | `diagnostics` kept | 1,000 | the rest is counted |
//! | `identities` remembered | 65,536 | later ones are not checked for duplicates |
//! | `categories` and schemes kept, of all documents | 50,000 | the rest is dropped, `CATEGORIES_CUT_SHORT` |
//! | `categorisations` kept, of all documents | 100,000 | the rest is dropped, `CATEGORISATIONS_CUT_SHORT` |
//! | `theme_bytes` of both, with their overhead | 32 MiB | the same |
//! | `structures` kept, of all documents | 50,000 | the rest is dropped, `STRUCTURES_CUT_SHORT` |
//! | `structure_bytes` of them, with their overhead | 32 MiB | the same |

mod annotations;
mod data;
mod dataflow;
mod diagnostic;
mod encoding;
mod error;
mod excerpt;
mod facts;
mod floor;
mod footer;
mod frequency;
mod held;
mod input;
mod json;
mod limits;
mod namespace;
mod period;
mod reader;
mod reference;
mod sniff;
mod structures;
mod text;
mod themes;
mod urn;
mod xml;

pub use annotations::timestamp;
pub use data::{DataCounts, DataFormat, DataHeader, NamedStructure, NamedStructureKind, count_data};
pub use dataflow::{Annotation, Dataflow, ExternalReference, LegacyFields, Localized, StructureReference};
pub use diagnostic::{Diagnostic, Diagnostics, Reason, Severity};
pub use encoding::{CodePage, Encoding};
pub use error::{Fault, ParseError, Position};
pub use facts::{Facts, Flag, Periods, Timestamp};
pub use floor::floor;
pub use frequency::Frequency;
pub use held::Room;
pub use limits::Limits;
pub use namespace::Version;
pub use period::Period;
pub use reader::{Header, StructureReader};
pub use reference::Reference;
pub use structures::{
    Constraint, DataStructure, Dimension, KeyValues, Region, Role, StructureIndex, Structures,
};
pub use text::is_garbled;
pub use themes::{Resolved, Theme, ThemeLink, ThemePart, Themes};

#[cfg(test)]
mod tests;
