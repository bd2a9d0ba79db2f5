//! The fields of one annotation, from the elements or members that write them.

use super::element::ElementContext;
use crate::dataflow::Annotation;
use crate::text::is_blank;

/// Limit for the texts of one annotation in all languages; the rest is dropped.
pub(super) const ANNOTATION_BYTES: usize = 1 << 20;

/// Memory of an empty text: two strings and their heap allocations.
const TEXT_OVERHEAD: usize = 80;

/// Stores a text of an annotation as written, because few annotations are inspected further; `room` limits its texts in
/// several languages.
pub(super) fn set_text(
    context: ElementContext,
    text: &mut String,
    language: &str,
    annotation: &mut Annotation,
    room: &mut usize,
) {
    let field = match context {
        ElementContext::AnnotationTitle => &mut annotation.title,
        ElementContext::AnnotationType => &mut annotation.kind,
        ElementContext::AnnotationUrl if is_blank(&annotation.url) => &mut annotation.url,
        ElementContext::AnnotationValue => &mut annotation.value,
        ElementContext::AnnotationText if !is_blank(text) && *room > 0 => {
            *room = room.saturating_sub(language.len() + text.len() + TEXT_OVERHEAD);
            return annotation.texts.push((language.trim().to_owned(), text.clone()));
        }
        _ => return,
    };
    std::mem::swap(field, text);
}
