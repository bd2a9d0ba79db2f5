//! From rules as people edit them to what the words engine works with; every mistake is named.

use std::collections::HashSet;

use super::super::error::{Limit, RuleError, quoted};
use super::super::keyword::Keyword;
use super::super::{Category, Rule};

/// Languages as bits; all of them for a rule without languages and for a text without one.
pub(super) type Languages = u64;
pub(super) const ALL: Languages = Languages::MAX;

/// A validated set.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) rules: Vec<Speaker>,
    pub(super) entries: Vec<Entry>,
    /// Bit `n` of a mask is `languages[n]`, lower case.
    pub(super) languages: Vec<String>,
}

/// What is left of a rule once its keywords are taken out.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) id: Box<str>,
    /// Its place among the rules by id, which settles ties.
    pub(super) rank: usize,
    pub(super) category: Category,
    pub(super) priority: i32,
    pub(super) languages: Languages,
}

/// A keyword of an active rule.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rule: usize,
    /// Priority x weight.
    pub(super) points: i32,
    pub(super) written: Box<str>,
    pub(super) keyword: Keyword,
}

impl Prepared {
    pub(super) fn new(source: &[Rule]) -> Result<Self, RuleError> {
        let mut languages = Vec::new();
        let mut rules = Vec::with_capacity(source.len());
        let mut entries = Vec::new();
        let mut by_id: Vec<&str> = source.iter().map(|rule| rule.id.as_str()).collect();
        by_id.sort_unstable();
        for (index, rule) in source.iter().enumerate() {
            let at = |field: &str| format!("rules[{index}].{field}");
            rules.push(Speaker {
                id: rule.id.as_str().into(),
                rank: by_id.partition_point(|id| *id < rule.id.as_str()),
                category: rule.category,
                priority: between_1_and_1000(rule.priority, || at("priority"))?,
                languages: mask(&rule.languages, &mut languages, &at)?,
            });
            let read = read_keywords(rule, index, &at)?;
            if rule.active {
                entries.extend(read);
            }
        }
        let bytes = entries.iter().map(|entry| entry.keyword.bytes()).sum();
        Limit::KeywordBytes.check(bytes, || "rules".to_owned())?;
        Ok(Self { rules, entries, languages })
    }
}

/// A rule's keywords, each once.
fn read_keywords(rule: &Rule, index: usize, at: &impl Fn(&str) -> String) -> Result<Vec<Entry>, RuleError> {
    if rule.keywords.is_empty() {
        let found = "empty".to_owned();
        return Err(RuleError::Invalid { field: at("keywords"), found, expected: "at least one keyword" });
    }
    if let Some(stray) = rule.weights.keys().find(|keyword| !rule.keywords.contains(keyword)) {
        let found = "for no keyword".to_owned();
        let field = at(&format!("weights[{}]", quoted(stray)));
        return Err(RuleError::Invalid { field, found, expected: "a keyword as the rule writes it" });
    }
    let mut known = HashSet::new();
    let mut entries = Vec::with_capacity(rule.keywords.len());
    for (number, written) in rule.keywords.iter().enumerate() {
        let keyword = Keyword::parse(written, || at(&format!("keywords[{number}]")))?;
        let weight = rule.weights.get(written).map_or(Ok(1), |weight| {
            let weight = i32::try_from(*weight).unwrap_or(i32::MAX);
            between_1_and_1000(weight, || at(&format!("weights[{}]", quoted(written))))
        })?;
        if known.insert(keyword.clone()) {
            let points = rule.priority * weight;
            entries.push(Entry { rule: index, points, written: written.as_str().into(), keyword });
        }
    }
    Ok(entries)
}

fn between_1_and_1000(value: i32, field: impl FnOnce() -> String) -> Result<i32, RuleError> {
    if (1..=1000).contains(&value) {
        return Ok(value);
    }
    Err(RuleError::Invalid { field: field(), found: value.to_string(), expected: "1 to 1000" })
}

/// The bits of a rule's languages; new ones are added to `known`.
fn mask(
    languages: &[String],
    known: &mut Vec<String>,
    at: &impl Fn(&str) -> String,
) -> Result<Languages, RuleError> {
    if languages.is_empty() {
        return Ok(ALL);
    }
    let mut mask = 0;
    for (number, language) in languages.iter().enumerate() {
        let subtag = primary_subtag(language).to_ascii_lowercase();
        if !(2..=8).contains(&subtag.len()) || !subtag.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let field = at(&format!("languages[{number}]"));
            let expected = "a language tag such as `it` or `pt-BR`";
            return Err(RuleError::Invalid { field, found: quoted(language), expected });
        }
        let bit = known.iter().position(|one| *one == subtag).unwrap_or_else(|| {
            known.push(subtag);
            known.len() - 1
        });
        Limit::Languages.check(known.len(), || at("languages"))?;
        mask |= 1 << bit;
    }
    Ok(mask)
}

/// `en` of `en-GB` and `en_GB`.
pub(super) fn primary_subtag(language: &str) -> &str {
    language.split(['-', '_']).next().unwrap_or(language)
}
