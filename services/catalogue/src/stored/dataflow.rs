//! The stored form of dataflows.

use dataflow_proto::catalogue::v1 as pb;
use dataflow_sdmx::{
    Annotation, Dataflow, ExternalReference, Facts, Flag, Position, Reference, StructureReference,
};
use prost::Message;

use super::Unreadable;
use super::artefact::{read_reference, read_texts, read_time, texts, time};
use crate::content::{Link, ListedDataflow};

/// The flags by their numbers in the contract.
const FLAGS: [(Flag, u32); 4] =
    [(Flag::Hidden, 1), (Flag::NonProduction, 2), (Flag::FileOnly, 3), (Flag::External, 4)];

/// The identity of a stored dataflow, to read that alone.
#[derive(Clone, PartialEq, Message)]
struct Identified {
    #[prost(message, optional, tag = "1")]
    identity: Option<pb::StoredReference>,
}

/// Encodes a dataflow without its links. These are its last field, so that they can be appended.
pub(super) fn encode(dataflow: &Dataflow) -> Vec<u8> {
    let Dataflow { id, agency_id, version, structure, external, .. } = dataflow;
    let identity =
        pb::StoredReference { agency_id: agency_id.clone(), id: id.clone(), version: version.clone() };
    let structure = structure.as_ref().map(|structure| {
        let StructureReference { agency_id, id, version } = structure.clone();
        pb::StoredReference { agency_id, id, version }
    });
    let url = |url: fn(&ExternalReference) -> &Option<String>| {
        external.as_ref().and_then(|external| url(external).clone()).unwrap_or_default()
    };
    let mut annotations: Vec<_> = dataflow.annotations.iter().map(annotation).collect();
    annotations.sort_by_cached_key(Message::encode_to_vec);
    let has = |flag: &Flag| dataflow.facts.flags.contains(flag);
    let stored = pb::StoredDataflow {
        identity: Some(identity),
        names: texts(&dataflow.names),
        descriptions: texts(&dataflow.descriptions),
        structure,
        is_final: dataflow.is_final,
        external: external.is_some(),
        structure_url: url(|external| &external.structure_url),
        service_url: url(|external| &external.service_url),
        annotations,
        flags: FLAGS.iter().filter(|(flag, _)| has(flag)).map(|(_, number)| *number).collect(),
        links: Vec::new(),
    };
    stored.encode_to_vec()
}

fn annotation(annotation: &Annotation) -> pb::StoredAnnotation {
    let Annotation { id, kind, title, url, texts: own, value } = annotation;
    pb::StoredAnnotation {
        id: id.clone(),
        kind: kind.clone(),
        title: title.clone(),
        url: url.clone(),
        texts: texts(own),
        value: value.clone(),
    }
}

/// Encodes the links of a dataflow, which are in ascending order.
pub(super) fn encode_links(links: &[Link]) -> Vec<u8> {
    let link = |link: &Link| pb::StoredLink {
        theme: link.theme,
        version: link.version.clone(),
        ends: link.ends.map(time),
    };
    pb::StoredDataflow { links: links.iter().map(link).collect(), ..Default::default() }.encode_to_vec()
}

/// Decodes the identity alone.
pub(super) fn identity(bytes: &[u8]) -> Result<Reference, Unreadable> {
    Ok(read_reference(Identified::decode(bytes)?.identity))
}

/// Decodes a dataflow with its links.
pub(super) fn decode(bytes: &[u8]) -> Result<ListedDataflow, Unreadable> {
    let stored = pb::StoredDataflow::decode(bytes)?;
    let Reference { agency_id, id, version } = read_reference(stored.identity);
    let structure = stored.structure.map(|stored| {
        let pb::StoredReference { agency_id, id, version } = stored;
        StructureReference { agency_id, id, version }
    });
    let url = |url: String| Some(url).filter(|url| !url.is_empty());
    let external = stored.external.then(|| ExternalReference {
        structure_url: url(stored.structure_url),
        service_url: url(stored.service_url),
    });
    let flags = FLAGS.iter().filter(|(_, number)| stored.flags.contains(number));
    let facts = Facts { flags: flags.map(|(flag, _)| *flag).collect(), ..Facts::default() };
    let annotation = |stored: pb::StoredAnnotation| Annotation {
        id: stored.id,
        kind: stored.kind,
        title: stored.title,
        url: stored.url,
        texts: read_texts(stored.texts),
        value: stored.value,
    };
    let link = |stored: pb::StoredLink| Link {
        theme: stored.theme,
        version: stored.version,
        ends: stored.ends.map(read_time),
    };
    let dataflow = Dataflow {
        id,
        agency_id,
        version,
        names: read_texts(stored.names),
        descriptions: read_texts(stored.descriptions),
        structure,
        is_final: stored.is_final,
        external,
        facts,
        annotations: stored.annotations.into_iter().map(annotation).collect(),
        legacy: None,
        position: Position::START,
    };
    Ok(ListedDataflow { dataflow, links: stored.links.into_iter().map(link).collect() })
}
