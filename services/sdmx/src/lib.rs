//! SDMX-ML structure messages, read as a stream of dataflows.
//!
//! [`StructureReader`] takes any `Read` and hands out one [`Dataflow`] after the other, so memory is bounded by one
//! dataflow and fixed buffers, whatever the size of the catalogue. [`Facts`] are what its annotations come to; the
//! annotations themselves, of which most of a catalogue is made, are kept only when asked for.
//!
//! # What is read
//!
//! SDMX-ML 2.0, 2.1, 3.0 and 3.1, told by the version in the namespaces and never by prefixes, as a structure
//! message or as a registry's reply; and documents without any namespace. In UTF-8, UTF-16, ISO-8859-1 or US-ASCII,
//! plain or in gzip. A dataflow is a `Dataflow` directly inside `Dataflows`; everywhere else the element is a
//! reference to one (in constraints, mappings, agreements). Without namespaces there is no telling, so any `Dataflow`
//! but the root is one. SDMX 2.0 key families are counted and told, not listed.
//!
//! # What is refused, and what is only told
//!
//! A document that is no structure message, not well-formed, not whole, or beyond a bound is a [`ParseError`]: with a
//! stable reason, the byte, the line, what was found and what was expected. Document types are refused, and with them
//! every entity but XML's own five. An attribute that comes twice is an error, as XML has it. Elements that are
//! passed over must be well-formed too; only references in attributes that nobody reads are not looked at.
//!
//! What is odd about one dataflow is a [`Diagnostic`]: a catalogue is never lost to one bad entry.
//!
//! # Bounds
//!
//! | [`Limits`] | default | beyond it |
//! |---|---|---|
//! | `document_bytes`, unpacked | 256 MiB | `DOCUMENT_TOO_LARGE` |
//! | `event_bytes`, one text, comment or tag | 1 MiB | `EVENT_TOO_LARGE` |
//! | `depth`, open elements | 64 | `NESTED_TOO_DEEP` |
//! | `attributes` of an element | 256 | `TOO_MANY_ATTRIBUTES` |
//! | `dataflow_bytes`, kept text | 4 MiB | the rest is dropped, `DATAFLOW_CUT_SHORT` |
//! | `dataflow_parts`, names, annotations, ... | 2,000 | the rest is dropped, `DATAFLOW_CUT_SHORT` |
//! | `diagnostics` kept | 1,000 | the rest is counted |
//! | `identities` remembered | 65,536 | later ones are not compared |

mod annotations;
mod dataflow;
mod diagnostic;
mod error;
mod floor;
mod input;
mod limits;
mod looks;
mod reader;
mod text;
mod urn;
mod xml;

pub use annotations::{Facts, Flag, Timestamp, timestamp};
pub use dataflow::{Annotation, Dataflow, ExternalReference, LegacyFields, Localised, StructureReference};
pub use diagnostic::{Diagnostic, Diagnostics, Reason, Severity};
pub use error::{Fault, ParseError, Position};
pub use floor::floor;
pub use input::Encoding;
pub use limits::Limits;
pub use reader::{Header, StructureReader};
pub use xml::namespace::Version;

#[cfg(test)]
mod tests;
