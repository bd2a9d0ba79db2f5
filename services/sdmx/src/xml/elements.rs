//! The open elements: their names, their namespaces, and whether the document may have one more.

use super::attributes::{self, Span};
use super::event::{RawValue, Start};
use super::names::Names;
use super::shapes::Shapes;
use super::{Phase, failure, is_name_start};
use crate::error::Fault;
use crate::limits::Limits;
use crate::namespace::{Bindings, Namespace};

/// See the module.
#[derive(Debug)]
pub(super) struct Elements {
    phase: Phase,
    depth: usize,
    depth_limit: usize,
    pub(super) attribute_limit: usize,
    /// Attributes of the last start tag.
    pub(super) spans: Vec<Span>,
    /// Of start tags.
    pub(super) shapes: Shapes,
    bindings: Bindings,
    pub(super) names: Names,
}

// === impl Elements ===

impl Elements {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            phase: Phase::Start,
            depth: 0,
            depth_limit: limits.depth,
            attribute_limit: limits.attributes,
            spans: Vec::new(),
            shapes: Shapes::default(),
            bindings: Bindings::new(limits.namespaces),
            names: Names::default(),
        }
    }

    #[inline]
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// The first event, of whatever kind, has been read.
    pub(super) fn begin(&mut self) {
        if self.phase == Phase::Start {
            self.phase = Phase::Prolog;
        }
    }

    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Finds the attributes of a start tag.
    pub(super) fn scan(&mut self, tag: &str, name_end: usize) -> Result<(), Fault> {
        self.check_room()?;
        check_name(tag, name_end)?;
        self.spans.clear();
        attributes::scan(tag, name_end, self.attribute_limit, &mut self.spans)
    }

    fn check_room(&self) -> Result<(), Fault> {
        match self.phase {
            Phase::Epilog => Err(Fault::ContentAfterRoot),
            _ if self.depth == self.depth_limit => Err(Fault::NestedTooDeep { limit: self.depth_limit }),
            _ => Ok(()),
        }
    }

    /// Opens an element by its start tag, without brackets, whose attributes are in `spans`. Returns where its local name
    /// starts, and its namespace.
    #[inline]
    pub(super) fn open(&mut self, tag: &str, name_end: usize) -> Result<(usize, Namespace), Fault> {
        self.enter()?;
        let (prefix, prefix_end) = check_name(tag, name_end)?;
        // Few tags declare a namespace, and this check is cheaper than the declaration pass.
        if attributes::declare_namespaces(tag.as_bytes(), &self.spans) {
            self.bind_namespaces(tag)?;
        }
        Ok((prefix_end, self.resolve(prefix)?))
    }

    /// [`Elements::open`] for a tag that is written like the one of this shape, so that it has the same prefix and declares
    /// no namespaces.
    #[inline]
    pub(super) fn open_like(
        &mut self,
        tag: &str,
        name_end: usize,
        shape: usize,
    ) -> Result<(usize, Namespace), Fault> {
        self.enter()?;
        let version = self.bindings.version();
        if let Some(opened) = self.shapes.opened(shape, version) {
            return Ok(opened);
        }
        let (prefix, prefix_end) = check_name(tag, name_end)?;
        let opened = (prefix_end, self.resolve(prefix)?);
        self.shapes.note_opened(shape, version, opened);
        Ok(opened)
    }

    #[inline]
    fn enter(&mut self) -> Result<(), Fault> {
        self.check_room()?;
        self.phase = Phase::Body;
        self.depth += 1;
        Ok(())
    }

    fn resolve(&self, prefix: &str) -> Result<Namespace, Fault> {
        let unbound = || Fault::UnboundPrefix { prefix: prefix.chars().take(40).collect() };
        self.bindings.resolve(prefix).ok_or_else(unbound)
    }

    /// The start tag of the element that was opened last.
    #[inline]
    pub(super) fn started<'a>(
        &'a self,
        tag: &'a str,
        name_end: usize,
        prefix_end: usize,
        namespace: Namespace,
    ) -> Start<'a> {
        Start { tag, prefix_end, name_end, spans: &self.spans, namespace, depth: self.depth }
    }

    /// Removes the namespace declarations from the attributes and binds them.
    fn bind_namespaces(&mut self, tag: &str) -> Result<(), Fault> {
        let (bindings, depth) = (&mut self.bindings, self.depth);
        let mut failed = Ok(());
        self.spans.retain(|span| {
            let prefix = match tag[span.name.clone()].strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) if rest.starts_with(':') => &rest[1..],
                _ => return true,
            };
            match RawValue::of(tag, span).resolve() {
                Ok(uri) => {
                    if let Err(fault) = bindings.bind(prefix, uri.trim(), depth) {
                        failed = Err(fault);
                    }
                }
                Err(fault) => failed = Err(fault),
            }
            false
        });
        failed
    }

    /// Checks that an end tag is that of the innermost element, whose name it forgets.
    pub(super) fn check_end(&mut self, found: &str) -> Result<(), Fault> {
        match self.names.last() {
            Some((name, _)) if name == found.as_bytes() => {
                self.names.pop();
                Ok(())
            }
            Some((name, _)) => Err(failure::mismatched_end(found, &String::from_utf8_lossy(name))),
            None if self.phase == Phase::Epilog => Err(Fault::ContentAfterRoot),
            None => Err(failure::unmatched_end(found)),
        }
    }

    /// Closes the innermost element.
    #[inline]
    pub(super) fn close(&mut self) {
        self.depth -= 1;
        self.bindings.leave(self.depth);
        if self.depth == 0 {
            self.phase = Phase::Epilog;
        }
    }
}

/// The prefix of a tag, and where its local name starts.
#[inline]
fn check_name(tag: &str, name_end: usize) -> Result<(&str, usize), Fault> {
    let (prefix, prefix_end) = match tag.as_bytes()[..name_end].iter().position(|&byte| byte == b':') {
        Some(colon) => (&tag[..colon], colon + 1),
        None => ("", 0),
    };
    if tag.as_bytes().get(prefix_end).copied().is_some_and(is_name_start) {
        return Ok((prefix, prefix_end));
    }
    let found = format!("found '<{}'", tag.chars().take(20).collect::<String>());
    Err(Fault::Malformed { found, expected: "the name of an element".into() })
}
