//! Conversion between the wire and the domain.

use std::collections::BTreeMap;
use std::time::SystemTime;

use dataflow_proto::catalogue::v1 as pb;
use dataflow_sdmx::Localized;

use crate::Error;
use crate::diff::{Change, Detail, Diff, Field, Kind, Reason};
use crate::stored::record::{Document, Receipt, Record, Terms, hex};

/// Longest identifier of a provider, in bytes, as in the registry.
const MAX_PROVIDER: usize = 32;

/// Longest name of a document, in bytes.
pub(crate) const MAX_SOURCE: usize = 1024;

/// The number of snapshots on a page without a size, and the largest one.
const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// The language of a text that states none (BCP 47, "undetermined").
const UNDETERMINED: &str = "und";

// === in ===

/// Validates the identifier of a provider.
pub(crate) fn provider(given: &str) -> Result<&str, Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if given.is_empty() || given.len() > MAX_PROVIDER || !given.bytes().all(is_plain) {
        return Err(invalid(
            "provider",
            format!("must be 1 to {MAX_PROVIDER} characters of A-Z a-z 0-9 _ . -"),
        ));
    }
    Ok(given)
}

/// Validates the name of a document.
pub(crate) fn source(given: &str) -> Result<(), Error> {
    if given.len() > MAX_SOURCE {
        return Err(invalid("source", format!("must be at most {MAX_SOURCE} bytes, is {}", given.len())));
    }
    Ok(())
}

/// A page of records, the last received first, and the token of the next page.
pub(crate) fn page(records: Vec<Record>, (size, token): (i32, &str)) -> Result<(Vec<Record>, String), Error> {
    let size = match usize::try_from(size) {
        Ok(0) => DEFAULT_PAGE,
        Ok(size) if size <= MAX_PAGE => size,
        _ => return Err(invalid("page_size", format!("must be from 0 to {MAX_PAGE}, is {size}"))),
    };
    // A token is the sequence of the last one on its page, after which those follow that were received before it.
    let before = match token {
        "" => u64::MAX,
        token => {
            let sequence = u64::from_str_radix(token, 16);
            sequence.map_err(|_| invalid("page_token", "was not issued by this service".to_owned()))?
        }
    };
    let mut rest = records.into_iter().filter(|record| record.sequence < before);
    let page: Vec<_> = rest.by_ref().take(size).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    let next = last.map(|record| format!("{:016x}", record.sequence)).unwrap_or_default();
    Ok((page, next))
}

fn invalid(field: &str, problem: String) -> Error {
    Error::FieldInvalid { field: field.to_owned(), problem }
}

// === out ===

/// A snapshot of a provider.
pub(crate) fn snapshot(provider: &str, record: &Record) -> pb::Snapshot {
    let last = record.last();
    pb::Snapshot {
        snapshot_id: record.snapshot_id(),
        provider: provider.to_owned(),
        structure_hash: hash(&record.hash),
        dataflows: number(record.counts.dataflows),
        themes: number(record.counts.themes),
        structures: number(record.counts.structures),
        constraints: number(record.counts.constraints),
        stored_bytes: i64::try_from(record.stored_bytes).unwrap_or(i64::MAX),
        create_time: timestamp(record.receipts[0].time),
        receive_time: timestamp(last.time),
        suspicious: last.suspicious,
        receipts: record.receipts.iter().map(Into::into).collect(),
        receipts_omitted: number(record.receipts_omitted),
    }
}

/// A structure hash in words.
pub(crate) fn hash(hash: &[u8]) -> String {
    format!("sha256:{}", hex(hash))
}

impl From<&Receipt> for pb::Receipt {
    fn from(receipt: &Receipt) -> Self {
        let Receipt { time, request_id, documents, warnings, suspicious, terms } = receipt;
        let document = |document: &Document| pb::ReceivedDocument {
            source: document.source.clone(),
            bytes: i64::try_from(document.bytes).unwrap_or(i64::MAX),
            sha256: hex(&document.sha256),
        };
        let Terms { license, terms_url, attribution } = terms.clone();
        Self {
            time: timestamp(*time),
            request_id: request_id.clone(),
            documents: documents.iter().map(document).collect(),
            warnings: number(*warnings),
            suspicious: *suspicious,
            license,
            terms_url,
            attribution,
        }
    }
}

/// A difference, without the names of what was compared.
pub fn diff(diff: Diff) -> pb::Diff {
    let mut counts: BTreeMap<String, i32> =
        Kind::ALL.into_iter().map(|kind| (kind_to_wire(kind).as_str_name().to_owned(), 0)).collect();
    for change in &diff.changes {
        *counts.entry(kind_to_wire(change.kind).as_str_name().to_owned()).or_default() += 1;
    }
    pb::Diff {
        counts,
        changes: diff.changes.into_iter().map(Into::into).collect(),
        not_compared: diff.not_compared.into_iter().map(|kind| kind_to_wire(kind).into()).collect(),
        other_changes: number(diff.other_changes),
        ..pb::Diff::default()
    }
}

fn kind_to_wire(kind: Kind) -> pb::change::Kind {
    match kind {
        Kind::Added => pb::change::Kind::Added,
        Kind::Removed => pb::change::Kind::Removed,
        Kind::Renamed => pb::change::Kind::Renamed,
        Kind::VersionChanged => pb::change::Kind::VersionChanged,
        Kind::StructureChanged => pb::change::Kind::StructureChanged,
        Kind::Rethemed => pb::change::Kind::Rethemed,
        Kind::Hidden => pb::change::Kind::Hidden,
        Kind::Shown => pb::change::Kind::Shown,
        Kind::AnnotationsChanged => pb::change::Kind::AnnotationsChanged,
        Kind::StructureContentChanged => pb::change::Kind::StructureContentChanged,
        Kind::CategoryChanged => pb::change::Kind::CategoryChanged,
        Kind::Succeeded => pb::change::Kind::Succeeded,
    }
}

impl From<Change> for pb::Change {
    fn from(change: Change) -> Self {
        let Change { kind, agency_id, id, version, names, detail } = change;
        let mut wire = Self {
            kind: kind_to_wire(kind).into(),
            id,
            agency_id,
            version,
            names: texts(names),
            ..Self::default()
        };
        match detail {
            Detail::None => {}
            Detail::Fields(fields) => {
                let field = |Field { field, before, after }| pb::change::Field { field, before, after };
                wire.fields = fields.into_iter().map(field).collect();
            }
            Detail::Succession(succession) => {
                wire.successor = succession.successor;
                wire.reasons = succession.reasons.into_iter().map(reason_to_wire).collect();
            }
        }
        wire
    }
}

fn reason_to_wire(reason: Reason) -> i32 {
    let reason = match reason {
        Reason::SameName => pb::change::SuccessionReason::SameName,
        Reason::SimilarName => pb::change::SuccessionReason::SimilarName,
        Reason::SameStructure => pb::change::SuccessionReason::SameStructure,
        Reason::SameFamily => pb::change::SuccessionReason::SameFamily,
    };
    reason.into()
}

fn texts(texts: Vec<Localized>) -> BTreeMap<String, String> {
    let tag = |language: String| if language.is_empty() { UNDETERMINED.to_owned() } else { language };
    texts.into_iter().map(|(language, text)| (tag(language), text)).collect()
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn timestamp(time: SystemTime) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp::from(time))
}
