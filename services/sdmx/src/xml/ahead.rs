//! Reads tags and texts out of the bytes that have arrived.
//!
//! quick-xml reads everything else: what is not complete in the chunk or in its window, references, comments and CDATA,
//! and whatever is malformed, so that errors do not depend on how a document arrives. Between two events of markup it
//! has no state that depends on the bytes, except the names of the elements that it has opened itself: their ends are
//! left to it too.

use std::io::Read;

use memchr::memchr2;

use super::EventReader;
use super::elements::Elements;
use super::tag::{self, Tag};

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
        /// The earlier tag that it is written like.
        shape: Option<usize>,
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
        let Elements { names, spans, attribute_limit, shapes, .. } = &mut self.elements;
        let (length, kind) = match bytes {
            [b'<', b'/', rest @ ..] => {
                let (name, is_known) = names.last()?;
                if is_known || rest.get(name.len()) != Some(&b'>') || !rest.starts_with(name) {
                    return None;
                }
                (name.len() + 3, Kind::End)
            }
            [b'<', ..] => {
                let (Tag { length, name_end, is_empty }, shape) = match shapes.read(bytes, spans) {
                    Some((tag, shape)) => (tag, Some(shape)),
                    None => {
                        let tag = tag::read(bytes, *attribute_limit, spans)?;
                        shapes.learn(&bytes[..tag.length], tag, spans);
                        (tag, None)
                    }
                };
                (length, Kind::Start { name_end, is_empty, shape })
            }
            _ => match memchr2(b'<', b'&', bytes)? {
                0 => return None,
                length => (length, Kind::Text),
            },
        };
        Some(Ahead { length, kind })
    }
}
