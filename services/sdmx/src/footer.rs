//! What a service states beside the content of a message: the footer of SDMX-ML, the `errors` of SDMX-JSON. There it says
//! that a response is too large, that sources are missing, or where the data will be: a message with that may be
//! incomplete, although it is well-formed. Structure messages and data messages have the same footers.

use std::io::Read;

use super::diagnostic::{Diagnostics, Reason};
use super::error::{Fault, ParseError, Position};
use super::json::{Json, Value};
use super::text::normalized;
use super::xml::{Event, Start, Xml};

/// One statement. Its parts are cut at a size that a diagnostic has room for.
#[derive(Debug, Default)]
struct Statement {
    /// The code of the error, as written.
    code: String,
    /// The severity, as written; SDMX-JSON has none.
    severity: String,
    text: String,
}

/// Bytes kept of the text of a statement, in all languages.
const TEXT_BYTES: usize = 300;

/// Bytes kept of its code, and of its severity.
const WORD_BYTES: usize = 40;

/// Reads up to the end of the footer of SDMX-ML whose start tag was read last, and reports each of its statements.
pub(super) fn read<R: Read>(xml: &mut Xml<R>, diagnostics: &mut Diagnostics) -> Result<(), ParseError> {
    let depth = xml.depth();
    let (mut statement, mut position, mut in_text) = (Statement::default(), xml.position(), false);
    while xml.depth() >= depth {
        // White space around an entity belongs to the text.
        match xml.advance(!in_text)? {
            Event::Start(start) => {
                let place = (start.depth - depth, start.local_name());
                in_text = place == (2, "Text");
                if in_text {
                    push(&mut statement.text, " ", TEXT_BYTES);
                } else if place == (1, "Message") {
                    let begun = Statement::of(&start);
                    position = xml.position();
                    statement = begun.map_err(|fault| xml.error(fault))?;
                }
            }
            Event::Text(piece) if in_text => push(&mut statement.text, piece, TEXT_BYTES),
            Event::Character(character) if in_text => {
                push(&mut statement.text, character.encode_utf8(&mut [0; 4]), TEXT_BYTES);
            }
            Event::End => {
                in_text = false;
                if xml.depth() == depth {
                    std::mem::take(&mut statement).report(position, diagnostics);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads the value of the member `errors` of SDMX-JSON, and reports each of its elements. Returns their words.
pub(super) fn read_errors<R: Read>(
    json: &mut Json<R>,
    diagnostics: &mut Diagnostics,
) -> Result<String, ParseError> {
    let mut words = String::new();
    let value = json.value()?;
    if value != Value::Array {
        read_error(json, value, &mut words, diagnostics)?;
        return Ok(words);
    }
    while json.element()? {
        let value = json.value()?;
        read_error(json, value, &mut words, diagnostics)?;
    }
    Ok(words)
}

/// Reads the content of the value that was read last, which is an error. Appends its words.
fn read_error<R: Read>(
    json: &mut Json<R>,
    value: Value,
    words: &mut String,
    diagnostics: &mut Diagnostics,
) -> Result<(), ParseError> {
    let position = json.position();
    let mut statement = Statement::default();
    if value == Value::Object {
        statement.read_members(json)?;
    } else {
        json.words_of(value, &mut statement.text, TEXT_BYTES)?;
    }
    for word in [&statement.code, &statement.text] {
        push(words, " ", TEXT_BYTES);
        push(words, word, TEXT_BYTES);
    }
    statement.report(position, diagnostics);
    Ok(())
}

// === impl Statement ===

impl Statement {
    /// With the attributes of its element.
    fn of(start: &Start<'_>) -> Result<Self, Fault> {
        let mut statement = Self::default();
        for (name, word) in [("code", &mut statement.code), ("severity", &mut statement.severity)] {
            push(word, &start.attribute(name)?.unwrap_or_default(), WORD_BYTES);
        }
        Ok(statement)
    }

    /// Reads the members of its object. A title, or a detail, is often written twice: alone and by language.
    fn read_members<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        while json.member()? {
            let (is_code, is_text) = match json.text() {
                "code" => (true, false),
                "title" | "titles" | "detail" | "details" | "message" | "text" => (false, true),
                _ => (false, false),
            };
            let value = json.value()?;
            if !is_code && !is_text {
                json.skip_content(value)?;
                continue;
            }
            let mut words = String::new();
            json.words_of(value, &mut words, TEXT_BYTES)?;
            if is_code {
                push(&mut self.code, words.trim(), WORD_BYTES);
            } else if !self.text.contains(words.trim()) {
                push(&mut self.text, &words, TEXT_BYTES);
            }
        }
        Ok(())
    }

    fn report(self, position: Position, diagnostics: &mut Diagnostics) {
        let Self { code, severity, text } = self;
        let [code, severity, text] = [&code, &severity, &text].map(|part| normalized(part).0);
        if code.is_empty() && text.is_empty() {
            return;
        }
        diagnostics.add(Reason::MessageWithErrors, position, || {
            let severity =
                if severity.is_empty() { String::new() } else { format!(", severity {severity:?}") };
            format!("the message may be incomplete: beside its content is code {code:?}{severity}: {text:?}")
        });
    }
}

/// Appends a text, as far as there is room.
fn push(whole: &mut String, text: &str, limit: usize) {
    let room = limit.saturating_sub(whole.len());
    whole.push_str(&text[..text.floor_char_boundary(room)]);
}
