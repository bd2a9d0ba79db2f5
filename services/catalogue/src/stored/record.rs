//! The record of a snapshot.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dataflow_proto::catalogue::v1 as pb;
use dataflow_store::collections::ContentId;
use prost::Message;

use super::{STORED_VERSION, Unreadable};
use crate::content::{Counts, StructureHash};

/// The most receipts of a snapshot that are kept: the first one, and the last others.
pub const MOST_RECEIPTS: usize = 16;

/// A snapshot without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The hash of the content.
    pub hash: StructureHash,
    /// What it has.
    pub counts: Counts,
    /// The content in the store.
    pub content: ContentId,
    /// The number of its chunks.
    pub chunks: u32,
    /// The bytes of its chunks.
    pub stored_bytes: u64,
    /// Its bytes before it was compressed.
    pub content_bytes: u64,
    /// Orders the snapshots of a tenant by their last receipts.
    pub sequence: u64,
    /// Never empty; oldest first.
    pub receipts: Vec<Receipt>,
    /// Receipts after the first one that are no longer kept.
    pub receipts_omitted: u32,
}

/// The proof of one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// When.
    pub time: SystemTime,
    /// The request.
    pub request_id: String,
    /// The documents, in the order in which they were sent.
    pub documents: Vec<Document>,
    /// Warnings of the parser.
    pub warnings: u32,
    /// Whether the content was empty, or much smaller than the one before.
    pub suspicious: bool,
    /// What the registry states of the provider's terms.
    pub terms: Terms,
}

/// The terms of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The licence.
    pub license: String,
    /// The address of the terms of use.
    pub terms_url: String,
    /// How the provider wishes to be named.
    pub attribution: String,
}

/// A document as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The name of its file, or its address.
    pub source: String,
    /// Its bytes as they were sent.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

// === impl Record ===

impl Record {
    /// The identifier of the snapshot within its provider.
    pub fn snapshot_id(&self) -> String {
        snapshot_id(&self.hash)
    }

    /// The last receipt.
    pub fn last(&self) -> &Receipt {
        self.receipts.last().expect("a record has a receipt")
    }

    /// Adds a receipt.
    pub fn receive(&mut self, receipt: Receipt) {
        self.receipts.push(receipt);
        if self.receipts.len() > MOST_RECEIPTS {
            self.receipts.remove(1);
            self.receipts_omitted += 1;
        }
    }

    /// Encodes the record.
    pub fn encode(&self) -> Bytes {
        let stored = pb::StoredSnapshot {
            format: STORED_VERSION,
            structure_hash: Bytes::copy_from_slice(&self.hash),
            content: self.content.to_string(),
            chunks: self.chunks,
            stored_bytes: self.stored_bytes,
            content_bytes: self.content_bytes,
            dataflows: self.counts.dataflows,
            themes: self.counts.themes,
            structures: self.counts.structures,
            constraints: self.counts.constraints,
            sequence: self.sequence,
            receipts: self.receipts.iter().map(Into::into).collect(),
            receipts_omitted: self.receipts_omitted,
        };
        stored.encode_to_vec().into()
    }

    /// Decodes a record.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn decode(record: Bytes) -> Result<Self, Unreadable> {
        let stored = pb::StoredSnapshot::decode(record)?;
        if stored.format > STORED_VERSION {
            return Err(Unreadable::Format { found: stored.format });
        }
        let malformed = |what: &str| Unreadable::Malformed(what.to_owned());
        let receipts = stored.receipts.into_iter().map(Receipt::try_from).collect::<Result<Vec<_>, _>>()?;
        if receipts.is_empty() {
            return Err(malformed("a record without a receipt"));
        }
        Ok(Self {
            hash: digest(&stored.structure_hash)?,
            counts: Counts {
                dataflows: stored.dataflows,
                themes: stored.themes,
                structures: stored.structures,
                constraints: stored.constraints,
            },
            content: stored.content.parse().map_err(|_| malformed("a record without a content"))?,
            chunks: stored.chunks,
            stored_bytes: stored.stored_bytes,
            content_bytes: stored.content_bytes,
            sequence: stored.sequence,
            receipts,
            receipts_omitted: stored.receipts_omitted,
        })
    }
}

