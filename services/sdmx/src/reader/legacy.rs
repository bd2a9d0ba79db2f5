//! The predecessor's extraction of names and descriptions, beside the standard one: raw text up to the first child
//! element, at any depth below the dataflow, Italian before English. It consumes the same events and does not depend on
//! the reader's state.

use crate::dataflow::LegacyFields;

/// The field that a captured text is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Italian,
    English,
    /// The Italian name, if there is none yet.
    ItalianIfUnset,
    Description,
}

/// Builds the fields of one dataflow.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    /// Set if the caller does not need the fields.
    pub(super) disabled: bool,
    fields: LegacyFields,
    described: bool,
    capturing: Option<Field>,
    text: String,
}

impl Legacy {
    /// Whether text is being captured.
    #[inline]
    pub(super) fn is_capturing(&self) -> bool {
        self.capturing.is_some()
    }

    /// Bytes of the text captured so far.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// An element starts, which ends the text of its parent.
    #[inline]
    pub(super) fn start(&mut self) {
        if self.capturing.is_some() {
            self.finish();
        }
    }

    /// A name element started. In documents without namespaces the predecessor treated any language as Italian, in
    /// others only texts without a language.
    pub(super) fn name(&mut self, language: &str, plain: bool) {
        self.capturing = match language {
            "it" => Some(Field::Italian),
            "en" => Some(Field::English),
            _ if plain || language.is_empty() => Some(Field::ItalianIfUnset),
            _ => None,
        }
        .filter(|_| !self.disabled);
    }

    /// A description element started; only the first one counts.
    pub(super) fn description(&mut self) {
        if !std::mem::replace(&mut self.described, true) && !self.disabled {
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
            // XML normalizes line ends to LF, so every consumer of XML must see LF.
            self.text.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
        } else {
            self.text.push_str(text);
        }
    }

    /// A character that was written as a reference: it is not normalized.
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

    /// The fields of a dataflow with this id. Resets for the next dataflow.
    pub(super) fn take(&mut self, id: &str) -> Option<Box<LegacyFields>> {
        if self.disabled {
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
