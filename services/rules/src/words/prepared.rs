//! Prepares the rules of a set for the words engine; every error names its field.

use std::collections::HashSet;

use crate::error::{RuleError, at_most, require};
use crate::keyword::Keyword;
use crate::limits::{MAX_KEYWORD_BYTES, MAX_LANGUAGES};
use crate::validate::check_points;
use crate::{Category, Rule, language};

/// A set of languages as bits; all bits for a rule without languages and for a text without one.
pub(super) type LanguageMask = u64;
pub(super) const ALL_LANGUAGES: LanguageMask = LanguageMask::MAX;

/// A validated set.
#[derive(Debug)]
pub(super) struct PreparedSet {
    pub(super) rules: Vec<PreparedRule>,
    pub(super) keywords: Vec<PreparedKeyword>,
    /// Bit `n` of a mask stands for `languages[n]`, in lower case.
    pub(super) languages: Vec<String>,
}

/// A rule without its keywords.
#[derive(Debug)]
pub(super) struct PreparedRule {
    pub(super) id: Box<str>,
    /// Its index among the rules sorted by id, which decides ties.
    pub(super) rank: usize,
    pub(super) category: Category,
    pub(super) priority: i32,
    pub(super) languages: LanguageMask,
}

/// A keyword of an enabled rule.
#[derive(Debug)]
pub(super) struct PreparedKeyword {
    pub(super) rule: usize,
    /// Priority x weight.
    pub(super) points: i32,
    pub(super) written: Box<str>,
    pub(super) pattern: Keyword,
}

impl PreparedSet {
    pub(super) fn new(source: &[Rule]) -> Result<Self, RuleError> {
        let mut languages = Vec::new();
        let mut rules = Vec::with_capacity(source.len());
        let mut keywords = Vec::new();
        let mut by_id: Vec<&str> = source.iter().map(|rule| rule.id.as_str()).collect();
        by_id.sort_unstable();
        for (index, rule) in source.iter().enumerate() {
            let at = |field: &str| format!("rules[{index}].{field}");
            check_points(rule.priority, || at("priority"))?;
            rules.push(PreparedRule {
                id: rule.id.as_str().into(),
                rank: by_id.partition_point(|id| *id < rule.id.as_str()),
                category: rule.category,
                priority: rule.priority,
                languages: mask(&rule.languages, &mut languages, &at)?,
            });
            let read = read_keywords(rule, index, &at)?;
            if !rule.disabled {
                keywords.extend(read);
            }
        }
        let bytes = keywords.iter().map(|keyword| keyword.pattern.bytes()).sum();
        at_most(MAX_KEYWORD_BYTES, bytes, || "rules".to_owned())?;
        Ok(Self { rules, keywords, languages })
    }
}

/// A rule's keywords, without duplicates.
fn read_keywords(
    rule: &Rule,
    index: usize,
    at: &impl Fn(&str) -> String,
) -> Result<Vec<PreparedKeyword>, RuleError> {
    require(!rule.keywords.is_empty(), || at("keywords"), || "must not be empty".to_owned())?;
    rule.check_weights(at)?;
    let mut known = HashSet::new();
    let mut keywords = Vec::with_capacity(rule.keywords.len());
    for (number, written) in rule.keywords.iter().enumerate() {
        let pattern = Keyword::parse(written, || at(&format!("keywords[{number}]")))?;
        let weight = rule.weights.get(written).copied().unwrap_or(1);
        if known.insert(pattern.clone()) {
            let points = rule.priority * weight;
            keywords.push(PreparedKeyword { rule: index, points, written: written.as_str().into(), pattern });
        }
    }
    Ok(keywords)
}

/// The bits of a rule's languages; new languages are added to `known`.
fn mask(
    languages: &[String],
    known: &mut Vec<String>,
    at: &impl Fn(&str) -> String,
) -> Result<LanguageMask, RuleError> {
    if languages.is_empty() {
        return Ok(ALL_LANGUAGES);
    }
    let mut mask = 0;
    for (number, tag) in languages.iter().enumerate() {
        let subtag = language::parse(tag, || at(&format!("languages[{number}]")))?;
        let bit = known.iter().position(|one| *one == subtag).unwrap_or_else(|| {
            known.push(subtag);
            known.len() - 1
        });
        at_most(MAX_LANGUAGES, known.len(), || at("languages"))?;
        mask |= 1 << bit;
    }
    Ok(mask)
}
