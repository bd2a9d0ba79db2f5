//! Reads start tags that are written like an earlier one of their element, but for the values: the names of their
//! attributes need not be read again, nor its prefix be resolved. A document repeats a few shapes of tags thousands of
//! times.

use super::attributes::{self, Span};
use super::tag::Tag;
use super::value;
use crate::namespace::Namespace;

/// The last tag of each of some elements.
#[derive(Debug)]
pub(super) struct Shapes(Box<[Shape]>);

/// More than the elements that structure messages repeat.
const SHAPES: usize = 64;

/// A tag that was read, and that is well-formed.
#[derive(Debug, Clone, Default)]
struct Shape {
    /// With its brackets; empty if there is none.
    tag: Vec<u8>,
    /// Its attributes.
    spans: Vec<Span>,
    name_end: usize,
    is_empty: bool,
    /// Where its local name starts, and its namespace, in a version of the bindings.
    opened: Option<(u64, (usize, Namespace))>,
}

/// The longest tag that is remembered.
const MOST_BYTES: usize = 1 << 10;

// === impl Shapes ===

impl Shapes {
    /// The start tag at the start of `bytes`, if it is written like an earlier one, and the shape of both. Fills `spans`
    /// with its attributes.
    #[inline]
    pub(super) fn read(&self, bytes: &[u8], spans: &mut Vec<Span>) -> Option<(Tag, usize)> {
        let slot = slot(bytes)?;
        let Shape { tag, spans: like, name_end, is_empty, .. } = &self.0[slot];
        spans.clear();
        // What was compared of the tag, and where that ends in `bytes`.
        let (mut same, mut at) = (0, 0);
        for span in like {
            // Positions in a tag are those without its bracket.
            let value = 1 + span.value.start;
            let written = &tag[same..value];
            let value_start = at + written.len();
            if !is_same(bytes.get(at..value_start)?, written) {
                return None;
            }
            let (length, is_plain) = value::length(&bytes[value_start..], tag[value - 1])?;
            at = value_start + length;
            same = 1 + span.value.end;
            let name_start = value_start - (value - span.name.start);
            let name = name_start..name_start + span.name.len();
            spans.push(Span { name, value: value_start - 1..at - 1, is_plain });
        }
        let end = &tag[same..];
        let is_like = !end.is_empty() && bytes[at..].starts_with(end);
        let tag = Tag { length: at + end.len(), name_end: *name_end, is_empty: *is_empty };
        is_like.then_some((tag, slot))
    }

    /// Where the local name of tags of a shape starts, and their namespace, if that is known for this version of the
    /// bindings.
    #[inline]
    pub(super) fn opened(&self, shape: usize, version: u64) -> Option<(usize, Namespace)> {
        let (known, opened) = self.0[shape].opened?;
        (known == version).then_some(opened)
    }

    /// Remembers that.
    pub(super) fn note_opened(&mut self, shape: usize, version: u64, opened: (usize, Namespace)) {
        self.0[shape].opened = Some((version, opened));
    }

    /// Remembers a start tag for those that follow, unless it declares namespaces.
    pub(super) fn learn(&mut self, written: &[u8], tag: Tag, spans: &[Span]) {
        let Some(slot) = slot(written) else { return };
        if written.len() <= MOST_BYTES && !attributes::declare_namespaces(&written[1..], spans) {
            let shape = &mut self.0[slot];
            shape.tag.clear();
            shape.tag.extend_from_slice(written);
            shape.spans.clear();
            shape.spans.extend_from_slice(spans);
            (shape.name_end, shape.is_empty, shape.opened) = (tag.name_end, tag.is_empty, None);
        }
    }
}

impl Default for Shapes {
    fn default() -> Self {
        Self(vec![Shape::default(); SHAPES].into())
    }
}

/// Whether two pieces of the same length are the same. They are too short to justify the call of `==`.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (Some(last), Some(other_last)) = (one.last_chunk::<8>(), other.last_chunk()) else {
        return one.iter().eq(other);
    };
    let (chunks, others) = (one.as_chunks::<8>().0, other.as_chunks().0);
    last == other_last && chunks == others
}

/// The slot of the element of a tag, by the length of its name and its last four bytes.
#[inline]
fn slot(tag: &[u8]) -> Option<usize> {
    let length = tag.iter().position(|byte| matches!(byte, b' ' | b'>' | b'/' | b'\n'))?;
    let last = u32::from_le_bytes(*tag[..length].last_chunk()?);
    // What the multiplication mixes is in the high bits.
    let hash = (last ^ length as u32).wrapping_mul(0x9e37_79b1);
    Some((hash >> 16) as usize % SHAPES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tag;
    use super::*;

    /// A tag that is read after another one, if it is like it.
    fn read_after(first: &[u8], written: &[u8]) -> Option<(Tag, Vec<Span>)> {
        let (mut shapes, mut spans) = (Shapes::default(), Vec::new());
        if let Some(tag) = tag::read(first, 8, &mut spans) {
            shapes.learn(&first[..tag.length], tag, &spans);
        }
        shapes.read(written, &mut spans).map(|(tag, _)| (tag, spans))
    }

    #[test]
    fn only_tags_with_the_same_names_are_like_another() {
        let check = |first: &str, tag: &str, expected: bool| {
            assert_eq!(read_after(first.as_bytes(), tag.as_bytes()).is_some(), expected, "{first} {tag}");
        };
        check("<a:Name x='1' y=\"2\">", "<a:Name x='' y=\"a 'long' value\">text", true);
        check("<a:Name>", "<a:Name>", true);
        check("<a:Name x='1' />", "<a:Name x='2' />", true);
        check("<a:Name x='1'/>", "<a:Name x='2'>", false);
        check("<a:Name x='1'/>", "<a:Name x='2' />", false);
        check("<a:Name x='1'>", "<a:Name x=\"1\">", false);
        check("<a:Name x='1'>", "<b:Name x='1'>", false);
        check("<a:Name x='1' y='2'>", "<a:Name x='1' x='2'>", false);
        check("<a:Name x='1'>", "<a:Name x='<'>", false);
        check("<a:Name x='1'>", "<a:Name x='1", false);
        check("<a:Name x='1'>", "<a:Name x='1'", false);
        check("<a:Name x='1' x='1'>", "<a:Name x='1' x='1'>", false);
        check("<a:Name xmlns:a='1'>", "<a:Name xmlns:a='1'>", false);
    }

    #[test]
    fn long_tags_are_not_remembered() {
        let tag = |value: usize| format!("<a:Name x='{}'>", "v".repeat(value)).into_bytes();
        let most = MOST_BYTES - tag(0).len();
        assert!(read_after(&tag(most), &tag(most + 1)).is_some());
        assert!(read_after(&tag(most + 1), &tag(1)).is_none());
    }

    proptest! {
        #[test]
        fn a_tag_that_is_like_another_is_read_as_without_it(
            [first, written] in prop::array::uniform2("<Name( [ab]=('[a&]{0,9}'|\"[a<]{0,2}\")){0,3} {0,2}/?>?"),
        ) {
            if let Some(found) = read_after(first.as_bytes(), written.as_bytes()) {
                let mut spans = Vec::new();
                let tag = tag::read(written.as_bytes(), 8, &mut spans);
                prop_assert_eq!(Some(found), tag.map(|tag| (tag, spans)));
            }
        }
    }
}
