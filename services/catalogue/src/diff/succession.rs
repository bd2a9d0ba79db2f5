//! Finds what probably succeeds a dataflow that was removed, among those that were added: some providers rename by removing
//! and adding.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use dataflow_sdmx::Dataflow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::change::Reason;
use crate::content::ListedDataflow;

/// A dataflow that was removed or added.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) dataflow: Dataflow,
    /// Its names in words, by language.
    names: Vec<(String, Vec<String>)>,
}

/// The most dataflows with one property that are looked at: what so many have in common tells nothing.
const MOST_ALIKE: usize = 32;

/// The points from which one dataflow succeeds another: two reasons, or a name that no other dataflow has.
const ENOUGH: u32 = 5;

/// What two dataflows may have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Property<'a> {
    Name(&'a str, String),
    Structure(&'a str, &'a str),
    Family(&'a str, &'a str),
}

/// The successors: the indices of both, and the reasons. At most one for each that was removed, and none if two are
/// equally probable.
pub(super) fn find(removed: &[Candidate], added: &[Candidate]) -> Vec<(usize, usize, Vec<Reason>)> {
    if removed.is_empty() || added.is_empty() {
        return Vec::new();
    }
    let (old, new) = (by_property(removed), by_property(added));
    let unique = |property: &Property<'_>| {
        [&old, &new].iter().all(|all| all.get(property).is_some_and(|with| with.len() == 1))
    };
    let successor = |(index, candidate): (usize, &Candidate)| {
        let properties = candidate.properties();
        let alike = properties.iter().filter_map(|property| new.get(property));
        let alike: BTreeSet<usize> =
            alike.filter(|with| with.len() <= MOST_ALIKE).flatten().copied().collect();
        let mut ranked: Vec<_> = alike
            .into_iter()
            .map(|other| {
                let reasons = candidate.reasons(&added[other]);
                let others = added[other].properties();
                let is_unique = |property: &Property<'_>| {
                    matches!(property, Property::Name(..)) && others.contains(property) && unique(property)
                };
                let bonus = if properties.iter().any(is_unique) { 2 } else { 0 };
                let points = reasons.iter().map(|reason| reason.points()).sum::<u32>() + bonus;
                (points, other, reasons)
            })
            .collect();
        ranked.sort_by_key(|(points, other, _)| (Reverse(*points), *other));
        let is_tie = ranked.get(1).is_some_and(|(points, ..)| *points == ranked[0].0);
        let (points, other, reasons) = ranked.into_iter().next()?;
        (points >= ENOUGH && !is_tie).then_some((index, other, reasons))
    };
    removed.iter().enumerate().filter_map(successor).collect()
}

fn by_property(candidates: &[Candidate]) -> HashMap<Property<'_>, Vec<usize>> {
    let mut by_property = HashMap::<_, Vec<usize>>::new();
    for (index, candidate) in candidates.iter().enumerate() {
        for property in candidate.properties() {
            let with = by_property.entry(property).or_default();
            // One more than are looked at, so that there are too many.
            if with.len() <= MOST_ALIKE {
                with.push(index);
            }
        }
    }
    by_property
}

/// The words of a text, without case, accents and punctuation.
fn words(text: &str) -> Vec<String> {
    let folded: String = text.nfd().filter(|letter| !is_combining_mark(*letter)).collect();
    let words = folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// The part of an identifier before its last separator; empty if it has none.
fn family(id: &str) -> &str {
    id.rfind(['_', '-', '.', '@', ':']).map_or("", |end| &id[..end])
}

// === impl Candidate ===

impl Candidate {
    pub(super) fn new(listed: ListedDataflow) -> Self {
        let names = listed.dataflow.names.iter();
        let names = names.map(|(language, name)| (language.to_ascii_lowercase(), words(name)));
        Self { names: names.collect(), dataflow: listed.dataflow }
    }

    fn properties(&self) -> Vec<Property<'_>> {
        let Dataflow { agency_id, id, structure, .. } = &self.dataflow;
        let names = self.names.iter().filter(|(_, words)| !words.is_empty());
        let names = names.map(|(language, words)| Property::Name(language, words.join(" ")));
        let structure = structure.as_ref().map(|found| Property::Structure(&found.agency_id, &found.id));
        let own = (!family(id).is_empty()).then(|| Property::Family(agency_id, family(id)));
        names.chain(structure).chain(own).collect()
    }

    /// What it has in common with another one.
    fn reasons(&self, other: &Self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let pairs = self.names.iter().flat_map(|(language, words)| {
            let same = other.names.iter().filter(move |(of, _)| of == language);
            same.map(move |(_, others)| (words, others))
        });
        let pairs: Vec<_> = pairs.filter(|(words, others)| !words.is_empty() && !others.is_empty()).collect();
        if pairs.iter().any(|(words, others)| words == others) {
            reasons.push(Reason::SameName);
        } else if pairs.iter().any(|(words, others)| are_similar(words, others)) {
            reasons.push(Reason::SimilarName);
        }
        let [own, others] = [self, other].map(|one| one.dataflow.structure.as_ref());
        if own.is_some() && own.map(|of| (&of.agency_id, &of.id)) == others.map(|of| (&of.agency_id, &of.id))
        {
            reasons.push(Reason::SameStructure);
        }
        let [own, others] = [self, other].map(|one| family(&one.dataflow.id));
        let is_within = |family: &str, id: &str| {
            let rest = id.strip_prefix(family);
            !family.is_empty() && rest.is_some_and(|rest| rest.starts_with(['_', '-', '.', '@', ':']))
        };
        let ids = (&self.dataflow.id, &other.dataflow.id);
        if is_within(own, ids.1)
            || is_within(others, ids.0)
            || is_within(ids.0, ids.1)
            || is_within(ids.1, ids.0)
        {
            reasons.push(Reason::SameFamily);
        }
        reasons
    }
}

/// Whether two names share at least two thirds of all their words.
fn are_similar(one: &[String], other: &[String]) -> bool {
    let (one, other): (BTreeSet<_>, BTreeSet<_>) = (one.iter().collect(), other.iter().collect());
    3 * one.intersection(&other).count() >= 2 * one.union(&other).count()
}

// === impl Reason ===

impl Reason {
    fn points(self) -> u32 {
        match self {
            Self::SameName => 3,
            Self::SimilarName | Self::SameStructure | Self::SameFamily => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_accents_and_punctuation() {
        assert_eq!(words("Età, «Sesso» – 2011"), ["eta", "sesso", "2011"]);
        assert_eq!(words(" - "), Vec::<String>::new());
        let words = |text| words(text);
        assert!(are_similar(&words("a b c"), &words("c b a")));
        assert!(are_similar(&words("a b c d e"), &words("a b c d")));
        assert!(!are_similar(&words("a b c"), &words("a b d")));
    }

    #[test]
    fn the_family_ends_before_the_last_separator() {
        for (id, expected) in
            [("22_289", "22"), ("41_269_DF_1", "41_269_DF"), ("NAMA", ""), ("DSD@DF", "DSD"), ("", "")]
        {
            assert_eq!(family(id), expected);
        }
    }
}
