//! The words engine, compared with a simple one that tries every keyword at every word of every text.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::tests::{rule, set, texts};
use super::super::{Compiled, Mode, Scratch};
use super::search::{BREAKDOWN, DESCRIPTION, NAME};
use super::*;
use crate::MAX_EVIDENCE;
use crate::fold::fold_into;

/// A keyword before it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Model {
    /// For one of ids: the agency, or "".
    agency: Option<&'static str>,
    /// Whether the first word may start earlier.
    infix: bool,
    /// Each with whether it may continue.
    words: Vec<(&'static str, bool)>,
}

/// A word of a text, folded, and the positions of its letters in scalar values.
type Word = (Vec<u8>, Vec<u32>);

/// Ordered like hits; the weight, and the position in scalar values.
type Found = (usize, u32, Tenths);

const WORDS: [&str; 12] =
    ["by", "per", "la", "lab", "labour", "labou", "jobs", "job", "force", "xlab", "x1", "strasse"];

fn keyword() -> impl Strategy<Value = Model> {
    let words = prop::collection::vec((select(&WORDS[..]), any::<bool>()), 1..4);
    let agency = prop::option::weighted(0.2, select(&["", "AG", "B.C"][..]));
    (agency, prop::bool::weighted(0.2), words).prop_map(|(agency, infix, words)| Model {
        agency,
        infix,
        words,
    })
}

fn any_rule() -> impl Strategy<Value = (Rule, Vec<Model>)> {
    let keywords = prop::collection::btree_set(keyword(), 1..12);
    let languages = prop::collection::vec(select(&["en", "de", "pt-BR"][..]), 0..3);
    let category = select(&Category::ALL[..3]);
    ("[a-z]{4}", category, keywords, languages, 1..4, any::<bool>()).prop_map(
        |(id, category, keywords, languages, priority, is_weighted): (_, _, BTreeSet<Model>, _, _, _)| {
            let keywords: Vec<_> = keywords.into_iter().collect();
            let written: Vec<_> = keywords.iter().map(Model::written).collect();
            let weights = written.first().filter(|_| is_weighted).map(|first| (first.clone(), 3));
            let languages = languages.into_iter().map(str::to_owned).collect();
            let rule = Rule {
                keywords: written,
                weights: weights.into_iter().collect(),
                priority,
                languages,
                ..rule(&id, category, &[])
            };
            (rule, keywords)
        },
    )
}

fn text() -> impl Strategy<Value = (&'static str, String)> {
    let words = ["Làbour", "JOBS", "labourers", "Xxlab", "Straße", "ﬁrm", "x₁", "la\u{300}b", "l’lab", "by,"];
    let word = select([&WORDS[..], &words[..]].concat());
    let between = select(&[" ", "  ", ", ", " – ", "-", "'", "\u{a0}", " (", "... "][..]);
    let language = select(&["", "en", "EN-gb", "de", "pt", "it"][..]);
    (language, prop::collection::vec((word, between), 0..10)).prop_map(|(language, words)| {
        (language, words.into_iter().flat_map(|(word, between)| [word, between]).collect())
    })
}

fn id() -> impl Strategy<Value = String> {
    let token = select([&WORDS[..], &["LABOURX", "é"][..]].concat());
    let between = select(&["_", "-", "@", "__"][..]);
    prop::collection::vec((token, between), 0..4)
        .prop_map(|tokens| tokens.into_iter().flat_map(|(token, between)| [token, between]).collect())
}

// === impl Model ===

impl Model {
    fn written(&self) -> String {
        let words = self.words.iter().map(|(word, open)| format!("{word}{}", if *open { "*" } else { "" }));
        let words = words.collect::<Vec<_>>().join(" ");
        let prefix = match self.agency {
            None => String::new(),
            Some("") => "id:".to_owned(),
            Some(agency) => format!("id:{agency}/"),
        };
        format!("{prefix}{}{words}", if self.infix { "*" } else { "" })
    }

    /// Where the keyword begins in the word with this index, if it matches there: indexes of letters.
    fn matches_at(&self, words: &[Word], index: usize) -> Vec<usize> {
        let rest = self.words.iter().enumerate().skip(1);
        let rest_follows = rest.into_iter().all(|(next, (word, open))| {
            words.get(index + next).is_some_and(|(found, _)| {
                if *open { found.starts_with(word.as_bytes()) } else { found == word.as_bytes() }
            })
        });
        let (first, open) = self.words[0];
        let found = &words[index].0;
        let starts = if self.infix { 0..found.len() } else { 0..1 };
        let is_at = |start: &usize| {
            let found = &found[*start..];
            if open { found.starts_with(first.as_bytes()) } else { found == first.as_bytes() }
        };
        if rest_follows { starts.filter(is_at).collect() } else { Vec::new() }
    }

    /// The words up to the first that may continue.
    fn head(&self) -> usize {
        self.words.iter().position(|(_, open)| *open).map_or(self.words.len(), |open| open + 1)
    }

    fn is_of(&self, agency: &str) -> bool {
        match self.agency {
            None | Some("") => true,
            Some(wanted) => {
                agency.is_empty() || agency == wanted || agency.starts_with(&format!("{wanted}."))
            }
        }
    }
}

