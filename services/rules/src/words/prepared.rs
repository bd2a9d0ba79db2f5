//! Prepares the rules of a set for the words engine; every error names its field.

use std::collections::HashSet;
use std::sync::Arc;

use super::languages::{ALL_LANGUAGES, LanguageMask};
use super::score::Score;
use crate::error::{RuleError, at_most, require};
use crate::keyword::Keyword;
use crate::limits::{MAX_KEYWORD_BYTES, MAX_LANGUAGES};
use crate::validate::check_points;
use crate::{Rule, RuleKeyword, language};

/// A validated set. The keywords are those of enabled rules, with the score and the name of each.
#[derive(Debug, Default)]
pub(super) struct PreparedSet {
    pub(super) keywords: Vec<Keyword>,
    pub(super) scores: Vec<Score>,
    pub(super) names: Vec<Arc<RuleKeyword>>,
    /// Bit `n` of a mask stands for `languages[n]`, in lower case.
    pub(super) languages: Vec<String>,
}

impl PreparedSet {
    pub(super) fn new(rules: &[Rule]) -> Result<Self, RuleError> {
        let mut set = Self::default();
        let mut by_id: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        by_id.sort_unstable();
        for (index, rule) in rules.iter().enumerate() {
            let at = |field: &str| format!("rules[{index}].{field}");
            check_points(rule.priority, || at("priority"))?;
            let rank = by_id.partition_point(|id| *id < rule.id.as_str());
            let languages = mask(&rule.languages, &mut set.languages, &at)?;
            let id = Arc::<str>::from(rule.id.as_str());
            for (written, keyword) in read_keywords(rule, &at)? {
                if rule.disabled {
                    continue;
                }
                set.scores.push(Score::new(rule, rank, languages, written, &keyword));
                set.names.push(Arc::new(RuleKeyword { rule_id: Arc::clone(&id), written: written.into() }));
                set.keywords.push(keyword);
            }
        }
        let bytes = set.keywords.iter().map(Keyword::bytes).sum();
        at_most(MAX_KEYWORD_BYTES, bytes, || "rules".to_owned())?;
        Ok(set)
    }
}

/// A rule's keywords as written and parsed, without duplicates.
fn read_keywords<'a>(
    rule: &'a Rule,
    at: &impl Fn(&str) -> String,
) -> Result<Vec<(&'a str, Keyword)>, RuleError> {
    require(!rule.keywords.is_empty(), || at("keywords"), || "must not be empty".to_owned())?;
    rule.check_weights(at)?;
    let mut known = HashSet::with_capacity(rule.keywords.len());
    let mut keywords = Vec::with_capacity(rule.keywords.len());
    for (number, written) in rule.keywords.iter().enumerate() {
        let keyword = Keyword::parse(written, || at(&format!("keywords[{number}]")))?;
        if known.insert(keyword.clone()) {
            keywords.push((written.as_str(), keyword));
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
