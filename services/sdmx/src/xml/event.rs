//! Events of the XML reader. They borrow its buffers until the next event.

use std::borrow::Cow;

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
    /// Without its brackets.
    pub(super) tag: &'a str,
    pub(super) prefix_end: usize,
    pub(super) name_end: usize,
    pub(super) spans: &'a [Span],
    pub(crate) namespace: Namespace,
    /// Number of open elements, including this one.
    pub(crate) depth: usize,
}

impl Start<'_> {
    /// The name without its prefix.
    #[inline]
    pub(crate) fn local_name(&self) -> &str {
        &self.tag[self.prefix_end..self.name_end]
    }

    /// The whole tag, without its brackets.
    pub(crate) fn as_written(&self) -> &str {
        self.tag
    }

    /// The attributes except namespace declarations: the name as written, and the value with unresolved references.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, RawValue<'_>)> {
        self.spans.iter().map(|span| (&self.tag[span.name.clone()], RawValue::of(self.tag, span)))
    }

    /// The value of one attribute.
    pub(crate) fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, Fault> {
        let tag = self.tag.as_bytes();
        let span = self.spans.iter().find(|span| tag[span.name.clone()] == *name.as_bytes());
        span.map(|span| RawValue::of(self.tag, span).resolve()).transpose()
    }
}

/// An attribute value as written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawValue<'a> {
    written: &'a str,
    is_plain: bool,
}

impl<'a> RawValue<'a> {
    /// The value of an attribute of this tag.
    #[inline]
    pub(super) fn of(tag: &'a str, span: &Span) -> Self {
        Self { written: &tag[span.value.clone()], is_plain: span.is_plain }
    }

    /// The value with references resolved.
    #[inline]
    pub(crate) fn resolve(self) -> Result<Cow<'a, str>, Fault> {
        if self.is_plain { Ok(Cow::Borrowed(self.written)) } else { reference::attribute(self.written) }
    }
}
