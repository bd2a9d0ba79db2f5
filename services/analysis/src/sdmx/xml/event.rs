//! What the reader hands out, lent from its buffer until the next event.

use std::borrow::Cow;

use quick_xml::events::BytesStart;

use super::attributes::Span;
use super::namespace::Namespace;
use super::reference;
use crate::sdmx::error::Fault;

/// What comes next in the document.
#[derive(Debug)]
pub(in crate::sdmx) enum Event<'a> {
    /// An element begins. Every one has its `End`, also when its tag is empty.
    Start(Start<'a>),
    /// The innermost open element ends.
    End,
    /// Text, in as many pieces as the document has it. Line ends are as written.
    Text(&'a str),
    /// A character that was written as a reference.
    Character(char),
    /// A comment or an instruction.
    Ignored,
    /// The document is complete.
    Eof,
}

/// A start tag.
#[derive(Debug)]
pub(in crate::sdmx) struct Start<'a> {
    pub(super) tag: BytesStart<'a>,
    pub(super) prefix_end: usize,
    pub(super) spans: &'a [Span],
    pub(in crate::sdmx) namespace: Namespace,
    /// Open elements, this one included.
    pub(in crate::sdmx) depth: usize,
}

impl Start<'_> {
    /// The name without its prefix.
    #[inline]
    pub(in crate::sdmx) fn local_name(&self) -> &str {
        let name = self.tag.name().0;
        &self.tag[self.prefix_end..name.len()]
    }

    /// The whole tag, without its brackets.
    pub(in crate::sdmx) fn as_written(&self) -> &str {
        &self.tag
    }

    /// The attributes but namespace declarations: the name as written, and its value before references are resolved.
    pub(in crate::sdmx) fn attributes(&self) -> impl Iterator<Item = (&str, RawValue<'_>)> {
        self.spans.iter().map(|span| (&self.tag[span.name.clone()], RawValue(&self.tag[span.value.clone()])))
    }

    /// The value of one attribute.
    pub(in crate::sdmx) fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, Fault> {
        let tag = self.tag.as_bytes();
        let span = self.spans.iter().find(|span| tag[span.name.clone()] == *name.as_bytes());
        span.map(|span| RawValue(&self.tag[span.value.clone()]).resolve()).transpose()
    }
}

/// An attribute's value as written.
#[derive(Debug, Clone, Copy)]
pub(in crate::sdmx) struct RawValue<'a>(pub(super) &'a str);

impl<'a> RawValue<'a> {
    /// The value that it means.
    pub(in crate::sdmx) fn resolve(self) -> Result<Cow<'a, str>, Fault> {
        reference::attribute(self.0)
    }
}
