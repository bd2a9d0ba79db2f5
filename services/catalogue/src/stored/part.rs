//! The framing of a content: each part is preceded by its length.

use std::ops::Range;

use prost::bytes::Buf;
use prost::encoding::{WireType, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len};

use super::Unreadable;

/// The kinds of parts, by their field numbers in `StoredPart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Dataflow = 1,
    Theme = 2,
    Structure = 3,
    Codelist = 4,
    Constraint = 5,
}

/// The kind of a part, if this release knows it, and the place of its message.
pub(super) type Part = (Option<Kind>, Range<usize>);

/// Appends a part, whose message is in two pieces.
pub(super) fn append(kind: Kind, message: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    let (tag, length) = (kind as u32, (message.len() + rest.len()) as u64);
    encode_varint((key_len(tag) + encoded_len_varint(length)) as u64 + length, out);
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length, out);
    out.extend_from_slice(message);
    out.extend_from_slice(rest);
}

/// The next part of a content from a position on; `None` at the end. The part after it begins where it ends.
pub(super) fn next(content: &[u8], from: usize) -> Result<Option<Part>, Unreadable> {
    let mut rest = &content[from..];
    if rest.is_empty() {
        return Ok(None);
    }
    let length = decode_varint(&mut rest)?;
    let key = decode_varint(&mut rest)?;
    let message = decode_varint(&mut rest)?;
    let start = content.len() - rest.remaining();
    let message = usize::try_from(message).unwrap_or(usize::MAX);
    let end = start.checked_add(message).filter(|end| *end <= content.len());
    let end = end.ok_or_else(|| Unreadable::Malformed(format!("the part at byte {from} is cut short")))?;
    let head = encoded_len_varint(key) + encoded_len_varint(message as u64);
    if length != (head + message) as u64 {
        return Err(Unreadable::Malformed(format!("the part at byte {from} has another length")));
    }
    let kinds = [Kind::Dataflow, Kind::Theme, Kind::Structure, Kind::Codelist, Kind::Constraint];
    let kind = kinds.into_iter().find(|kind| key == (*kind as u64) << 3 | WireType::LengthDelimited as u64);
    Ok(Some((kind, start..end)))
}

#[cfg(test)]
mod tests {
    use dataflow_proto::catalogue::v1 as pb;
    use prost::Message;

    use super::*;

    #[test]
    fn a_part_is_the_message_of_the_contract() {
        let reference =
            |id: &str| Some(pb::StoredReference { id: id.to_owned(), ..pb::StoredReference::default() });
        let dataflow = pb::StoredDataflow { identity: reference("A"), ..pb::StoredDataflow::default() };
        let codelist = pb::StoredCodelist { identity: reference("CL"), codes: 7 };
        let parts = [
            pb::stored_part::Part::Dataflow(dataflow.clone()),
            pb::stored_part::Part::Codelist(codelist.clone()),
        ];
        let expected: Vec<u8> = parts
            .into_iter()
            .flat_map(|part| pb::StoredPart { part: Some(part) }.encode_length_delimited_to_vec())
            .collect();
        let mut found = Vec::new();
        let encoded = dataflow.encode_to_vec();
        append(Kind::Dataflow, &encoded[..3], &encoded[3..], &mut found);
        append(Kind::Codelist, &codelist.encode_to_vec(), &[], &mut found);
        assert_eq!(found, expected);
        let (kind, range) = next(&found, 0).unwrap().unwrap();
        assert_eq!((kind, &found[range.clone()]), (Some(Kind::Dataflow), &encoded[..]));
        let (kind, range) = next(&found, range.end).unwrap().unwrap();
        assert_eq!((kind, range.end), (Some(Kind::Codelist), found.len()));
        assert_eq!(next(&found, found.len()).unwrap(), None);
        for end in 1..found.len() {
            let cut = &found[..end];
            let first = next(cut, 0);
            let all = first.and_then(|part| part.map_or(Ok(None), |(_, range)| next(cut, range.end)));
            assert!(matches!(all, Err(_) | Ok(None)), "cut at {end}: {all:?}");
        }
    }

    #[test]
    fn a_part_of_an_unknown_kind_is_skipped() {
        let mut content = Vec::new();
        encode_varint(3, &mut content);
        encode_key(9, WireType::LengthDelimited, &mut content);
        encode_varint(1, &mut content);
        content.push(0);
        assert_eq!(next(&content, 0).unwrap(), Some((None, 3..4)));
    }
}
