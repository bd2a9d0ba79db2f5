//! The annotations of an artefact.

use std::io::Read;

use super::Artefact;
use crate::error::ParseError;
use crate::json::Json;
use crate::reader::annotation;
use crate::reader::element::ElementContext;
use crate::reader::flow::Scratch;
use crate::reader::json::member::Member;
use crate::reader::json::text::{self, Text};

impl Artefact<'_> {
    pub(super) fn annotations<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        self.list(Member::Annotations, json, Self::annotation)
    }

    fn annotation<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        self.scratch.begin_annotation();
        self.scratch.text.clear();
        while json.member()? {
            let annotation = &mut self.scratch.annotation;
            let field = match json.text() {
                "id" => &mut annotation.id,
                "type" => &mut annotation.kind,
                "title" => &mut annotation.title,
                "value" => &mut annotation.value,
                "text" | "texts" => {
                    self.annotation_texts(json)?;
                    continue;
                }
                "links" => {
                    self.annotation_links(json)?;
                    continue;
                }
                _ => {
                    json.skip()?;
                    continue;
                }
            };
            match text::one(json)? {
                Text::One => json.text().clone_into(field),
                Text::ByLanguage | Text::Absent => {}
                Text::Other(value) => self.report_type(Member::Annotations, value, "texts"),
            }
        }
        if self.scratch.annotation.texts.is_empty() && !self.scratch.text.is_empty() {
            self.language.clone_into(&mut self.scratch.language);
            self.add_annotation_text();
        }
        let Scratch { annotation, keep_annotations, .. } = &*self.scratch;
        self.builder.add_annotation(annotation, *keep_annotations, self.limits);
        Ok(())
    }

    fn annotation_texts<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        match text::one_or_more(json)? {
            Text::One => json.text().clone_into(&mut self.scratch.text),
            Text::ByLanguage => {
                // What is there is the best match, which is among these.
                let best_match = std::mem::take(&mut self.scratch.text);
                while json.member()? {
                    json.text().clone_into(&mut self.scratch.language);
                    if self.text(Member::Annotations, json)? {
                        json.text().clone_into(&mut self.scratch.text);
                        self.add_annotation_text();
                    }
                }
                self.scratch.text = best_match;
            }
            Text::Absent => {}
            Text::Other(value) => self.report_type(Member::Annotations, value, "texts"),
        }
        Ok(())
    }

    /// Adds the text in the scratch to the annotation, in the language there.
    fn add_annotation_text(&mut self) {
        let Scratch { text, language, annotation, room, .. } = &mut *self.scratch;
        self.builder.check_language(language);
        annotation::set_text(ElementContext::AnnotationText, text, language, annotation, room);
    }

    /// The URL of an annotation is its first link.
    fn annotation_links<R: Read>(&mut self, json: &mut Json<R>) -> Result<(), ParseError> {
        self.list(Member::Annotations, json, |artefact, json| {
            while json.member()? {
                if json.text() != "href" {
                    json.skip()?;
                } else if text::one(json)? == Text::One && artefact.scratch.annotation.url.is_empty() {
                    json.text().clone_into(&mut artefact.scratch.annotation.url);
                }
            }
            Ok(())
        })
    }
}
