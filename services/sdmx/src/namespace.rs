//! Namespaces, reduced to what SDMX needs: the version and the schema. Prefixes have no meaning; a provider may bind
//! any.

use std::collections::HashMap;
use std::fmt;

use super::error::Fault;

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
    /// The positions of each prefix in `bound`, innermost last: for a list that is long nevertheless.
    positions: HashMap<Box<str>, Vec<usize>>,
    limit: usize,
    /// The number of changes.
    version: u64,
}

#[derive(Debug)]
struct Binding {
    prefix: Box<str>,
    namespace: Namespace,
    /// Depth of the element that declares it.
    depth: usize,
}

/// Longest list that is searched.
const SEARCHED: usize = 16;

impl Bindings {
    /// At most `limit` bindings, beside those of every document.
    pub(super) fn new(limit: usize) -> Self {
        let mut this = Self { bound: Vec::new(), positions: HashMap::new(), limit: 2, version: 0 };
        this.push("", Namespace::None, 0);
        this.push("xml", Namespace::Foreign, 0);
        this.limit += limit;
        this
    }

    /// Binds a prefix in the element at `depth`.
    ///
    /// # Errors
    ///
    /// [`Fault::TooManyNamespaces`].
    pub(super) fn bind(&mut self, prefix: &str, uri: &str, depth: usize) -> Result<(), Fault> {
        if self.bound.len() >= self.limit {
            return Err(Fault::TooManyNamespaces { limit: self.limit - 2 });
        }
        self.push(prefix, Namespace::of(uri), depth);
        Ok(())
    }

    fn push(&mut self, prefix: &str, namespace: Namespace, depth: usize) {
        self.version += 1;
        self.positions.entry(prefix.into()).or_default().push(self.bound.len());
        self.bound.push(Binding { prefix: prefix.into(), namespace, depth });
    }

    /// Changes when a prefix may resolve to something else.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Removes the bindings of elements deeper than `depth`.
    #[inline]
    pub(super) fn leave(&mut self, depth: usize) {
        while self.bound.last().is_some_and(|binding| binding.depth > depth) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(binding) = self.bound.pop() else { return };
        self.version += 1;
        if let Some(positions) = self.positions.get_mut(&binding.prefix) {
            positions.pop();
            if positions.is_empty() {
                self.positions.remove(&binding.prefix);
            }
        }
    }

    #[inline]
    pub(super) fn resolve(&self, prefix: &str) -> Option<Namespace> {
        if self.bound.len() > SEARCHED {
            let position = *self.positions.get(prefix)?.last()?;
            return Some(self.bound[position].namespace);
        }
        // Compared byte by byte: prefixes are too short to justify the call of `==`.
        let same_prefix = |binding: &&Binding| binding.prefix.bytes().eq(prefix.bytes());
        self.bound.iter().rev().find(same_prefix).map(|binding| binding.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_binding_counts_in_a_short_list_and_in_a_long_one() {
        for others in [0, SEARCHED] {
            let mut bindings = Bindings::new(SEARCHED + 2);
            for other in 0..others {
                bindings.bind(&format!("o{other}"), "x", 1).unwrap();
            }
            bindings.bind("p", "http://www.w3.org/2003/05/soap-envelope", 1).unwrap();
            bindings.bind("p", "", 2).unwrap();
            assert_eq!(bindings.resolve("p"), Some(Namespace::None), "{others}");
            bindings.leave(1);
            assert_eq!(bindings.resolve("p"), Some(Namespace::Soap), "{others}");
            bindings.leave(0);
            assert_eq!((bindings.resolve("p"), bindings.resolve("xml")), (None, Some(Namespace::Foreign)));
        }
    }
}
