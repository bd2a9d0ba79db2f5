//! The matches that count for a category, as evidence.

use std::cmp::Reverse;

use super::{Engine, Scratch, Text, shown_names};
use crate::fold;
use crate::visible::{Visible, visible};
use crate::{Category, Field, MAX_EVIDENCE, Match, Subject};

// === impl Engine ===

impl Engine {
    /// The strongest hits of the winning category, the strongest first.
    pub(super) fn evidence<'a>(
        &'a self,
        winner: Category,
        subject: &Subject<'a>,
        scratch: &mut Scratch,
    ) -> Vec<Match<'a>> {
        let Scratch { hits, texts, anchors, .. } = scratch;
        hits.retain(|hit| self.scores[hit.keyword as usize].category == winner);
        if hits.len() > MAX_EVIDENCE {
            hits.sort_unstable_by_key(|hit| (Reverse(self.points_of(hit)), *hit));
            hits.truncate(MAX_EVIDENCE);
        }
        // Positions are read in the order of the texts.
        hits.sort_unstable();
        for hits in hits.chunk_by_mut(|one, next| one.text == next.text) {
            let text = hits[0].text;
            let Text { start, first_anchor, is_rewritten, .. } = texts[text];
            let (_, written) = field(subject, text);
            let seen = if is_rewritten { visible(written) } else { Visible::Written(written) };
            let end = texts.get(text + 1).map_or(anchors.len(), |next| next.first_anchor);
            let (mut from, mut passed) = (0, 0);
            for hit in hits {
                let origin = fold::origin(seen.text(), &anchors[first_anchor..end], start + hit.at);
                passed += seen.text()[from..origin].chars().count();
                from = origin;
                hit.offset = seen.origin(u32::try_from(passed).unwrap_or(u32::MAX));
            }
        }
        hits.sort_unstable_by_key(|hit| (Reverse(self.points_of(hit)), *hit));
        let found = hits.iter().map(|hit| {
            let (field, _) = field(subject, hit.text);
            Match { keyword: &self.names[hit.keyword as usize], field, offset: hit.offset }
        });
        found.collect()
    }
}

/// The text with this index in the haystack: id, names, descriptions.
pub(super) fn field<'a>(subject: &Subject<'a>, number: usize) -> (Field<'a>, &'a str) {
    let Some(number) = number.checked_sub(1) else { return (Field::Id, subject.id) };
    if let Some(number) = number.checked_sub(shown_names(subject)) {
        let (language, text) = &subject.descriptions[number];
        return (Field::Description(language), text);
    }
    match subject.names.get(number) {
        Some((language, text)) => (Field::Name(language), text),
        None => (Field::Id, subject.id),
    }
}