/// The identifier of the snapshot with this content: 96 bits of its hash.
pub fn snapshot_id(hash: &StructureHash) -> String {
    format!("s-{}", hex(&hash[..12]))
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], Unreadable> {
    bytes.try_into().map_err(|_| Unreadable::Malformed("a digest that has not 32 bytes".to_owned()))
}

// === impl Receipt ===

impl From<&Receipt> for pb::StoredReceipt {
    fn from(receipt: &Receipt) -> Self {
        let Receipt { time, request_id, documents, warnings, suspicious, terms } = receipt;
        let document = |document: &Document| pb::StoredDocument {
            source: document.source.clone(),
            bytes: document.bytes,
            sha256: Bytes::copy_from_slice(&document.sha256),
        };
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let Terms { license, terms_url, attribution } = terms.clone();
        Self {
            time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            request_id: request_id.clone(),
            documents: documents.iter().map(document).collect(),
            warnings: *warnings,
            suspicious: *suspicious,
            license,
            terms_url,
            attribution,
        }
    }
}

impl TryFrom<pb::StoredReceipt> for Receipt {
    type Error = Unreadable;

    fn try_from(stored: pb::StoredReceipt) -> Result<Self, Unreadable> {
        let document = |stored: pb::StoredDocument| {
            let pb::StoredDocument { source, bytes, sha256 } = stored;
            Ok::<_, Unreadable>(Document { source, bytes, sha256: digest(&sha256)? })
        };
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(stored.time_ms));
        let (license, terms_url, attribution) = (stored.license, stored.terms_url, stored.attribution);
        Ok(Self {
            time: time.ok_or_else(|| Unreadable::Malformed("a time beyond all clocks".to_owned()))?,
            request_id: stored.request_id,
            documents: stored.documents.into_iter().map(document).collect::<Result<_, _>>()?,
            warnings: stored.warnings,
            suspicious: stored.suspicious,
            terms: Terms { license, terms_url, attribution },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn record() -> Record {
        let document = Document { source: "a.xml".to_owned(), bytes: 3, sha256: [2; 32] };
        let receipt = Receipt {
            time: UNIX_EPOCH + Duration::from_secs(7),
            request_id: "r".to_owned(),
            documents: vec![document],
            warnings: 1,
            suspicious: true,
            terms: Terms { license: "CC BY 4.0".to_owned(), ..Terms::default() },
        };
        Record {
            hash: [0xab; 32],
            counts: Counts { dataflows: 4, themes: 3, structures: 2, constraints: 1 },
            content: "0123456789abcdef".parse().unwrap(),
            chunks: 2,
            stored_bytes: 300,
            content_bytes: 1_000,
            sequence: 9,
            receipts: vec![receipt],
            receipts_omitted: 0,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let written = record();
        assert_eq!(Record::decode(written.encode()), Ok(written.clone()));
        assert_eq!(written.snapshot_id(), format!("s-{}", "ab".repeat(12)));
        let check = |change: fn(&mut pb::StoredSnapshot), expected: &str| {
            let mut stored = pb::StoredSnapshot::decode(record().encode()).unwrap();
            change(&mut stored);
            let error = Record::decode(stored.encode_to_vec().into()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(|stored| stored.format = 2, "format version 2, this release reads up to 1");
        check(|stored| stored.receipts.clear(), "without a receipt");
        check(|stored| stored.content.clear(), "without a content");
        check(|stored| stored.structure_hash = "x".into(), "32 bytes");
        assert!(Record::decode("plain text".into()).is_err());
    }

    #[test]
    fn the_first_receipt_and_the_last_ones_are_kept() {
        let mut record = record();
        for second in 1..=100 {
            let time = UNIX_EPOCH + Duration::from_secs(1_000 + second);
            record.receive(Receipt { time, ..record.receipts[0].clone() });
        }
        assert_eq!((record.receipts.len(), record.receipts_omitted), (MOST_RECEIPTS, 85));
        let seconds = |receipt: &Receipt| receipt.time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds(&record.receipts[0]), 7);
        assert!(record.receipts[1..].iter().map(seconds).eq(1_086..=1_100));
    }
}