/// The words of a text. What a character folds to is what it adds between two letters.
fn words(text: &str) -> Vec<Word> {
    let mut words = vec![Word::default()];
    for (c, position) in text.chars().zip(0..) {
        let mut folded = Vec::new();
        fold_into(&format!("a{c}b"), SPACE, &mut folded);
        for &byte in &folded[2..folded.len() - 2] {
            let Some((word, positions)) = words.last_mut() else { continue };
            if byte == SPACE {
                words.push(Word::default());
            } else {
                word.push(byte);
                positions.push(position);
            }
        }
    }
    words.retain(|(word, _)| !word.is_empty());
    words
}

/// The first of the occurrences of a keyword that weigh most.
fn find(model: &Model, rule: &Rule, subject: &Subject<'_>) -> Option<Found> {
    let id = [(String::new(), subject.id.to_owned())];
    // The name of a dataflow without one is its id.
    let names = if subject.names.is_empty() { &id[..] } else { subject.names };
    let mut found: Option<Found> = None;
    for (text, (language, written)) in id.iter().chain(names).chain(subject.descriptions).enumerate() {
        let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_lowercase();
        let is_of_language = rule.languages.is_empty()
            || language.is_empty()
            || rule.languages.iter().any(|tag| primary(tag) == primary(language));
        if (text == 0) != model.agency.is_some() || !is_of_language || !model.is_of(subject.agency) {
            continue;
        }
        let words = words(written);
        let by = words.iter().position(|(word, _)| BREAKDOWN_WORDS.iter().any(|by| by.as_bytes() == word));
        for (index, (_, positions)) in words.iter().enumerate() {
            for letter in model.matches_at(&words, index) {
                let in_breakdown =
                    by.is_some_and(|by| by < index || (by == index && (model.infix || model.head() > 1)));
                let weight = Tenths::from(match () {
                    () if text == 0 => NAME,
                    () if text > names.len() => DESCRIPTION,
                    () if in_breakdown => BREAKDOWN,
                    () => NAME,
                });
                if found.is_none_or(|(_, _, most)| most < weight) {
                    found = Some((text, positions[letter], weight));
                }
            }
        }
    }
    found
}

/// The points of each category in tenths, the winner, and its evidence as (rule, keyword, field, offset).
type Outcome = ([Tenths; 7], Option<Category>, Vec<(String, String, String, u32)>);

fn reference(rules: &[(Rule, Vec<Model>)], subject: &Subject<'_>) -> Outcome {
    let mut tallies = [(0, None); 7];
    let mut hits = Vec::new();
    for (rule, models) in rules {
        for (model, written) in models.iter().zip(&rule.keywords) {
            let Some((text, offset, weight)) = find(model, rule, subject) else { continue };
            let points = rule.priority * rule.weights.get(written).unwrap_or(&1);
            let (sum, strongest) = &mut tallies[rule.category.index()];
            *sum += Tenths::from(points.unsigned_abs()) * weight;
            *strongest = (*strongest).max(Some((rule.priority, Reverse(&rule.id))));
            hits.push((Reverse(Tenths::from(points.unsigned_abs()) * weight), text, offset, rule, written));
        }
    }
    let matched = Category::ALL.into_iter().filter(|category| tallies[category.index()].0 > 0);
    let winner = matched.max_by_key(|category| tallies[category.index()]);
    hits.retain(|(_, _, _, rule, _)| Some(rule.category) == winner);
    // Stable: keywords at one position are in the order of the set.
    hits.sort_by_key(|(points, text, offset, ..)| (*points, *text, *offset));
    let evidence = hits.into_iter().take(MAX_EVIDENCE).map(|(_, text, offset, rule, written)| {
        let (field, ..) = evidence::field(subject, text);
        (rule.id.clone(), written.clone(), field.to_string(), offset)
    });
    (tallies.map(|(sum, _)| sum), winner, evidence.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn verdicts_are_those_of_the_reference(
        rules in prop::collection::vec(any_rule(), 1..5),
        id in id(),
        agency in select(&["", "AG", "AG.X", "AGX", "B.C"][..]),
        names in prop::collection::vec(text(), 0..3),
        descriptions in prop::collection::vec(text(), 0..3),
    ) {
        let pairs = |pairs: Vec<(&'static str, String)>| {
            texts(&pairs.iter().map(|(language, text)| (*language, text.as_str())).collect::<Vec<_>>())
        };
        let (names, descriptions) = (pairs(names), pairs(descriptions));
        let ids: BTreeSet<_> = rules.iter().map(|(rule, _)| &rule.id).collect();
        prop_assume!(ids.len() == rules.len());
        let set = set(Mode::Words, &rules.iter().map(|(rule, _)| rule.clone()).collect::<Vec<_>>());
        let compiled = Compiled::new(&set).unwrap();
        let subject = Subject { id: &id, agency, names: &names, descriptions: &descriptions, legacy: None };
        let verdict = compiled.categorize(&subject, &mut Scratch::default());
        let (sums, winner, evidence) = reference(&rules, &subject);
        prop_assert_eq!(Category::ALL.map(|category| verdict.points.tenths(category)), sums);
        prop_assert_eq!(verdict.category, winner.unwrap_or(Category::Other));
        let found: Vec<_> = verdict.evidence.iter().map(|found| {
            (found.keyword.rule_id.to_string(), found.keyword.written.to_string(), found.field.to_string(), found.offset)
        }).collect();
        prop_assert_eq!(found, evidence);
    }
}
