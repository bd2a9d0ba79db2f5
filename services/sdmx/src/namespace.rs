//! Namespaces, reduced to what SDMX needs: the version and the schema. Prefixes have no meaning; a provider may bind
//! any.

use std::fmt;

/// A supported version of SDMX-ML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// SDMX 2.0, which calls data structures key families.
    V2_0,
    /// SDMX 2.1, the version of nearly all providers.
    V2_1,
    /// SDMX 3.0.
    V3_0,
    /// SDMX 3.1.
    V3_1,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2_0 => "2.0",
            Self::V2_1 => "2.1",
            Self::V3_0 => "3.0",
            Self::V3_1 => "3.1",
        })
    }
}

/// The SDMX-ML schemas that a structure message uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Schema {
    Message,
    Structure,
    Common,
    Registry,
    /// Data, metadata, queries.
    Other,
}

/// The namespace of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Namespace {
    /// The element has no namespace.
    None,
    /// An SDMX namespace; the version is absent if it is not supported.
    Sdmx(Option<Version>, Schema),
    /// SOAP of any version.
    Soap,
    /// Any other.
    Foreign,
}

/// Part of every SDMX-ML namespace, in any case; a version follows.
const SCHEMA_PATH: &str = "/sdmxml/schemas/v";

impl Namespace {
    pub(super) fn of(uri: &str) -> Self {
        if uri.is_empty() {
            return Self::None;
        }
        if uri.contains("schemas.xmlsoap.org/soap/") || uri.contains("/soap-envelope") {
            return Self::Soap;
        }
        match version_and_schema(uri) {
            Some((version, schema)) => Self::Sdmx(
                match version.as_str() {
                    "2_0" => Some(Version::V2_0),
                    "2_1" => Some(Version::V2_1),
                    "3_0" => Some(Version::V3_0),
                    "3_1" => Some(Version::V3_1),
                    _ => None,
                },
                match schema.as_str() {
                    "message" => Schema::Message,
                    "structure" => Schema::Structure,
                    "common" => Schema::Common,
                    "registry" => Schema::Registry,
                    _ => Schema::Other,
                },
            ),
            None => Self::Foreign,
        }
    }
}

/// The version (`2_1`) and the schema (`structure`) in an SDMX-ML namespace, lower-cased.
pub(crate) fn version_and_schema(uri: &str) -> Option<(String, String)> {
    let uri = uri.to_ascii_lowercase();
    let (_, rest) = uri.split_once(SCHEMA_PATH)?;
    let (version, schema) = rest.split_once('/')?;
    Some((version.to_owned(), schema.trim_end_matches('/').to_owned()))
}

/// The namespace bindings in scope, innermost last. SDMX documents declare all of them on the root, so the list is
/// short and a search from its end is faster than any map.
#[derive(Debug)]
pub(super) struct Bindings {
    bound: Vec<Binding>,
}

#[derive(Debug)]
struct Binding {
    prefix: Box<str>,
    namespace: Namespace,
    /// Depth of the element that declares it.
    depth: usize,
}

impl Bindings {
    pub(super) fn new() -> Self {
        let none = Binding { prefix: "".into(), namespace: Namespace::None, depth: 0 };
        let xml = Binding { prefix: "xml".into(), namespace: Namespace::Foreign, depth: 0 };
        Self { bound: vec![none, xml] }
    }

    pub(super) fn bind(&mut self, prefix: &str, uri: &str, depth: usize) {
        self.bound.push(Binding { prefix: prefix.into(), namespace: Namespace::of(uri), depth });
    }

    /// Removes the bindings of elements deeper than `depth`.
    #[inline]
    pub(super) fn leave(&mut self, depth: usize) {
        while self.bound.last().is_some_and(|binding| binding.depth > depth) {
            self.bound.pop();
        }
    }

    #[inline]
    pub(super) fn resolve(&self, prefix: &str) -> Option<Namespace> {
        // Compared byte by byte: prefixes are too short to justify the call of `==`.
        let same_prefix = |binding: &&Binding| binding.prefix.bytes().eq(prefix.bytes());
        self.bound.iter().rev().find(same_prefix).map(|binding| binding.namespace)
    }
}
