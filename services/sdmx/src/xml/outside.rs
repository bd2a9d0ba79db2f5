//! What is around and between elements: the declaration, comments, the end, and what must not be there.

use std::io::{BufRead, Read};

use quick_xml::events as quick;

use super::{Event, EventReader, Phase, Xml};
use crate::error::{Fault, ParseError};
use crate::excerpt::excerpt;
use crate::sniff;

impl<R: Read> Xml<R> {
    /// The first words of an error message whose root was read last, as far as they can be decoded.
    pub(crate) fn error_text(&mut self) -> String {
        let mut words = String::new();
        while words.len() < 200 {
            match self.next() {
                Ok(Event::Start(start)) => {
                    words.push(' ');
                    words.push_str(&start.attribute("code").ok().flatten().unwrap_or_default());
                    words.push(' ');
                }
                Ok(Event::Text(text)) => words.push_str(text),
                Ok(Event::Character(character)) => words.push(character),
                Ok(Event::End | Event::Ignored) => {}
                Ok(Event::Eof) | Err(_) => break,
            }
        }
        excerpt(&words)
    }
}

impl<R: Read> EventReader<R> {
    /// Events that are not part of an element: the declaration, comments, the end, and unexpected content.
    #[cold]
    pub(super) fn non_element(&mut self, event: quick::Event<'_>) -> Result<Event<'static>, ParseError> {
        let phase = self.elements.phase();
        self.elements.begin();
        let fault = match event {
            quick::Event::Comment(_) | quick::Event::PI(_) => return Ok(Event::Ignored),
            quick::Event::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {
                return Ok(Event::Ignored);
            }
            quick::Event::Eof => match phase {
                Phase::Epilog => return Ok(Event::Eof),
                Phase::Body => self.truncated(),
                Phase::Start => Fault::Empty,
                Phase::Prolog => Fault::Truncated {
                    inside: "before any element".into(),
                    expected: "an SDMX-ML message".into(),
                },
            },
            quick::Event::Decl(declaration) if phase == Phase::Start => {
                match self.declaration(&declaration) {
                    Ok(()) => return Ok(Event::Ignored),
                    Err(fault) => fault,
                }
            }
            quick::Event::Decl(_) => Fault::LateDeclaration,
            quick::Event::DocType(name) => sniff::document_type(&name),
            _ if phase == Phase::Epilog => Fault::ContentAfterRoot,
            other => Fault::NotXml { found: sniff::plain_text(&other) },
        };
        Err(self.error(fault))
    }

    /// Checks that the declared encoding is the detected one.
    fn declaration(&mut self, declaration: &quick::BytesDecl<'_>) -> Result<(), Fault> {
        match declaration.encoding() {
            Some(Ok(name)) => self.input().encoding().agrees_with(&name),
            Some(Err(_)) => Err(Fault::Malformed {
                found: "found an unreadable XML declaration".into(),
                expected: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".into(),
            }),
            None => Ok(()),
        }
    }

    /// Rejects documents early that need not be read: those that are not XML, and document type declarations before
    /// their internal subset. If the source has not sent enough bytes to decide, the event itself decides.
    #[cold]
    pub(super) fn look_ahead(&mut self) -> Result<(), ParseError> {
        let phase = self.elements.phase();
        let fault = match self.input().fill_buf() {
            Ok(available) if phase == Phase::Start => {
                sniff::not_xml(available).or_else(|| sniff::doctype(available))
            }
            Ok(available) => sniff::doctype(available),
            // The input fails again when the event is read, and the error is returned then.
            Err(_) => None,
        };
        fault.map_or(Ok(()), |fault| Err(self.error(fault)))
    }
}
