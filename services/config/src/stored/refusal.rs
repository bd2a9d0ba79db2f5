//! The stored format of the logs of refused writes and of audited reads, and of the last uses of keys. Separate from the changes, because a
//! record of a later release stops nothing here: no state results from it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dataflow_proto::config::v1 as pb;
use prost::Message;

use crate::audited_read::AuditedRead;
use crate::bounded_log::{Entry, Unreadable};
use crate::convert;
use crate::refusal::Refusal;

/// The version of these formats that this release writes, and the newest that it reads.
const STORED_VERSION: u32 = 1;

/// When keys were last used, in whole seconds, by their identifiers.
pub(crate) type Uses = BTreeMap<String, SystemTime>;

impl Entry for Refusal {
    fn time(&self) -> SystemTime {
        self.time
    }

    fn tenant(&self) -> &str {
        &self.tenant
    }

    fn subject(&self) -> &str {
        &self.subject
    }

    fn encode(refusals: &[Self]) -> Bytes {
        let refusals = refusals.iter().map(convert::refusal::to_wire).collect();
        pb::StoredRefusals { format: STORED_VERSION, refusals }.encode_to_vec().into()
    }

    fn decode(record: Bytes) -> Result<Vec<Self>, Unreadable> {
        let stored = pb::StoredRefusals::decode(record).map_err(malformed)?;
        check(stored.format)?;
        let refusals = stored.refusals.into_iter().enumerate();
        let read = refusals.map(|(index, refusal)| convert::refusal::from_wire(refusal, index));
        read.collect::<Result<_, _>>().map_err(malformed)
    }
}

impl Entry for AuditedRead {
    fn time(&self) -> SystemTime {
        self.time
    }

    fn tenant(&self) -> &str {
        &self.tenant
    }

    fn subject(&self) -> &str {
        &self.subject
    }

    fn encode(reads: &[Self]) -> Bytes {
        let reads = reads.iter().map(convert::audited_read::to_wire).collect();
        pb::StoredReads { format: STORED_VERSION, reads }.encode_to_vec().into()
    }

    fn decode(record: Bytes) -> Result<Vec<Self>, Unreadable> {
        let stored = pb::StoredReads::decode(record).map_err(malformed)?;
        check(stored.format)?;
        stored
            .reads
            .into_iter()
            .map(convert::audited_read::from_wire)
            .collect::<Result<_, _>>()
            .map_err(malformed)
    }
}

/// Encodes when keys were last used.
pub(crate) fn encode_uses(uses: &Uses) -> Bytes {
    let seconds = |time: &SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    let last_use_seconds = uses.iter().map(|(key, time)| (key.clone(), seconds(time))).collect();
    pb::StoredKeyUses { format: STORED_VERSION, last_use_seconds }.encode_to_vec().into()
}

/// Decodes when keys were last used.
pub(crate) fn decode_uses(value: Bytes) -> Result<Uses, Unreadable> {
    let stored = pb::StoredKeyUses::decode(value).map_err(malformed)?;
    check(stored.format)?;
    let time = |seconds: i64| {
        let seconds = Duration::from_secs(u64::try_from(seconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    let uses = stored.last_use_seconds.into_iter();
    Ok(uses.filter_map(|(key, seconds)| Some((key, time(seconds)?))).collect())
}

fn check(format: u32) -> Result<(), Unreadable> {
    if format > STORED_VERSION {
        return Err(Unreadable::Format { found: format, known: STORED_VERSION });
    }
    Ok(())
}

fn malformed(error: impl std::fmt::Display) -> Unreadable {
    Unreadable::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of release 0.1.0.
    const REFUSALS: &[u8] = b"\x08\x01\x12\x40\x0a\x02\x08\x07\x12\x03ada\x1a\x04acme\x22\x03k-1\
        \x2a\x0b127.0.0.1:9\x32\x03r-1\x3a\x05a.B/C\x42\x07ABORTED\x4a\x06REASON\x50\x03";
    const READS: &[u8] = b"\x08\x01\x12\x3f\x0a\x02\x08\x07\x12\x07key:k-1\x1a\x04acme\x22\x03k-1\
        \x2a\x0b127.0.0.1:9\x32\x03r-1\x3a\x0bKEYS_LISTED\x42\x04keys\x48\x03";
    const USES: &[u8] = b"\x08\x01\x12\x07\x0a\x03k-1\x10\x07";

    fn refusal() -> Refusal {
        Refusal {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(7),
            subject: "ada".to_owned(),
            tenant: "acme".to_owned(),
            key_id: "k-1".to_owned(),
            peer: "127.0.0.1:9".to_owned(),
            request_id: "r-1".to_owned(),
            method: "a.B/C".to_owned(),
            code: "ABORTED".to_owned(),
            reason: "REASON".to_owned(),
            left_out: 3,
        }
    }

    fn read() -> AuditedRead {
        AuditedRead {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(7),
            subject: "key:k-1".to_owned(),
            tenant: "acme".to_owned(),
            peer: "127.0.0.1:9".to_owned(),
            request_id: "r-1".to_owned(),
            action: "KEYS_LISTED".to_owned(),
            resource: "keys".to_owned(),
            left_out: 3,
        }
    }

    fn uses() -> Uses {
        BTreeMap::from([("k-1".to_owned(), SystemTime::UNIX_EPOCH + Duration::from_secs(7))])
    }

    #[test]
    fn the_formats_are_those_of_the_earlier_release() {
        assert_eq!(Refusal::encode(&[refusal()]), REFUSALS);
        assert_eq!(Refusal::decode(Bytes::from_static(REFUSALS)), Ok(vec![refusal()]));
        assert_eq!(AuditedRead::encode(&[read()]), READS);
        assert_eq!(AuditedRead::decode(Bytes::from_static(READS)), Ok(vec![read()]));
        assert_eq!(encode_uses(&uses()), USES);
        assert_eq!(decode_uses(Bytes::from_static(USES)), Ok(uses()));
    }

    #[test]
    fn records_of_a_later_release_are_recognized() {
        let later = |record: &[u8]| Bytes::from([b"\x08\x02", &record[2..]].concat());
        let expected = Unreadable::Format { found: 2, known: 1 };
        assert_eq!(Refusal::decode(later(REFUSALS)), Err(expected.clone()));
        assert_eq!(AuditedRead::decode(later(READS)), Err(expected.clone()));
        assert_eq!(decode_uses(later(USES)), Err(expected));
        let fields = |record: &[u8]| Bytes::from([record, b"\x9a\x06\x01x"].concat());
        assert_eq!(Refusal::decode(fields(REFUSALS)), Ok(vec![refusal()]), "unknown fields are ignored");
        assert_eq!(AuditedRead::decode(fields(READS)), Ok(vec![read()]));
        assert_eq!(decode_uses(fields(USES)), Ok(uses()));
        assert!(matches!(Refusal::decode(Bytes::from_static(b"\xff")), Err(Unreadable::Malformed(_))));
        assert!(matches!(AuditedRead::decode(Bytes::from_static(b"\xff")), Err(Unreadable::Malformed(_))));
        assert!(matches!(decode_uses(Bytes::from_static(b"\xff")), Err(Unreadable::Malformed(_))));
    }
}
