//! A pull parser for well-formed XML over any `Read`, one event at a time. It resolves namespaces, expands references,
//! enforces limits, and types and positions every error. It has no knowledge of dataflows.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use quick_xml::Reader;
use quick_xml::events as quick;

use super::encoding::Encoding;
use super::error::{Fault, ParseError, Position};
use super::input::Input;
use super::limits::Limits;

mod ahead;
mod attributes;
mod elements;
mod event;
mod failure;
mod names;
mod outside;
mod reference;
mod shapes;
mod tag;
mod value;

use ahead::{Ahead, Kind};
use elements::Elements;
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
    /// The last start tag that quick-xml has read, without its brackets.
    tag: String,
    elements: Elements,
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
        // It knows only the elements that it has opened itself; `elements` has all of them.
        let config = reader.config_mut();
        (config.check_end_names, config.allow_unmatched_ends) = (false, true);
        let elements = Elements::new(limits);
        let events = EventReader {
            reader,
            tag: String::new(),
            elements,
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
        self.events.elements.depth()
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
        let phase = self.elements.phase();
        if skip_white_space && phase == Phase::Body {
            self.input().skip_white_space();
        } else {
            self.input().begin_event();
        }
        if phase != Phase::Body {
            self.look_ahead()?;
        } else if !self.is_within_text
            && let Some(ahead) = self.ahead()
        {
            return self.take(ahead);
        }
        let event = match self.reader.read_event_into(buffer) {
            Ok(event) => event,
            Err(error) => return Err(self.failure(error)),
        };
        self.is_within_text = matches!(event, quick::Event::Text(_));
        let in_element = self.elements.depth() > 0;
        match event {
            quick::Event::Start(tag) => self.start(&tag, false),
            quick::Event::Empty(tag) => self.start(&tag, true),
            quick::Event::End(tag) => self.end_tag(tag.name().0),
            quick::Event::Text(text) if in_element => Ok(Event::Text(borrowed(text.into_inner()))),
            quick::Event::CData(text) if in_element => Ok(Event::Text(borrowed(text.into_inner()))),
            quick::Event::GeneralRef(name) if in_element => {
                reference::resolve(&name).map(Event::Character).map_err(|fault| self.error(fault))
            }
            other => self.non_element(other),
        }
    }

    /// Consumes an event that is complete in the chunk. It borrows the chunk.
    #[inline]
    fn take(&mut self, ahead: Ahead) -> Result<Event<'_>, ParseError> {
        let Ahead { length, kind } = ahead;
        self.input().consume(length);
        match kind {
            Kind::End => {
                self.elements.names.pop();
                Ok(self.end())
            }
            Kind::Text => Ok(Event::Text(self.reader.get_ref().consumed(length))),
            Kind::Start { name_end, is_empty, shape } => {
                let within = 1..length - if is_empty { 2 } else { 1 };
                let tag = &self.reader.get_ref().consumed(length)[within.clone()];
                if !is_empty {
                    self.elements.names.push(&tag.as_bytes()[..name_end], false);
                }
                self.end_is_pending = is_empty;
                let opened = match shape {
                    Some(shape) => self.elements.open_like(tag, name_end, shape),
                    None => self.elements.open(tag, name_end),
                };
                let (prefix_end, namespace) = match opened {
                    Ok(opened) => opened,
                    Err(fault) => return Err(self.error(fault)),
                };
                let tag = &self.reader.get_ref().consumed(length)[within];
                Ok(Event::Start(self.elements.started(tag, name_end, prefix_end, namespace)))
            }
        }
    }

    /// Opens an element by a tag that quick-xml has read.
    fn start(&mut self, tag: &quick::BytesStart<'_>, is_empty: bool) -> Result<Event<'_>, ParseError> {
        let name_end = tag.name().0.len();
        self.tag.clear();
        self.tag.push_str(tag);
        let tag = self.tag.as_str();
        if !is_empty {
            self.elements.names.push(&tag.as_bytes()[..name_end], true);
        }
        self.end_is_pending = is_empty;
        let opened = self.elements.scan(tag, name_end).and_then(|()| self.elements.open(tag, name_end));
        let (prefix_end, namespace) = opened.map_err(|fault| self.error(fault))?;
        Ok(Event::Start(self.elements.started(&self.tag, name_end, prefix_end, namespace)))
    }

    /// Closes the innermost element by an end tag that quick-xml has read.
    fn end_tag(&mut self, found: &str) -> Result<Event<'static>, ParseError> {
        self.elements.check_end(found).map_err(|fault| self.error(fault))?;
        Ok(self.end())
    }

    /// Closes the innermost element.
    #[inline]
    fn end(&mut self) -> Event<'static> {
        self.elements.close();
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
