//! Every limit of a rule set, on both sides.

use std::collections::BTreeMap;

use super::*;
use crate::Category;
use crate::limits::MAX_TAG;

fn rule() -> Rule {
    Rule {
        id: "a".to_owned(),
        category: Category::Health,
        keywords: vec!["health".to_owned()],
        priority: 5,
        weights: BTreeMap::new(),
        languages: Vec::new(),
        disabled: false,
        description: String::new(),
    }
}

/// The invalid field after `change` was applied to a valid set.
fn invalid_field(change: impl FnOnce(&mut RuleSet)) -> Option<String> {
    let mut set = RuleSet { name: "set".to_owned(), mode: Mode::Words, revision: 1, rules: vec![rule()] };
    change(&mut set);
    set.validate().err().map(|error| error.field)
}

fn many(rules: usize) -> Vec<Rule> {
    (0..rules).map(|index| Rule { id: index.to_string(), ..rule() }).collect()
}

fn languages(count: usize) -> Vec<String> {
    let letter = |at: usize| char::from(b'a' + u8::try_from(at).unwrap());
    (0..count).map(|index| format!("{}{}-XX", letter(index / 26), letter(index % 26))).collect()
}

/// As many longest keywords as a set may have, and one of `last` bytes.
fn long(last: usize) -> Vec<Rule> {
    let longest = vec!["x".repeat(MAX_KEYWORD); MAX_KEYWORD_BYTES / (MAX_KEYWORD + 1) / 5];
    let mut rules = many(6);
    rules.iter_mut().for_each(|rule| rule.keywords.clone_from(&longest));
    rules[5].keywords = vec!["x".repeat(last)];
    rules
}

#[test]
fn every_limit_is_checked_on_both_sides_and_names_its_field() {
    let check = |change: fn(&mut RuleSet), expected: Option<&str>| {
        assert_eq!(invalid_field(change).as_deref(), expected)
    };
    check(|_| {}, None);
    check(|set| set.name = "x".repeat(MAX_NAME), None);
    check(|set| set.name = "x".repeat(MAX_NAME + 1), Some("ruleset"));
    check(|set| set.name = String::new(), Some("ruleset"));
    check(|set| set.name = "Ünder".to_owned(), Some("ruleset"));
    check(|set| set.rules[0].id = "x".repeat(MAX_RULE_ID), None);
    check(|set| set.rules[0].id = "x".repeat(MAX_RULE_ID + 1), Some("rules[0].ruleId"));
    check(|set| set.rules[0].id = String::new(), Some("rules[0].ruleId"));
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
    check(|set| set.rules[0].keywords = vec!["xx".to_owned(); MAX_KEYWORDS + 1], Some("rules[0].keywords"));
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
    // 4,080 x 257 bytes are 16 below the limit.
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
