//! The stored format of values, the same in Redis and in the embedded database.

use bytes::Bytes;
use dataflow_proto::store::v1 as pb;
use prost::Message;

use crate::error::Error;
use crate::key::Key;
use crate::revision::Revision;

/// The format version that this release writes, and the newest that it reads.
const STORED_VERSION: u32 = 1;

/// The position of the revision's bytes in an encoded record.
pub(crate) const REVISION: std::ops::Range<usize> = 1..9;

/// Encodes a value and its revision.
pub(crate) fn encode(revision: Revision, value: Bytes) -> Vec<u8> {
    pb::Record { revision: revision.number(), format: STORED_VERSION, value }.encode_to_vec()
}

/// Decodes a record.
///
/// # Errors
///
/// [`Error::Unreadable`], naming `key`.
pub(crate) fn decode(key: &Key, record: Bytes) -> Result<(Revision, Bytes), Error> {
    let unreadable = |problem: String| Error::Unreadable { key: key.to_string(), problem };
    let record = pb::Record::decode(record).map_err(|error| unreadable(error.to_string()))?;
    if record.format > STORED_VERSION {
        return Err(unreadable(format!(
            "format version {}, this release reads up to {STORED_VERSION}",
            record.format
        )));
    }
    let revision = Revision::new(record.revision).ok_or_else(|| unreadable("no revision".to_owned()))?;
    Ok((revision, record.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Space;

    fn key() -> Key {
        Space::durable("test").key("a")
    }

    /// A record of release 0.1.0: revision 0x0123456789abcdef and the value `hello`.
    const RELEASE_0_1_0: &[u8] = b"\x09\xef\xcd\xab\x89\x67\x45\x23\x01\x10\x01\x1a\x05hello";

    #[test]
    fn a_record_of_an_earlier_release_is_read() {
        let (revision, value) = decode(&key(), Bytes::from_static(RELEASE_0_1_0)).unwrap();
        assert_eq!((revision.number(), &value[..]), (0x0123_4567_89ab_cdef, &b"hello"[..]));
    }

    #[test]
    fn the_encoding_is_that_of_the_earlier_release() {
        let revision = Revision::new(0x0123_4567_89ab_cdef).unwrap();
        let record = encode(revision, Bytes::from_static(b"hello"));
        assert_eq!(record, RELEASE_0_1_0);
        assert_eq!(record[REVISION], revision.number().to_le_bytes());
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let later = [RELEASE_0_1_0, b"\x22\x03new"].concat();
        assert_eq!(&decode(&key(), later.into()).unwrap().1[..], b"hello");
    }

    #[test]
    fn the_error_of_an_unreadable_record_names_the_key() {
        let check = |record: &[u8], expected: &str| {
            let error = decode(&key(), Bytes::copy_from_slice(record)).unwrap_err().to_string();
            assert!(error.starts_with("the value of test:a cannot be read: "), "{error}");
            assert!(error.contains(expected), "{error}");
        };
        check(&[&RELEASE_0_1_0[..10], &b"\x02"[..]].concat(), "format version 2, this release reads up to 1");
        check(b"\x10\x01", "no revision");
        check(&RELEASE_0_1_0[..RELEASE_0_1_0.len() - 1], "");
        check(b"plain text", "");
    }
}
