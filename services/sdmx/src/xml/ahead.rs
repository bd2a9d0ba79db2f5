//! Reads tags and texts out of the bytes that have arrived, in one pass that also finds the attributes.
//!
//! quick-xml reads everything else: what is not complete in the chunk or in its window, references, comments and CDATA,
//! and whatever is malformed, so that errors do not depend on how a document arrives. Between two events of markup it
//! has no state that depends on the bytes, except the names of the elements that it has opened itself: their ends are
//! left to it too.

use std::io::Read;

use memchr::memchr2;

use super::attributes::Span;
use super::{EventReader, Phase, is_name_start};

/// An event that is complete in the current chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// Its bytes, brackets included.
    pub(super) length: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A start tag, whose attributes are in `EventReader::spans`.
    Start {
        name_end: usize,
        is_empty: bool,
    },
    /// The end tag of the innermost element.
    End,
    Text,
}

/// Names of the open elements, and which of them quick-xml has opened.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each starts, and whether quick-xml knows it.
    open: Vec<(usize, bool)>,
}

// === impl Names ===

impl Names {
    pub(super) fn push(&mut self, name: &[u8], is_known: bool) {
        self.open.push((self.bytes.len(), is_known));
        self.bytes.extend_from_slice(name);
    }

    /// The innermost one, and whether quick-xml knows it.
    #[inline]
    pub(super) fn last(&self) -> Option<(&[u8], bool)> {
        self.open.last().map(|&(start, is_known)| (&self.bytes[start..], is_known))
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        if let Some((start, _)) = self.open.pop() {
            self.bytes.truncate(start);
        }
    }
}

// === impl EventReader ===

impl<R: Read> EventReader<R> {
    /// The next event, if it is complete and well-formed, and neither a reference nor other markup than tags.
    #[inline]
    pub(super) fn ahead(&mut self) -> Option<Ahead> {
        if self.phase != Phase::Body || self.is_within_text {
            return None;
        }
        let bytes = self.reader.get_ref().available();
        let (length, kind) = match bytes {
            [b'<', b'/', rest @ ..] => {
                let (name, is_known) = self.names.last()?;
                if is_known || rest.get(name.len()) != Some(&b'>') || !rest.starts_with(name) {
                    return None;
                }
                (name.len() + 3, Kind::End)
            }
            [b'<', ..] => start(bytes, self.attribute_limit, &mut self.spans)?,
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
    let ends_name = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/' | b'"' | b'\'');
    let name_end = 1 + bytes[1..].iter().position(ends_name)?;
    let mut at = name_end;
    loop {
        let name_start = skip_space(bytes, at);
        match bytes[name_start..] {
            [b'>', ..] => {
                return Some((name_start + 1, Kind::Start { name_end: name_end - 1, is_empty: false }));
            }
            [b'/', b'>', ..] => {
                return Some((name_start + 2, Kind::Start { name_end: name_end - 1, is_empty: true }));
            }
            _ if name_start == at || spans.len() == limit => return None,
            _ => {}
        }
        let ends_name = |byte: &u8| {
            matches!(byte, b'=' | b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/' | b'"' | b'\'' | b'<')
        };
        let end = name_start + bytes[name_start..].iter().position(ends_name)?;
        let equals = skip_space(bytes, end);
        if end == name_start || bytes.get(equals) != Some(&b'=') {
            return None;
        }
        let open = skip_space(bytes, equals + 1);
        let quote = *bytes.get(open).filter(|byte| matches!(byte, b'"' | b'\''))?;
        let close = open + 1 + memchr2(quote, b'<', &bytes[open + 1..])?;
        if bytes[close] != quote
            || spans
                .iter()
                .any(|span| bytes[span.name.start + 1..span.name.end + 1] == bytes[name_start..end])
        {
            return None;
        }
        // Positions in the tag without its bracket.
        spans.push(Span { name: name_start - 1..end - 1, value: open..close - 1 });
        at = close + 1;
    }
}

#[inline]
fn skip_space(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}
