//! What a snapshot keeps of a catalogue: its dataflows with their annotations and categories, and the artefacts that tell
//! what they are.

use dataflow_sdmx::{Dataflow, Dimension, Localized, Reference, Timestamp};

/// A dataflow, and the categories that the provider assigns to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDataflow {
    /// The definition. Of its facts only the flags are kept: the others are in its annotations.
    pub dataflow: Dataflow,
    /// The links to its categories.
    pub links: Vec<Link>,
}

/// A link of a dataflow to a category.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The number of the theme in the content.
    pub theme: u32,
    /// The version of the dataflow that it names; empty if it names none.
    pub version: String,
    /// When the provider ends it.
    pub ends: Option<Timestamp>,
}

/// A category, with those around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// Its scheme.
    pub scheme: Reference,
    /// From the outermost category to the theme itself: identifiers and names.
    pub path: Vec<(String, Vec<Localized>)>,
}

/// A data structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    /// Its identity.
    pub identity: Reference,
    /// Its dimensions, in the order of keys.
    pub dimensions: Vec<Dimension>,
}

/// What a content has, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Dataflows, each version counted.
    pub dataflows: u32,
    /// Themes that dataflows are assigned to.
    pub themes: u32,
    /// Data structures.
    pub structures: u32,
    /// Constraints.
    pub constraints: u32,
}

/// The SHA-256 of a content in its stored form.
pub type StructureHash = [u8; 32];

// === impl Theme ===

impl Theme {
    /// The scheme without its version, and the identifiers of the path: what a theme is, whatever its names.
    pub fn key(&self) -> String {
        let path = self.path.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(".");
        format!("{}:{}/{path}", self.scheme.agency_id, self.scheme.id)
    }
}
