//! Messages that cannot be written as they arrive.

use std::sync::Arc;

use super::conformance::schema;
use crate::preset::put_bytes;
use crate::wire::{WireType, put_tag, put_varint};
use crate::{IncrementalWriter, JsonWriter, ReplyProblem, Style, WireError};

/// The error of a message of this length, of which this much arrives, with the field that it names.
fn error(wire: &[u8], length: usize) -> Option<(String, ReplyProblem)> {
    let schema = Arc::new(schema());
    let id = schema.message_named("transcode.types.v1.Types").unwrap();
    let mut writer = IncrementalWriter::new(schema, id, None, Some(length), Style::default(), 1 << 24);
    let error = wire.chunks(1000).find_map(|piece| writer.feed(piece).err())?;
    Some((error.field(), error.problem().clone()))
}

fn number(field: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_tag(field, WireType::Varint, &mut out);
    put_varint(value, &mut out);
    out
}

fn text(field: u32, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(field, value, &mut out);
    out
}

#[test]
fn fields_in_another_order_are_an_error_that_names_the_late_one() {
    let check = |parts: &[Vec<u8>], late: Option<&str>| {
        let wire = parts.concat();
        let expected = late.map(|name| (name.to_owned(), ReplyProblem::Order));
        assert_eq!(error(&wire, wire.len()), expected, "{parts:?}");
    };
    check(&[number(1, 1), number(2, 2), text(10, b"a")], None);
    // The last value counts as long as none is written.
    check(&[number(1, 1), number(1, 2), text(10, b"a")], None);
    check(&[text(10, b"a"), number(1, 1)], None);
    check(&[text(10, b"a"), text(22, b""), number(1, 1), text(41, b"")], Some("optionalInt32"));
    check(&[text(21, b"a"), text(22, b""), text(21, b"b")], Some("repeatedString"));
    check(&[number(25, 1), text(21, b"a"), text(21, b"b"), number(63, 0)], None);
    check(&[text(15, b"a"), text(21, b"a"), number(25, 1)], Some("late"));
    // The last member of a oneof counts, as long as no other one is written.
    check(&[number(40, 1), text(41, b"a"), number(63, 0)], None);
    // A large message cannot be merged once it is written.
    let large = text(13, &text(10, &[b'x'; 40]));
    check(&[large.clone(), large], Some("nested"));
}

#[test]
fn a_oneof_may_come_where_its_first_member_would_be() {
    let wire = [number(25, 7), text(21, b"a"), number(63, 0)].concat();
    let schema = Arc::new(schema());
    let id = schema.message_named("transcode.types.v1.Types").unwrap();
    let mut whole = JsonWriter::new(&schema, Style::default(), 1 << 24);
    whole.message(id, &wire).unwrap();
    let (schema, style) = (Arc::clone(&schema), Style::default());
    let mut writer = IncrementalWriter::new(schema, id, None, Some(wire.len()), style, 1 << 24);
    wire.iter().for_each(|byte| writer.feed(&[*byte]).unwrap());
    assert_eq!(writer.take(), whole.take());
}

#[test]
fn what_must_be_held_back_has_a_limit() {
    let value = text(2, &[b'x'; 1000]);
    let entry = |key: u64| text(31, &[number(1, key), value.clone()].concat());
    let map = |entries: u64| (0..entries).flat_map(entry).collect::<Vec<u8>>();
    let (few, many) = (map(8_000), map(9_000));
    assert_eq!(error(&few, few.len()), None);
    let (field, problem) = error(&many, many.len()).unwrap();
    assert_eq!(field, "mapInt64");
    assert!(matches!(problem, ReplyProblem::TooLarge { .. }), "{problem:?}");
}

#[test]
fn a_length_beyond_the_end_is_an_error() {
    let beyond = ReplyProblem::Wire(WireError::Truncated);
    let wire = text(10, b"abc");
    assert_eq!(error(&wire, wire.len() - 1).map(|(_, problem)| problem), Some(beyond.clone()));
    // A large nested message whose inner field leads beyond it.
    let mut inner = text(10, &[b'x'; 40]);
    inner[1] += 1;
    let wire = [text(13, &inner), text(14, b"")].concat();
    assert_eq!(error(&wire, wire.len()).map(|(_, problem)| problem), Some(beyond));
}
