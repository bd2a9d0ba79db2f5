//! A pull parser for well-formed XML over any `Read`, one event at a time. It resolves namespaces, expands references,
//! enforces limits, and types and positions every error. It has no knowledge of dataflows.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use quick_xml::Reader;
use quick_xml::events::{self as quick, BytesStart};

use super::encoding::Encoding;
use super::error::{Fault, ParseError, Position};
use super::input::Input;
use super::limits::Limits;
use super::namespace::Bindings;

mod ahead;
mod attributes;
mod event;
mod failure;
mod outside;
mod reference;

use ahead::{Ahead, Kind, Names};
use attributes::Span;
pub(super) use event::{Event, RawValue, Start};
pub(super) use reference::is_allowed;

/// The reader.
#[derive(Debug)]
pub(super) struct Xml<R: Read> {
    /// The current event as written. Separate from the rest, because events borrow it.
    buffer: Vec<u8>,
    events: EventReader<R>,
}

#[derive(Debug)]
struct EventReader<R: Read> {
    reader: Reader<Input<R>>,
    phase: Phase,
    /// Attributes of the last start tag.
    spans: Vec<Span>,
    bindings: Bindings,
    /// Open elements.
    depth: usize,
    depth_limit: usize,
    attribute_limit: usize,
    names: Names,
    /// The last tag was an empty-element tag: its end event is pending.
    end_is_pending: bool,
    /// quick-xml has read a text, and expects what ends it.
    is_within_text: bool,
}

/// The part of the document that the reader is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the first event, the only position for a declaration.
    Start,
    /// Before the root element.
    Prolog,
    /// In the root element.
    Body,
    /// After the root element.
    Epilog,
}

impl<R: Read> Xml<R> {
    pub(super) fn new(read: R, limits: &Limits) -> Self {
        Self::of(Input::new(read, limits), limits)
    }

    /// A reader of the document that `input` has, from which nothing was consumed yet.
    pub(super) fn of(input: Input<R>, limits: &Limits) -> Self {
        let mut reader = Reader::from_reader(input);
        // It knows only the elements that it has opened itself; `names` has all of them.
        let config = reader.config_mut();
        (config.check_end_names, config.allow_unmatched_ends) = (false, true);
        let events = EventReader {
            reader,
            phase: Phase::Start,
            spans: Vec::new(),
            bindings: Bindings::new(limits.namespaces),
            depth: 0,
            depth_limit: limits.depth,
            attribute_limit: limits.attributes,
            names: Names::default(),
            end_is_pending: false,
            is_within_text: false,
        };
        Self { buffer: Vec::new(), events }
    }

    /// Moves the document out if it starts like JSON. To be called before anything is read.
    pub(super) fn take_json(&mut self, limits: &Limits) -> Option<Input<R>> {
        let input = self.events.input();
        matches!(input.first_byte(), Some(b'{' | b'[')).then(|| input.take(limits))
    }

    /// Counts positions as those of the document with this number. To be called before anything is read.
    pub(super) fn set_document(&mut self, document: u32) {
        self.events.input().set_document(document);
    }

    /// The encoding of the document, and the first byte that shows that it is not in the declared one.
    pub(super) fn mislabeled(&mut self) -> Option<(Encoding, Position)> {
        let input = self.events.input();
        input.mislabeled().map(|position| (input.encoding(), position))
    }

    /// Number of open elements, including the one started last.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.events.depth
    }

    /// Position of the start of the last event.
    pub(super) fn position(&mut self) -> Position {
        self.events.input().event_position()
    }

    /// Creates an error at the position of the last event.
    #[cold]
    pub(super) fn error(&mut self, fault: Fault) -> ParseError {
        self.events.error(fault)
    }

    /// The next event. Do not call it again after an error or the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Event<'_>, ParseError> {
        self.advance(false)
    }

    /// The next event, skipping white space between tags.
    #[inline]
    pub(super) fn next_tag(&mut self) -> Result<Event<'_>, ParseError> {
        self.advance(true)
    }

    #[inline]
    pub(super) fn advance(&mut self, skip_white_space: bool) -> Result<Event<'_>, ParseError> {
        self.buffer.clear();
        self.events.next(&mut self.buffer, skip_white_space)
    }
}

