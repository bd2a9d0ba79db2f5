//! A rule set as people write it and services exchange it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Category;
use crate::limits::DEFAULT_PRIORITY;

/// How keywords are interpreted and points are counted. Fixed for the lifetime of a rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// The predecessor's semantics: plain substrings of one text in lower case.
    Substring,
    /// Folded words, prefixes, phrases, weights and languages.
    Words,
}

/// A named set of rules in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleSet {
    /// `default`, `legacy`, or a custom name; 1 to [`MAX_NAME`](crate::limits::MAX_NAME) characters of `a-z 0-9 _ -`.
    #[serde(rename = "ruleset")]
    pub name: String,
    /// Defines the meaning of the keywords.
    pub mode: Mode,
    /// Counts the changes, from 1; part of the key of cached results. Not part of a file: a set from a file is at its
    /// first revision.
    #[serde(skip, default = "first_revision")]
    pub revision: i64,
    /// Their order decides ties in [`Mode::Substring`].
    pub rules: Vec<Rule>,
}

/// Keywords that support one category.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Unique within its set; 1 to [`MAX_RULE_ID`](crate::limits::MAX_RULE_ID) bytes.
    #[serde(rename = "ruleId")]
    pub id: String,
    /// The category that a match supports.
    pub category: Category,
    /// At least one; the crate documentation describes the syntax in each mode.
    pub keywords: Vec<String>,
    /// Points for one match, 1 to [`MAX_POINTS`](crate::limits::MAX_POINTS). The engine of [`Mode::Substring`] accepts
    /// any number, but only a positive sum can win.
    #[serde(default = "default_priority", skip_serializing_if = "is_default_priority")]
    pub priority: i32,
    /// Factors for single keywords, by the keyword as written above: 1 to [`MAX_POINTS`](crate::limits::MAX_POINTS),
    /// default 1. [`Mode::Words`] only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, i32>,
    /// Language tags of the texts that the rule searches, compared by primary subtag (`en` of `en-GB`); empty for all.
    /// Every rule searches texts without a language. [`Mode::Words`] only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// A disabled rule is validated and otherwise ignored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// For reviewers of the rules.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

fn first_revision() -> i64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_default_priority(priority: &i32) -> bool {
    *priority == DEFAULT_PRIORITY
}

fn default_priority() -> i32 {
    DEFAULT_PRIORITY
}
