//! Reads one element with everything in it, by a table of contexts.

use std::io::Read;

use crate::error::{Fault, ParseError};
use crate::limits::Limits;
use crate::namespace::Namespace;
use crate::xml::{Event, Start, Xml};

/// What reads an element.
pub(super) trait Walk {
    /// The role of an open element within that element.
    type Context: Copy;

    /// The role of the element itself.
    const ROOT: Self::Context;

    /// The role of a child element.
    fn child(&self, context: Self::Context, namespace: Namespace, name: &str) -> Self::Context;

    /// Whether the text of an element is used.
    fn has_text(context: Self::Context) -> bool;

    /// Handles the start tag of an element within it.
    fn open(&mut self, context: Self::Context, start: &Start<'_>) -> Result<(), Fault>;

    /// Handles an end tag, with the text of the element, trimmed.
    fn close(&mut self, context: Self::Context, text: &str);
}

/// Reads up to the end of the element whose start tag was read last.
pub(super) fn walk<R: Read, W: Walk>(
    xml: &mut Xml<R>,
    walker: &mut W,
    limits: &Limits,
) -> Result<(), ParseError> {
    let (mut context, mut around, mut text) = (W::ROOT, Vec::new(), String::new());
    loop {
        match xml.advance(!W::has_text(context))? {
            Event::Start(start) => {
                around.push(context);
                context = walker.child(context, start.namespace, start.local_name());
                text.clear();
                let opened = walker.open(context, &start);
                opened.map_err(|fault| xml.error(fault))?;
            }
            Event::Text(piece) if W::has_text(context) => text.push_str(piece),
            Event::Character(character) if W::has_text(context) => text.push(character),
            Event::End => {
                walker.close(context, text.trim_ascii());
                text.clear();
                let Some(parent) = around.pop() else { return Ok(()) };
                context = parent;
            }
            _ => {}
        }
        if text.len() > limits.event_bytes {
            return Err(xml.error(Fault::EventTooLarge { limit: limits.event_bytes }));
        }
    }
}
