//! The matches that count for a category, as evidence.

use std::cmp::Reverse;

use super::{Engine, Scratch, shown_names};
use crate::fold::{Offsets, SPACE, UNDERSCORE};
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
        let Scratch { hits, texts, .. } = scratch;
        hits.retain(|hit| self.scores[hit.keyword as usize].category == winner);
        if hits.len() > MAX_EVIDENCE {
            hits.sort_unstable_by_key(|hit| (Reverse(self.points_of(hit)), *hit));
            hits.truncate(MAX_EVIDENCE);
        }
        // Positions are read in the order of the texts.
        hits.sort_unstable();
        for hits in hits.chunk_by_mut(|one, next| one.text == next.text) {
            let text = hits[0].text;
            let (_, written, gap) = field(subject, text);
            let seen = if texts[text].is_rewritten { visible(written) } else { Visible::Written(written) };
            let mut offsets = Offsets::new(seen.text(), gap);
            for hit in hits {
                hit.offset = seen.origin(offsets.at(hit.at));
            }
        }
        hits.sort_unstable_by_key(|hit| (Reverse(self.points_of(hit)), *hit));
        let found = hits.iter().map(|hit| {
            let (field, ..) = field(subject, hit.text);
            Match { keyword: &self.names[hit.keyword as usize], field, offset: hit.offset }
        });
        found.collect()
    }
}

/// The text with this index in the haystack: id, names, descriptions.
pub(super) fn field<'a>(subject: &Subject<'a>, number: usize) -> (Field<'a>, &'a str, u8) {
    let Some(number) = number.checked_sub(1) else { return (Field::Id, subject.id, UNDERSCORE) };
    if let Some(number) = number.checked_sub(shown_names(subject)) {
        let (language, text) = &subject.descriptions[number];
        return (Field::Description(language), text, SPACE);
    }
    match subject.names.get(number) {
        Some((language, text)) => (Field::Name(language), text, SPACE),
        None => (Field::Id, subject.id, SPACE),
    }
}
