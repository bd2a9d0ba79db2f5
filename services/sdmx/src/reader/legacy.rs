//! The predecessor's reading of names and descriptions, beside our own: raw text up to the first child element, at any
//! depth below the dataflow, Italian before English. It watches the same events and asks nothing of the reader.

use crate::dataflow::LegacyFields;

/// Which field a captured text will go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Italian,
    English,
    /// The Italian name, unless there is one.
    ItalianIfUnset,
    Description,
}

/// Gathers the fields of one dataflow.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    /// Nobody wants the fields.
    pub(super) declined: bool,
    fields: LegacyFields,
    described: bool,
    capturing: Option<Field>,
    text: String,
}

impl Legacy {
    /// Whether the text that comes is to be kept.
    #[inline]
    pub(super) fn is_capturing(&self) -> bool {
        self.capturing.is_some()
    }

    /// Bytes of the text that is being captured.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// An element begins, and with it ends the text of the one around it.
    #[inline]
    pub(super) fn start(&mut self) {
        if self.capturing.is_some() {
            self.finish();
        }
    }

    /// The element that began is a name. In documents without namespaces the predecessor took any language for
    /// Italian, in others only texts without one.
    pub(super) fn name(&mut self, language: &str, plain: bool) {
        self.capturing = match language {
            "it" => Some(Field::Italian),
            "en" => Some(Field::English),
            _ if plain || language.is_empty() => Some(Field::ItalianIfUnset),
            _ => None,
        }
        .filter(|_| !self.declined);
    }

    /// The element that began is a description; only the first counts.
    pub(super) fn description(&mut self) {
        if !std::mem::replace(&mut self.described, true) && !self.declined {
            self.capturing = Some(Field::Description);
        }
    }

    /// A piece of text.
    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        if self.capturing.is_none() {
            return;
        }
        if text.contains('\r') {
            // XML knows one line end only; whoever reads XML must see it so.
            self.text.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
        } else {
            self.text.push_str(text);
        }
    }

    /// A character that was written as a reference: it stays what it is.
    pub(super) fn character(&mut self, character: char) {
        if self.capturing.is_some() {
            self.text.push(character);
        }
    }

    /// An element ends.
    #[inline]
    pub(super) fn end(&mut self) {
        if self.capturing.is_some() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let field = match self.capturing.take() {
            Some(Field::Italian) => &mut self.fields.name_it,
            Some(Field::ItalianIfUnset) if self.fields.name_it.is_empty() => &mut self.fields.name_it,
            Some(Field::English) => &mut self.fields.name_en,
            Some(Field::Description) => &mut self.fields.description,
            Some(Field::ItalianIfUnset) | None => return self.text.clear(),
        };
        field.clear();
        field.push_str(&self.text);
        self.text.clear();
    }

    /// The fields of a dataflow with this id; ready for the next dataflow.
    pub(super) fn take(&mut self, id: &str) -> Option<Box<LegacyFields>> {
        if self.declined {
            return None;
        }
        let mut fields = std::mem::take(&mut self.fields);
        let display = [&fields.name_it, &fields.name_en].into_iter().find(|name| !name.is_empty());
        fields.display_name = display.map_or(id, String::as_str).to_owned();
        self.described = false;
        self.capturing = None;
        self.text.clear();
        Some(Box::new(fields))
    }
}