impl<R: Read> EventReader<R> {
    #[inline]
    fn next<'a>(
        &'a mut self,
        buffer: &'a mut Vec<u8>,
        skip_white_space: bool,
    ) -> Result<Event<'a>, ParseError> {
        if self.end_is_pending {
            self.end_is_pending = false;
            return Ok(self.end());
        }
        if skip_white_space && self.phase == Phase::Body {
            self.input().skip_white_space();
        } else {
            self.input().begin_event();
        }
        if self.phase != Phase::Body {
            self.look_ahead()?;
        }
        if let Some(ahead) = self.ahead() {
            return self.take(ahead, buffer);
        }
        let event = match self.reader.read_event_into(buffer) {
            Ok(event) => event,
            Err(error) => return Err(self.failure(error)),
        };
        self.is_within_text = matches!(event, quick::Event::Text(_));
        match event {
            quick::Event::Start(tag) => {
                self.names.push(tag.name().0.as_bytes(), true);
                self.start(tag, false, false)
            }
            quick::Event::Empty(tag) => self.start(tag, true, false),
            quick::Event::End(tag) => self.end_tag(tag.name().0),
            quick::Event::Text(text) if self.depth > 0 => Ok(Event::Text(borrowed(text.into_inner()))),
            quick::Event::CData(text) if self.depth > 0 => Ok(Event::Text(borrowed(text.into_inner()))),
            quick::Event::GeneralRef(name) if self.depth > 0 => {
                reference::resolve(&name).map(Event::Character).map_err(|fault| self.error(fault))
            }
            other => self.non_element(other),
        }
    }

    /// Consumes an event that is complete in the chunk.
    #[inline]
    fn take<'a>(&'a mut self, ahead: Ahead, buffer: &'a mut Vec<u8>) -> Result<Event<'a>, ParseError> {
        let Ahead { length, kind } = ahead;
        let input = self.reader.get_mut();
        if let Kind::End = kind {
            input.consume(length);
            self.names.pop();
            return Ok(self.end());
        }
        buffer.extend_from_slice(&input.available()[..length]);
        input.consume(length);
        let text = match std::str::from_utf8(buffer) {
            Ok(text) => text,
            Err(error) => return Err(self.failure(quick_xml::Error::Encoding(error.into()))),
        };
        let Kind::Start { name_end, is_empty } = kind else { return Ok(Event::Text(text)) };
        let tag = BytesStart::from_content(&text[1..length - if is_empty { 2 } else { 1 }], name_end);
        if !is_empty {
            self.names.push(tag.name().0.as_bytes(), false);
        }
        self.start(tag, is_empty, true)
    }

    /// Opens an element. Its attributes are found unless `is_scanned`.
    #[inline]
    fn start<'a>(
        &'a mut self,
        tag: BytesStart<'a>,
        empty: bool,
        is_scanned: bool,
    ) -> Result<Event<'a>, ParseError> {
        match self.phase {
            Phase::Body => {}
            Phase::Start | Phase::Prolog => self.phase = Phase::Body,
            Phase::Epilog => return Err(self.error(Fault::ContentAfterRoot)),
        }
        if self.depth == self.depth_limit {
            return Err(self.error(Fault::NestedTooDeep { limit: self.depth_limit }));
        }
        self.depth += 1;
        self.end_is_pending = empty;
        let name_end = tag.name().0.len();
        let (prefix, prefix_end) = match tag.as_bytes()[..name_end].iter().position(|&byte| byte == b':') {
            Some(colon) => (&tag[..colon], colon + 1),
            None => ("", 0),
        };
        if !tag.as_bytes().get(prefix_end).copied().is_some_and(is_name_start) {
            let found = format!("found '<{}'", tag.chars().take(20).collect::<String>());
            return Err(self.error(Fault::Malformed { found, expected: "the name of an element".into() }));
        }
        if !is_scanned {
            self.spans.clear();
            attributes::scan(&tag, name_end, self.attribute_limit, &mut self.spans)
                .map_err(|fault| self.error(fault))?;
        }
        // Few tags declare a namespace, and this check is cheaper than the declaration pass.
        if self.spans.iter().any(|span| tag[span.name.clone()].starts_with("xmlns")) {
            self.bind_namespaces(&tag).map_err(|fault| self.error(fault))?;
        }
        let Some(namespace) = self.bindings.resolve(prefix) else {
            let prefix = prefix.chars().take(40).collect();
            return Err(self.error(Fault::UnboundPrefix { prefix }));
        };
        Ok(Event::Start(Start { prefix_end, spans: &self.spans, namespace, depth: self.depth, tag }))
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
            match RawValue(&tag[span.value.clone()]).resolve() {
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

    /// Closes the innermost element by an end tag that quick-xml has read.
    fn end_tag(&mut self, found: &str) -> Result<Event<'static>, ParseError> {
        let fault = match self.names.last() {
            Some((name, _)) if name == found.as_bytes() => {
                self.names.pop();
                return Ok(self.end());
            }
            Some((name, _)) => failure::mismatched_end(found, &String::from_utf8_lossy(name)),
            None if self.phase == Phase::Epilog => Fault::ContentAfterRoot,
            None => failure::unmatched_end(found),
        };
        Err(self.error(fault))
    }

    /// Closes the innermost element.
    #[inline]
    fn end(&mut self) -> Event<'static> {
        self.depth -= 1;
        self.bindings.leave(self.depth);
        if self.depth == 0 {
            self.phase = Phase::Epilog;
        }
        Event::End
    }

    #[inline]
    fn input(&mut self) -> &mut Input<R> {
        self.reader.get_mut()
    }

    #[cold]
    fn error(&mut self, fault: Fault) -> ParseError {
        ParseError { fault, position: self.input().event_position() }
    }
}

/// The text of an event, which borrows the buffer that the event was read into.
#[inline]
fn borrowed(text: Cow<'_, str>) -> &str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(_) => unreachable!("quick-xml events borrow their text until into_owned is called"),
    }
}

/// Letters of any script; other characters that XML forbids in names are harmless here.
fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}
