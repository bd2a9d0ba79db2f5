//! Reads the categories of a scheme, at any depth. Their ids may be written after the categories inside them, so each is
//! added without its id first.

use std::io::Read;

use super::member::{Member, Seen};
use super::text::{self, Text};
use crate::diagnostic::{Diagnostics, Reason};
use crate::error::{ParseError, Position};
use crate::json::{Json, Value};
use crate::limits::Limits;
use crate::reader::flow::LANGUAGE_BYTES;
use crate::reader::reference::ID_BYTES;
use crate::text::normalized;
use crate::themes::{Mark, Themes};
use crate::urn::Urn;

/// Memory that is reused from scheme to scheme.
#[derive(Debug, Default)]
pub(super) struct CategoryBuffers {
    /// The open categories, outermost first.
    open: Vec<OpenCategory>,
    /// Categories that state their parent, with its id.
    parents: Vec<(usize, String)>,
}

/// A category whose members are read.
#[derive(Debug)]
struct OpenCategory {
    index: usize,
    position: Position,
    /// The state without it, and without those inside it.
    before: Mark,
    seen: Seen,
    id: String,
    /// The best match of several languages.
    name: String,
    has_names: bool,
}

/// The parts of the reader of one scheme.
struct Reader<'a, R: Read> {
    json: &'a mut Json<R>,
    scheme: usize,
    /// The main language of the message.
    language: &'a str,
    buffers: &'a mut CategoryBuffers,
    themes: &'a mut Themes,
    limits: &'a Limits,
    diagnostics: &'a mut Diagnostics,
}

/// Reads the value of the member `categories` of a scheme.
pub(super) fn read<R: Read>(
    json: &mut Json<R>,
    scheme: usize,
    language: &str,
    buffers: &mut CategoryBuffers,
    themes: &mut Themes,
    limits: &Limits,
    diagnostics: &mut Diagnostics,
) -> Result<(), ParseError> {
    let value = json.value()?;
    if value != Value::Array {
        return json.skip_content(value);
    }
    buffers.open.clear();
    buffers.parents.clear();
    let before = themes.categories();
    let mut reader = Reader { json, scheme, language, buffers, themes, limits, diagnostics };
    reader.read()?;
    let Reader { buffers, themes, diagnostics, .. } = reader;
    themes.report_cycles(before, diagnostics);
    themes.set_parents(before, std::mem::take(&mut buffers.parents), diagnostics);
    Ok(())
}

// === impl Reader ===

impl<R: Read> Reader<'_, R> {
    /// Reads up to the end of the array that was entered last. Not by recursion: the limit of depth may be any.
    fn read(&mut self) -> Result<(), ParseError> {
        // Else within the members of the innermost category.
        let mut in_array = true;
        loop {
            if !in_array {
                if self.json.member()? {
                    in_array = self.member()?;
                } else {
                    self.close();
                    in_array = true;
                }
            } else if self.json.element()? {
                in_array = !self.open()?;
            } else if self.buffers.open.is_empty() {
                return Ok(());
            } else {
                in_array = false;
            }
        }
    }

    /// Reads the start of a category. Returns false if it was skipped.
    fn open(&mut self) -> Result<bool, ParseError> {
        let value = self.json.value()?;
        let position = self.json.position();
        let parent = self.buffers.open.last().map(|around| around.index);
        let before = self.themes.mark();
        let place = (self.scheme, parent);
        let index = match value {
            Value::Object => {
                self.themes.add_category(place, String::new(), position, self.limits, self.diagnostics)
            }
            other => {
                self.diagnostics.add(Reason::InvalidCategory, position, || {
                    format!("a category is {} and was skipped; expected an object", text::shown(other))
                });
                None
            }
        };
        let Some(index) = index else { return self.json.skip_content(value).map(|()| false) };
        let (id, name) = (String::new(), String::new());
        let seen = Seen::default();
        self.buffers.open.push(OpenCategory { index, position, before, seen, id, name, has_names: false });
        Ok(true)
    }

    /// Reads a member of the innermost category. Returns whether its value is an array of categories, which follow.
    fn member(&mut self) -> Result<bool, ParseError> {
        let Self { json, buffers, .. } = self;
        let Some(category) = buffers.open.last_mut() else { return json.skip().map(|()| false) };
        let member = Member::of(json.text());
        if !category.seen.add(member) {
            let name = json.text();
            self.diagnostics.add(Reason::InvalidMember, category.position, || {
                format!("category {} has the member {name:?} twice; the first counts", category.id)
            });
            return json.skip().map(|()| false);
        }
        match member {
            Member::Id => {
                if text::one(json)? == Text::One {
                    category.id = normalized(json.text()).0.into_owned();
                }
            }
            Member::Urn => {
                if text::one(json)? == Text::One && category.id.is_empty() {
                    let item = Urn::parse(json.text()).and_then(|urn| urn.item.rsplit('.').next());
                    item.unwrap_or_default().clone_into(&mut category.id);
                }
            }
            Member::Name | Member::Names => match text::one_or_more(json)? {
                Text::One => json.text().clone_into(&mut category.name),
                Text::ByLanguage => self.names()?,
                Text::Absent | Text::Other(_) => {}
            },
            Member::Parent => {
                if text::one(json)? == Text::One {
                    let id = Urn::parse(json.text()).map_or(json.text().trim_ascii(), |urn| urn.item);
                    let id = id.rsplit('.').next().unwrap_or_default();
                    if !id.is_empty() {
                        buffers.parents.push((category.index, id.to_owned()));
                    }
                }
            }
            Member::Categories => match json.value()? {
                Value::Array => return Ok(true),
                other => json.skip_content(other)?,
            },
            _ => json.skip()?,
        }
        Ok(false)
    }

    /// Reads the names of the innermost category, by language.
    fn names(&mut self) -> Result<(), ParseError> {
        let mut language = String::new();
        while self.json.member()? {
            self.json.text().trim_ascii().clone_into(&mut language);
            if text::one(self.json)? == Text::One {
                let name = normalized(self.json.text()).0.into_owned();
                self.add_name(&language, name);
            }
        }
        Ok(())
    }

    fn add_name(&mut self, language: &str, name: String) {
        let Some(category) = self.buffers.open.last_mut().filter(|_| !name.is_empty()) else { return };
        category.has_names = true;
        let language = if language.len() <= LANGUAGE_BYTES { language.to_owned() } else { String::new() };
        self.themes.add_name(category.index, (language, name), self.limits, self.diagnostics);
    }

    /// Interprets the innermost category at its end. Without a valid id, it and those inside it are dropped.
    fn close(&mut self) {
        if let Some(category) = self.buffers.open.last_mut().filter(|category| !category.has_names) {
            let name = normalized(&std::mem::take(&mut category.name)).0.into_owned();
            self.add_name(self.language, name);
        }
        let Some(OpenCategory { index, position, before, id, .. }) = self.buffers.open.pop() else { return };
        let is_valid = !id.is_empty() && id.len() <= ID_BYTES;
        if !is_valid {
            let length = id.len();
            self.diagnostics.add(Reason::InvalidCategory, position, || {
                format!("a category has an id of {length} bytes and was skipped; expected 1 to {ID_BYTES}")
            });
        }
        if !is_valid || !self.themes.identify_category(index, &id, self.limits, self.diagnostics) {
            self.themes.return_to(before);
            self.buffers.parents.retain(|(category, _)| *category < index);
        }
    }
}
