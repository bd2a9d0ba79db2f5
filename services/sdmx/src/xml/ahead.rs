//! Reads tags and texts out of the bytes that have arrived, in one pass that also finds the attributes.
//!
//! quick-xml reads everything else: what is not complete in the chunk or in its window, references, comments and CDATA,
//! and whatever is malformed, so that errors do not depend on how a document arrives. Between two events of markup it
//! has no state that depends on the bytes, except the names of the elements that it has opened itself: their ends are
//! left to it too.

use std::io::Read;

use memchr::memchr2;

use super::attributes::Span;
use super::elements::Elements;
use super::{EventReader, is_name_start, value};

/// An event that is complete in the current chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// Its bytes, brackets included.
    pub(super) length: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A start tag, whose attributes are in `Elements::spans`.
    Start {
        name_end: usize,
        is_empty: bool,
    },
    /// The end tag of the innermost element.
    End,
    Text,
}

// === impl EventReader ===

impl<R: Read> EventReader<R> {
    /// The next event, if it is complete and well-formed, and neither a reference nor other markup than tags.
    #[inline]
    pub(super) fn ahead(&mut self) -> Option<Ahead> {
        let input = self.reader.get_ref();
        if !input.is_text() {
            return None;
        }
        let bytes = input.available();
        let Elements { names, spans, attribute_limit, .. } = &mut self.elements;
        let (length, kind) = match bytes {
            [b'<', b'/', rest @ ..] => {
                let (name, is_known) = names.last()?;
                if is_known || rest.get(name.len()) != Some(&b'>') || !rest.starts_with(name) {
                    return None;
                }
                (name.len() + 3, Kind::End)
            }
            [b'<', ..] => start(bytes, *attribute_limit, spans)?,
            _ => match memchr2(b'<', b'&', bytes)? {
                0 => return None,
                length => (length, Kind::Text),
            },
        };
        Some(Ahead { length, kind })
    }
}

/// A start tag at the start of `bytes`: its length, and what it is. Fills `spans` with its attributes.
fn start(bytes: &[u8], limit: usize, spans: &mut Vec<Span>) -> Option<(usize, Kind)> {
    spans.clear();
    if !is_name_start(*bytes.get(1)?) {
        return None;
    }
    let name_end = end_of_name(bytes, 1, ends_tag_name)?;
    let complete = |length, is_empty| Some((length, Kind::Start { name_end: name_end - 1, is_empty }));
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
