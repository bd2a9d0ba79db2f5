//! A rule set as people write it and as services exchange it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Category;
use crate::limits::DEFAULT_PRIORITY;

/// How keywords are read and points are counted. Fixed for a rule set's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// The predecessor's semantics: plain substrings of one lower-cased text.
    Substring,
    /// Folded words, prefixes, phrases, weights and languages.
    Words,
}

/// A named set of rules in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleSet {
    /// `default`, `legacy`, or a tenant's own name; 1 to [`MAX_NAME`](crate::limits::MAX_NAME) characters of
    /// `a-z 0-9 _ -`.
    #[serde(rename = "ruleset")]
    pub name: String,
    /// What the keywords mean.
    pub mode: Mode,
    /// Counts up from 1 with every change; part of the key of cached results. Not part of a file: what is read from one
    /// is at its first revision.
    #[serde(skip, default = "first_revision")]
    pub revision: i64,
    /// In the order that decides ties in [`Mode::Substring`].
    pub rules: Vec<Rule>,
}

/// Keywords that speak for one category.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Unique in its set; 1 to [`MAX_RULE_ID`](crate::limits::MAX_RULE_ID) bytes.
    #[serde(rename = "ruleId")]
    pub id: String,
    /// What a match speaks for.
    pub category: Category,
    /// At least one; the crate's page has the syntax in each mode.
    pub keywords: Vec<String>,
    /// Points for one match, 1 to [`MAX_POINTS`](crate::limits::MAX_POINTS). The engine of [`Mode::Substring`] takes any
    /// number, of which only a positive sum can win.
    #[serde(default = "default_priority")]
    pub priority: i32,
    /// Factors for single keywords, by the keyword as written above: 1 to [`MAX_POINTS`](crate::limits::MAX_POINTS), 1
    /// when absent. [`Mode::Words`] only.
    #[serde(default)]
    pub weights: BTreeMap<String, i32>,
    /// Language tags of the texts that are searched, of which the primary subtag counts (`en` of `en-GB`); empty for all.
    /// Texts without a language are searched by every rule. [`Mode::Words`] only.
    #[serde(default)]
    pub languages: Vec<String>,
    /// A disabled rule is validated and otherwise ignored.
    #[serde(default)]
    pub disabled: bool,
    /// For the people who review the rules.
    #[serde(default)]
    pub description: String,
}

fn first_revision() -> i64 {
    1
}

fn default_priority() -> i32 {
    DEFAULT_PRIORITY
}
