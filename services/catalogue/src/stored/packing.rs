//! Packs what was read of a catalogue into a content: in an order that does not depend on the documents, hashed,
//! compressed, in chunks.

use std::collections::HashMap;
use std::io::{self, Write};

use bytes::Bytes;
use dataflow_sdmx::{Dataflow, Resolved, Structures};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

use super::part::{self, Kind};
use super::{artefact, dataflow};
use crate::content::{Counts, Link, StructureHash};

/// The size of a chunk in bytes, except the last one.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// The dataflows of a catalogue, packed one by one as they are read.
#[derive(Debug, Default)]
pub struct Packer {
    dataflows: Vec<Packed>,
}

/// A dataflow without its links.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packed {
    agency_id: String,
    id: String,
    version: String,
    bytes: Vec<u8>,
}

/// A whole content.
#[derive(Debug, Clone)]
pub struct PackedCatalogue {
    /// Its hash.
    pub hash: StructureHash,
    /// What it has.
    pub counts: Counts,
    /// Its bytes before it was compressed.
    pub content_bytes: u64,
    /// The content.
    pub chunks: Vec<Bytes>,
}

/// Hashes and compresses the parts.
struct Writer {
    hash: Sha256,
    compressed: ZlibEncoder<Chunks>,
    bytes: u64,
    part: Vec<u8>,
}

/// Cuts what is written into chunks.
#[derive(Default)]
struct Chunks {
    full: Vec<Bytes>,
    current: Vec<u8>,
}

// === impl Packer ===

impl Packer {
    /// Adds a dataflow. Returns the bytes that it takes.
    pub fn add(&mut self, dataflow: &Dataflow) -> usize {
        let bytes = dataflow::encode(dataflow);
        let size = bytes.len();
        let Dataflow { agency_id, id, version, .. } = dataflow;
        let (agency_id, id, version) = (agency_id.clone(), id.clone(), version.clone());
        self.dataflows.push(Packed { agency_id, id, version, bytes });
        size
    }

    /// Packs all of them, with the themes that they are assigned to and the other artefacts.
    pub fn finish(self, themes: &Resolved<'_>, structures: &Structures) -> PackedCatalogue {
        let mut dataflows = self.dataflows;
        // Duplicates differ in nothing but their encodings.
        dataflows.sort_unstable();
        let mut links = links(&dataflows, themes);
        let mut encoded: Vec<_> = themes.themes.iter().map(artefact::theme).enumerate().collect();
        encoded.sort_by(|(_, one), (_, other)| one.cmp(other));
        let mut numbers = vec![0; encoded.len()];
        for (number, (index, _)) in (0..).zip(&encoded) {
            numbers[*index] = number;
        }
        for of_one in links.values_mut() {
            of_one.iter_mut().for_each(|link| link.theme = numbers[link.theme as usize]);
            of_one.sort();
            of_one.dedup();
        }
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let counts = Counts {
            dataflows: count(dataflows.len()),
            themes: count(encoded.len()),
            structures: count(structures.data_structures().len()),
            constraints: count(structures.constraints().len()),
        };
        let codelists = structures.codelists().iter();
        let mut out = Writer::new();
        out.all(Kind::Theme, encoded.into_iter().map(|(_, theme)| theme).collect());
        out.all(Kind::Structure, structures.data_structures().iter().map(artefact::structure).collect());
        out.all(
            Kind::Codelist,
            codelists.map(|(identity, codes)| artefact::codelist(identity, *codes)).collect(),
        );
        out.all(Kind::Constraint, structures.constraints().iter().map(artefact::constraint).collect());
        for Packed { agency_id, id, bytes, .. } in &dataflows {
            let links = links.get(&(agency_id.as_str(), id.as_str()));
            let links = links.map_or_else(Vec::new, |links| dataflow::encode_links(links));
            out.part(Kind::Dataflow, bytes, &links);
        }
        out.finish(counts)
    }
}

/// The links of each dataflow, by its agency and identifier. A link that states no agency leads from the only dataflow
/// with its identifier; one that leads from none is left out.
fn links<'a>(dataflows: &'a [Packed], themes: &'a Resolved<'a>) -> HashMap<(&'a str, &'a str), Vec<Link>> {
    let mut agencies = HashMap::<&str, Vec<&str>>::new();
    let mut links = HashMap::<(&str, &str), Vec<Link>>::new();
    for Packed { agency_id, id, .. } in dataflows {
        links.entry((agency_id, id)).or_insert_with(|| {
            agencies.entry(id).or_default().push(agency_id);
            Vec::new()
        });
    }
    for link in &themes.links {
        let agency = match agencies.get(link.dataflow_id).map(Vec::as_slice) {
            Some([only]) if link.agency_id.is_empty() || only.is_empty() => only,
            _ => link.agency_id,
        };
        if let Some(of_one) = links.get_mut(&(agency, link.dataflow_id)) {
            let theme = u32::try_from(link.theme).unwrap_or(u32::MAX);
            of_one.push(Link { theme, version: link.version.to_owned(), ends: link.ends });
        }
    }
    links
}

// === impl Writer ===

impl Writer {
    fn new() -> Self {
        let compressed = ZlibEncoder::new(Chunks::default(), Compression::default());
        Self { hash: Sha256::new(), compressed, bytes: 0, part: Vec::new() }
    }

    /// Writes parts in ascending order.
    fn all(&mut self, kind: Kind, mut messages: Vec<Vec<u8>>) {
        messages.sort_unstable();
        messages.iter().for_each(|message| self.part(kind, message, &[]));
    }

    fn part(&mut self, kind: Kind, message: &[u8], rest: &[u8]) {
        self.part.clear();
        part::append(kind, message, rest, &mut self.part);
        self.hash.update(&self.part);
        self.bytes += self.part.len() as u64;
        self.compressed.write_all(&self.part).expect("memory does not fail");
    }

    fn finish(self, counts: Counts) -> PackedCatalogue {
        let Chunks { mut full, current } = self.compressed.finish().expect("memory does not fail");
        full.push(current.into());
        let hash = self.hash.finalize().into();
        PackedCatalogue { hash, counts, content_bytes: self.bytes, chunks: full }
    }
}

// === impl Chunks ===

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK_BYTES - self.current.len());
        self.current.extend_from_slice(&bytes[..count]);
        if self.current.len() == CHUNK_BYTES {
            self.full.push(std::mem::take(&mut self.current).into());
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl PackedCatalogue ===

impl PackedCatalogue {
    /// The bytes of its chunks.
    pub fn stored_bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }
}
