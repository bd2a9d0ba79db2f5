//! A content as it is read from the store: its dataflows stay encoded until they are needed, because most of what a
//! difference compares is the same.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

use bytes::Bytes;
use dataflow_sdmx::Reference;
use flate2::read::ZlibDecoder;
use sha2::{Digest, Sha256};

use super::part::{self, Kind};
use super::{Unreadable, artefact, dataflow};
use crate::content::{ListedDataflow, Structure, StructureHash, Theme};

/// See the module.
#[derive(Debug, Default)]
pub struct Packed {
    bytes: Vec<u8>,
    /// In ascending order of agency, identifier and version.
    dataflows: Vec<Listed>,
    themes: Vec<Theme>,
    /// The first of several with one identity.
    structures: HashMap<Reference, Structure>,
    /// Likewise.
    codelists: HashMap<Reference, u64>,
}

/// A dataflow in a content.
#[derive(Debug)]
struct Listed {
    identity: Reference,
    place: Range<usize>,
}

/// Decompresses the chunks of a content that has so many bytes.
///
/// # Errors
///
/// [`Unreadable`].
pub fn decompress(chunks: &[Bytes], bytes: u64) -> Result<Vec<u8>, Unreadable> {
    let compressed = chunks.iter().fold(Vec::new(), |mut all, chunk| {
        all.extend_from_slice(chunk);
        all
    });
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default().saturating_add(1));
    let mut read = ZlibDecoder::new(compressed.as_slice()).take(bytes.saturating_add(1));
    read.read_to_end(&mut content).map_err(|error| Unreadable::Malformed(error.to_string()))?;
    if content.len() as u64 != bytes {
        return Err(Unreadable::Malformed(format!("the content does not have {bytes} bytes")));
    }
    Ok(content)
}

/// The hash of a content.
pub fn hash(content: &[u8]) -> StructureHash {
    Sha256::digest(content).into()
}

// === impl Packed ===

impl Packed {
    /// Reads a content.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, Unreadable> {
        let mut packed = Self::default();
        let mut at = 0;
        while let Some((kind, place)) = part::next(&bytes, at)? {
            at = place.end;
            let message = &bytes[place.clone()];
            match kind {
                Some(Kind::Dataflow) => {
                    packed.dataflows.push(Listed { identity: dataflow::identity(message)?, place });
                }
                Some(Kind::Theme) => packed.themes.push(artefact::read_theme(message)?),
                Some(Kind::Structure) => {
                    let structure = artefact::read_structure(message)?;
                    packed.structures.entry(structure.identity.clone()).or_insert(structure);
                }
                Some(Kind::Codelist) => {
                    let (identity, codes) = artefact::read_codelist(message)?;
                    packed.codelists.entry(identity).or_insert(codes);
                }
                // Of interest to those who need the sizes of dataflows.
                Some(Kind::Constraint) | None => {}
            }
        }
        packed.bytes = bytes;
        Ok(packed)
    }

    /// The number of dataflows.
    pub fn len(&self) -> usize {
        self.dataflows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.dataflows.is_empty()
    }

    /// The identity of a dataflow.
    pub fn identity(&self, index: usize) -> &Reference {
        &self.dataflows[index].identity
    }

    /// The bytes of a dataflow: the same for the same one in contents with the same themes.
    pub fn raw(&self, index: usize) -> &[u8] {
        &self.bytes[self.dataflows[index].place.clone()]
    }

    /// A dataflow.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn dataflow(&self, index: usize) -> Result<ListedDataflow, Unreadable> {
        dataflow::decode(self.raw(index))
    }

    /// The themes, by the numbers in links.
    pub fn themes(&self) -> &[Theme] {
        &self.themes
    }

    /// The data structures, in no particular order.
    pub fn structures(&self) -> impl Iterator<Item = &Structure> {
        self.structures.values()
    }

    /// The data structure with this identity.
    pub fn structure(&self, identity: &Reference) -> Option<&Structure> {
        self.structures.get(identity)
    }

    /// The number of codes of a code list; `None` if it is in no document.
    pub fn codes(&self, identity: &Reference) -> Option<u64> {
        self.codelists.get(identity).copied()
    }
}

#[cfg(test)]
mod tests;
