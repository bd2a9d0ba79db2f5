//! Events of the XML reader. They borrow its buffer until the next event.

use std::borrow::Cow;

use quick_xml::events::BytesStart;

use super::attributes::Span;
use super::reference;
use crate::error::Fault;
use crate::namespace::Namespace;

/// The next part of the document.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// An element starts. Every start has an `End`, also for an empty-element tag.
    Start(Start<'a>),
    /// The innermost open element ends.
    End,
    /// Text, in as many pieces as in the document. Line ends are not normalized.
    Text(&'a str),
    /// A character that was written as a reference.
    Character(char),
    /// A comment or a processing instruction.
    Ignored,
    /// The document is complete.
    Eof,
}

/// A start tag.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(super) tag: BytesStart<'a>,
    pub(super) prefix_end: usize,
    pub(super) spans: &'a [Span],
    pub(crate) namespace: Namespace,
    /// Number of open elements, including this one.
    pub(crate) depth: usize,
}

impl Start<'_> {
    /// The name without its prefix.
    #[inline]
    pub(crate) fn local_name(&self) -> &str {
        let name = self.tag.name().0;
        &self.tag[self.prefix_end..name.len()]
    }

    /// The whole tag, without its brackets.
    pub(crate) fn as_written(&self) -> &str {
        &self.tag
    }

    /// The attributes except namespace declarations: the name as written, and the value with unresolved references.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, RawValue<'_>)> {
        self.spans.iter().map(|span| (&self.tag[span.name.clone()], RawValue(&self.tag[span.value.clone()])))
    }

    /// The value of one attribute.
    pub(crate) fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, Fault> {
        let tag = self.tag.as_bytes();
        let span = self.spans.iter().find(|span| tag[span.name.clone()] == *name.as_bytes());
        span.map(|span| RawValue(&self.tag[span.value.clone()]).resolve()).transpose()
    }
}

/// An attribute value as written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawValue<'a>(pub(super) &'a str);

impl<'a> RawValue<'a> {
    /// The value with references resolved.
    pub(crate) fn resolve(self) -> Result<Cow<'a, str>, Fault> {
        reference::attribute(self.0)
    }
}
