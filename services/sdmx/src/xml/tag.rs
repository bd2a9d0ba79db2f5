//! Reads a start tag and finds its attributes, in one pass.

use super::attributes::Span;
use super::{is_name_start, value};

/// A start tag that is complete and well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    /// Its bytes, brackets included.
    pub(super) length: usize,
    /// The end of its name, counted without its bracket.
    pub(super) name_end: usize,
    pub(super) is_empty: bool,
}

/// The start tag at the start of `bytes`. Fills `spans` with its attributes.
pub(super) fn read(bytes: &[u8], limit: usize, spans: &mut Vec<Span>) -> Option<Tag> {
    spans.clear();
    if !is_name_start(*bytes.get(1)?) {
        return None;
    }
    let name_end = end_of_name(bytes, 1, ends_tag_name)?;
    let complete = |length, is_empty| Some(Tag { length, name_end: name_end - 1, is_empty });
    let mut at = name_end;
    loop {
        let name_start = skip_space(bytes, at);
        match *bytes.get(name_start)? {
            b'>' => return complete(name_start + 1, false),
            b'/' if bytes.get(name_start + 1) == Some(&b'>') => return complete(name_start + 2, true),
            _ if name_start == at || spans.len() == limit => return None,
            _ => {}
        }
        let end = end_of_name(bytes, name_start, ends_attribute_name)?;
        let equals = skip_space(bytes, end);
        if end == name_start || *bytes.get(equals)? != b'=' {
            return None;
        }
        let open = skip_space(bytes, equals + 1);
        let quote = *bytes.get(open).filter(|byte| matches!(byte, b'"' | b'\''))?;
        let (length, is_plain) = value::length(&bytes[open + 1..], quote)?;
        let close = open + 1 + length;
        // Positions in the tag without its bracket.
        let (tag, name) = (&bytes[1..], name_start - 1..end - 1);
        if bytes[close] != quote || spans.iter().any(|span| tag[span.name.clone()] == tag[name.clone()]) {
            return None;
        }
        spans.push(Span { name, value: open..close - 1, is_plain });
        at = close + 1;
    }
}

/// The end of a name, if it is in `bytes`.
#[inline]
fn end_of_name(bytes: &[u8], from: usize, is_end: fn(&u8) -> bool) -> Option<usize> {
    bytes[from..].iter().position(is_end).map(|length| from + length)
}

#[inline]
fn ends_tag_name(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/' | b'"' | b'\'')
}

#[inline]
fn ends_attribute_name(byte: &u8) -> bool {
    matches!(byte, b'=' | b'<') || ends_tag_name(byte)
}

#[inline]
fn skip_space(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}
