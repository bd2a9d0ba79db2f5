//! What a rule set is, and what makes one valid: analysis can compile whatever is accepted here. It checks again, because
//! its rules may come from a config service of another release.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Deserialize;

use crate::{Error, words};

/// Longest name of a rule set, in bytes.
pub const MAX_NAME: usize = 64;
/// Longest identifier of a rule, in bytes.
pub const MAX_RULE_ID: usize = 128;
/// Most rules of a set.
pub const MAX_RULES: usize = 10_000;
/// Most keywords of a rule.
pub const MAX_KEYWORDS: usize = 1_000;
/// Longest keyword, in bytes.
pub const MAX_KEYWORD: usize = 256;
/// Most bytes of all keywords of a set, with one for the end of each.
pub const MAX_KEYWORD_BYTES: usize = 1 << 20;
/// Most languages that a set names; `en` and `en-GB` are one.
pub const MAX_LANGUAGES: usize = 63;
/// Longest description of a rule, in bytes.
pub const MAX_DESCRIPTION: usize = 4096;
/// Longest language tag, in bytes.
pub const MAX_TAG: usize = 35;
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
        at_most(MAX_RULES, self.rules.len(), || "rules".to_owned())?;
        let (mut seen, mut languages) = (HashSet::new(), BTreeSet::new());
        for (index, rule) in self.rules.iter().enumerate() {
            let field = |name: &str| format!("rules[{index}].{name}");
            rule.validate(self.mode, field)?;
            require(
                seen.insert(&rule.rule_id),
                || field("ruleId"),
                || format!("must be unique within the set, {:?} is there already", rule.rule_id),
            )?;
            languages.extend(rule.languages.iter().filter_map(|tag| words::primary_subtag(tag)));
            at_most(MAX_LANGUAGES, languages.len(), || field("languages"))?;
        }
        // Those of disabled rules too: they may be enabled any time, and travel with the others until then.
        let keywords = self.rules.iter().flat_map(|rule| &rule.keywords);
        let bytes = keywords.map(|keyword| keyword.len() + 1).sum();
        at_most(MAX_KEYWORD_BYTES, bytes, || "rules".to_owned())
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
        at_most(MAX_KEYWORDS, self.keywords.len(), || field("keywords"))?;
        for (index, keyword) in self.keywords.iter().enumerate() {
            let (right, expected) = match mode {
                Mode::Substring => (!keyword.trim().is_empty(), "anything but blanks"),
                Mode::Words => (words::is_keyword(keyword), words::KEYWORD),
            };
            let problem =
                || format!("must be {expected}, in at most {MAX_KEYWORD} bytes; is {}", excerpt(keyword));
            let name = || field(&format!("keywords[{index}]"));
            require(right && keyword.len() <= MAX_KEYWORD, name, problem)?;
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
        at_most(MAX_DESCRIPTION, self.description.len(), || field("description"))?;
        at_most(MAX_LANGUAGES, self.languages.len(), || field("languages"))?;
        for (index, tag) in self.languages.iter().enumerate() {
            let name = || field(&format!("languages[{index}]"));
            let problem = || format!("must be a language tag such as `it` or `pt-BR`, is {}", excerpt(tag));
            require(words::primary_subtag(tag).is_some() && tag.len() <= MAX_TAG, name, problem)?;
        }
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

fn at_most(limit: usize, found: usize, field: impl FnOnce() -> String) -> Result<(), Error> {
    require(found <= limit, field, || format!("must be at most {limit}, is {found}"))
}

/// A text as a message shows it.
fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("{shown:?}{}", if shown.len() < text.len() { "..." } else { "" })
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

    fn many(rules: usize) -> Vec<Rule> {
        (0..rules).map(|index| Rule { rule_id: index.to_string(), ..rule() }).collect()
    }

    fn languages(count: usize) -> Vec<String> {
        let letter = |at: usize| char::from(b'a' + u8::try_from(at).unwrap());
        (0..count).map(|index| format!("{}{}-XX", letter(index / 26), letter(index % 26))).collect()
    }

    /// As many longest keywords as a set can hold, and one of `last` bytes.
    fn long(last: usize) -> Vec<Rule> {
        let longest = vec!["x".repeat(MAX_KEYWORD); MAX_KEYWORD_BYTES / (MAX_KEYWORD + 1) / 5];
        let mut rules = many(6);
        rules.iter_mut().for_each(|rule| rule.keywords.clone_from(&longest));
        rules[5].keywords = vec!["x".repeat(last)];
        rules
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
        check(|set| set.rules[0].keywords.push("*".to_owned()), Some("rules[0].keywords[1]"));
        check(|set| (set.mode, set.rules[0].keywords[0]) = (Mode::Substring, "*".to_owned()), None);
        check(|set| set.rules[0].keywords = vec!["xx".to_owned(); MAX_KEYWORDS], None);
        check(
            |set| set.rules[0].keywords = vec!["xx".to_owned(); MAX_KEYWORDS + 1],
            Some("rules[0].keywords"),
        );
        check(|set| set.rules = many(MAX_RULES), None);
        check(|set| set.rules = many(MAX_RULES + 1), Some("rules"));
        check(|set| set.rules[0].description = "x".repeat(MAX_DESCRIPTION), None);
        check(|set| set.rules[0].description = "x".repeat(MAX_DESCRIPTION + 1), Some("rules[0].description"));
        check(|set| set.rules[0].languages.push(format!("en-{}", "x".repeat(MAX_TAG - 3))), None);
        check(
            |set| set.rules[0].languages.push(format!("en-{}", "x".repeat(MAX_TAG - 2))),
            Some("rules[0].languages[0]"),
        );
        check(|set| set.rules[0].languages.push("english".to_owned()), None);
        check(|set| set.rules[0].languages.push("e1".to_owned()), Some("rules[0].languages[0]"));
        check(|set| set.rules[0].languages = languages(MAX_LANGUAGES), None);
        check(|set| set.rules[0].languages = languages(MAX_LANGUAGES + 1), Some("rules[0].languages"));
        // 4,080 x 257 bytes are 16 less than the limit.
        check(|set| set.rules = long(15), None);
        check(|set| set.rules = long(16), Some("rules"));
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
