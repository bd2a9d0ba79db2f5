//! What a rule set is, and what makes one valid. The keywords' own syntax is the business of the engine that compiles
//! them; here is checked what holds for every engine.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use crate::Error;

/// Longest name of a rule set, in bytes.
pub const MAX_NAME: usize = 64;
/// Longest identifier of a rule, in bytes.
pub const MAX_RULE_ID: usize = 128;
/// Longest keyword, in bytes.
pub const MAX_KEYWORD: usize = 256;
/// The priority of a rule that states none.
pub const DEFAULT_PRIORITY: i32 = 5;
/// What a priority and a weight may be at most; both are at least 1.
pub const MAX_POINTS: i32 = 1000;

/// A named set of rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ruleset {
    /// 1 to [`MAX_NAME`] characters of `a-z 0-9 _ -`.
    #[serde(rename = "ruleset")]
    pub name: String,
    /// How keywords are compared.
    pub mode: Mode,
    /// Counts changes from 1. Not part of a file: what is read from one is at its first revision.
    #[serde(skip, default = "first_revision")]
    pub revision: i64,
    /// In evaluation order.
    pub rules: Vec<Rule>,
}

/// How keywords are compared with texts; see the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum Mode {
    Substring,
    Words,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Unique within the set; 1 to [`MAX_RULE_ID`] bytes.
    pub rule_id: String,
    /// What a match speaks for.
    pub category: Category,
    /// What to look for, at least one.
    pub keywords: Vec<String>,
    /// What one match adds, 1 to [`MAX_POINTS`].
    #[serde(default = "default_priority")]
    pub priority: i32,
    /// Factors for single keywords, 1 to [`MAX_POINTS`].
    #[serde(default)]
    pub weights: BTreeMap<String, i32>,
    /// Language tags; empty means all.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Left out for now.
    #[serde(default)]
    pub disabled: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// The seven classes; see the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum Category {
    Population,
    Economy,
    Labour,
    Territory,
    Education,
    Health,
    Other,
}

fn first_revision() -> i64 {
    1
}

fn default_priority() -> i32 {
    DEFAULT_PRIORITY
}

// === impl Ruleset ===

impl Ruleset {
    /// Checks the whole set.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetInvalid`] names the first field that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        require(
            (1..=MAX_NAME).contains(&self.name.len()) && self.name.bytes().all(named),
            || "ruleset".to_owned(),
            || format!("must be 1 to {MAX_NAME} characters of a-z 0-9 _ -, is {:?}", self.name),
        )?;
        let mut seen = HashSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let field = |name: &str| format!("rules[{index}].{name}");
            rule.validate(self.mode, field)?;
            require(
                seen.insert(&rule.rule_id),
                || field("ruleId"),
                || format!("must be unique within the set, {:?} is there already", rule.rule_id),
            )?;
        }
        Ok(())
    }
}

impl Rule {
    fn validate(&self, mode: Mode, field: impl Fn(&str) -> String) -> Result<(), Error> {
        let points = |value: i32| (1..=MAX_POINTS).contains(&value);
        require(
            (1..=MAX_RULE_ID).contains(&self.rule_id.len()),
            || field("ruleId"),
            || format!("must be 1 to {MAX_RULE_ID} bytes, is {}", self.rule_id.len()),
        )?;
        require(
            points(self.priority),
            || field("priority"),
            || format!("must be 1 to {MAX_POINTS}, is {}", self.priority),
        )?;
        require(!self.keywords.is_empty(), || field("keywords"), || "must not be empty".to_owned())?;
        for (index, keyword) in self.keywords.iter().enumerate() {
            let right = !keyword.trim().is_empty() && keyword.len() <= MAX_KEYWORD;
            let problem = || format!("must hold something in at most {MAX_KEYWORD} bytes, is {keyword:?}");
            require(right, || field(&format!("keywords[{index}]")), problem)?;
        }
        let words_only = |name: &str, unused: bool| {
            require(
                unused || mode == Mode::Words,
                || field(name),
                || "has no meaning in mode SUBSTRING".to_owned(),
            )
        };
        words_only("weights", self.weights.is_empty())?;
        words_only("languages", self.languages.is_empty())?;
        for (keyword, weight) in &self.weights {
            let name = || field(&format!("weights[{keyword:?}]"));
            require(points(*weight), name, || format!("must be 1 to {MAX_POINTS}, is {weight}"))?;
            require(self.keywords.contains(keyword), name, || {
                "must be one of the rule's keywords".to_owned()
            })?;
        }
        Ok(())
    }
}

fn require(
    holds: bool,
    field: impl FnOnce() -> String,
    problem: impl FnOnce() -> String,
) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::RulesetInvalid { field: field(), problem: problem() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule {
            rule_id: "a".to_owned(),
            category: Category::Health,
            keywords: vec!["health".to_owned()],
            priority: 5,
            weights: BTreeMap::new(),
            languages: Vec::new(),
            disabled: false,
            description: String::new(),
        }
    }

    /// The field that is at fault once `change` was made to a valid set.
    fn fault(change: impl FnOnce(&mut Ruleset)) -> Option<String> {
        let mut set = Ruleset { name: "set".to_owned(), mode: Mode::Words, revision: 1, rules: vec![rule()] };
        change(&mut set);
        match set.validate() {
            Ok(()) => None,
            Err(Error::RulesetInvalid { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_bound_holds_on_both_sides_and_names_its_field() {
        let check =
            |change: fn(&mut Ruleset), expected: Option<&str>| assert_eq!(fault(change).as_deref(), expected);
        check(|_| {}, None);
        check(|set| set.name = "x".repeat(MAX_NAME), None);
        check(|set| set.name = "x".repeat(MAX_NAME + 1), Some("ruleset"));
        check(|set| set.name = String::new(), Some("ruleset"));
        check(|set| set.name = "Ünder".to_owned(), Some("ruleset"));
        check(|set| set.rules[0].rule_id = "x".repeat(MAX_RULE_ID), None);
        check(|set| set.rules[0].rule_id = "x".repeat(MAX_RULE_ID + 1), Some("rules[0].ruleId"));
        check(|set| set.rules[0].rule_id = String::new(), Some("rules[0].ruleId"));
        check(|set| set.rules.push(rule()), Some("rules[1].ruleId"));
        check(|set| set.rules[0].priority = 1, None);
        check(|set| set.rules[0].priority = 0, Some("rules[0].priority"));
        check(|set| set.rules[0].priority = MAX_POINTS, None);
        check(|set| set.rules[0].priority = MAX_POINTS + 1, Some("rules[0].priority"));
        check(|set| set.rules[0].keywords.clear(), Some("rules[0].keywords"));
        check(|set| set.rules[0].keywords.push(" ".to_owned()), Some("rules[0].keywords[1]"));
        check(|set| set.rules[0].keywords.push("x".repeat(MAX_KEYWORD)), None);
        check(|set| set.rules[0].keywords.push("x".repeat(MAX_KEYWORD + 1)), Some("rules[0].keywords[1]"));
        check(|set| set.rules[0].weights.extend([("health".to_owned(), MAX_POINTS)]), None);
        check(
            |set| set.rules[0].weights.extend([("health".to_owned(), 0)]),
            Some("rules[0].weights[\"health\"]"),
        );
        check(
            |set| set.rules[0].weights.extend([("wealth".to_owned(), 2)]),
            Some("rules[0].weights[\"wealth\"]"),
        );
        check(|set| set.mode = Mode::Substring, None);
        check(
            |set| {
                set.mode = Mode::Substring;
                set.rules[0].languages.push("en".to_owned());
            },
            Some("rules[0].languages"),
        );
    }
}
