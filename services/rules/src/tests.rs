//! Properties of every rule set in both modes, and the text of each validation error.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

pub(super) fn rule(id: &str, category: Category, keywords: &[&str]) -> Rule {
    Rule {
        id: id.to_owned(),
        category,
        keywords: keywords.iter().map(|keyword| (*keyword).to_owned()).collect(),
        weights: BTreeMap::new(),
        priority: 5,
        languages: Vec::new(),
        disabled: false,
        description: String::new(),
    }
}

pub(super) fn set(mode: Mode, rules: &[Rule]) -> RuleSet {
    RuleSet { name: "test".to_owned(), revision: 1, mode, rules: rules.to_vec() }
}

/// (language, text) pairs as in a parsed dataflow.
pub(super) fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(language, text)| ((*language).to_owned(), (*text).to_owned())).collect()
}

#[track_caller]
fn check_error(mode: Mode, rules: &[Rule], expected: &str) {
    let error = Compiled::new(&set(mode, rules)).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert!(expected.starts_with(&error.field));
}

#[test]
fn errors_name_the_field_and_what_is_allowed() {
    let good = || rule("a", Category::Other, &["word"]);
    let check = |bad: Rule, expected: &str| check_error(Mode::Words, &[good(), bad], expected);
    check(rule("", Category::Other, &["word"]), "rules[1].ruleId must be 1 to 128 bytes, is 0");
    check(good(), "rules[1].ruleId must be unique within the set, \"a\" is already used");
    check(
        rule("b", Category::Other, &["word", "*"]),
        "rules[1].keywords[1] must be words, or `id:` and tokens, where each may end in `*` and the first may start \
         with `*`, next to at least two letters, and an agency and `/` may precede the tokens, in at most 256 \
         bytes; is \"*\"",
    );
    check(rule("b", Category::Other, &[]), "rules[1].keywords must not be empty");
    check(rule("b", Category::Other, &["word"; 1001]), "rules[1].keywords must be at most 1000, is 1001");
    check(Rule { id: "b".to_owned(), priority: 0, ..good() }, "rules[1].priority must be 1 to 1000, is 0");
    check(
        Rule { id: "b".to_owned(), priority: 1001, ..good() },
        "rules[1].priority must be 1 to 1000, is 1001",
    );
    let weights = |keyword: &str, weight| BTreeMap::from([(keyword.to_owned(), weight)]);
    check(
        Rule { id: "b".to_owned(), weights: weights("word", 0), ..good() },
        "rules[1].weights[\"word\"] must be 1 to 1000, is 0",
    );
    check(
        Rule { id: "b".to_owned(), weights: weights("other", 2), ..good() },
        "rules[1].weights[\"other\"] must be one of the rule's keywords",
    );
    check(
        Rule { id: "b".to_owned(), languages: vec!["en".to_owned(), "1".to_owned()], ..good() },
        "rules[1].languages[1] must be a language tag such as `it` or `pt-BR`, is \"1\"",
    );
}

#[test]
fn disabled_rules_are_validated_and_otherwise_ignored() {
    for mode in [Mode::Words, Mode::Substring] {
        let disabled = Rule { disabled: true, ..rule("a", Category::Health, &["salute"]) };
        let compiled = Compiled::new(&set(mode, std::slice::from_ref(&disabled))).unwrap();
        let names = texts(&[("it", "Salute")]);
        let subject = Subject { id: "x", agency: "", names: &names, descriptions: &[], legacy: None };
        let confidence = if mode == Mode::Words { calibration::NO_EVIDENCE } else { 0.0 };
        assert_eq!(compiled.categorize(&subject, &mut Scratch::default()), Verdict::none(confidence));
    }
    let bad = Rule { disabled: true, priority: 0, ..rule("a", Category::Health, &["salute"]) };
    assert!(Compiled::new(&set(Mode::Words, &[bad])).is_err());
}

#[test]
fn substring_mode_searches_the_predecessors_text() {
    let rules = [
        Rule { priority: 10, ..rule("pop", Category::Population, &["popolazione", "demo", "demo"]) },
        Rule { priority: 30, ..rule("edu", Category::Education, &[" Università ", " "]) },
        Rule { priority: -5, ..rule("never", Category::Other, &["dati", "della"]) },
    ];
    let compiled = Compiled::new(&set(Mode::Substring, &rules)).unwrap();
    let check = |subject: Subject<'_>, expected: &[(&str, &str, u32)], category: Category, score: i32| {
        let mut scratch = Scratch::default();
        for _ in 0..2 {
            let verdict = compiled.categorize(&subject, &mut scratch);
            assert_eq!((verdict.category, verdict.score), (category, score));
            let evidence: Vec<_> = verdict
                .evidence
                .iter()
                .map(|m| (&*m.keyword.written, m.field.to_string(), m.offset))
                .collect();
            let expected: Vec<_> = expected.iter().map(|(k, f, o)| (*k, (*f).to_string(), *o)).collect();
            assert_eq!(evidence, expected);
        }
    };
    let (names, descriptions) = (
        texts(&[("en", "Ignored popolazione"), ("it", "Dati demografici")]),
        texts(&[("it", "È della popolazione")]),
    );
    let subject =
        Subject { id: "demo", agency: "", names: &names, descriptions: &descriptions, legacy: None };
    // A keyword that is listed twice counts twice; a keyword without a match is not in the evidence.
    check(
        subject,
        &[("popolazione", "description.it", 8), ("demo", "name.it", 5), ("demo", "name.it", 5)],
        Category::Population,
        30,
    );
    // The earlier rule wins a tie, and `legacy` is searched instead of the fields.
    let legacy = LegacyText {
        display_name: "Università demo",
        display_field: Field::Name(""),
        description: "popolazione",
        description_field: Field::Description("de"),
    };
    check(
        Subject { legacy: Some(legacy), ..subject },
        &[("popolazione", "description.de", 0), ("demo", "name", 11), ("demo", "name", 11)],
        Category::Population,
        30,
    );
    check(
        Subject { names: &[], descriptions: &[], ..subject },
        &[("demo", "id", 0); 2],
        Category::Population,
        20,
    );
    check(
        Subject { id: "x", agency: "", names: &[], descriptions: &[], legacy: None },
        &[],
        Category::Other,
        0,
    );
}

prop_compose! {
    /// Texts of a few words, so that keywords occur.
    fn words()(words in prop::collection::vec("popolazione|lavoro|forze|di|età|dell'|Scuola|x", 0..8)) -> String {
        words.join(" ")
    }
}

proptest! {
    #[test]
    fn a_rule_that_matches_nothing_changes_no_verdict(name in words(), description in words(), id in "[a-z_]{0,8}") {
        let rules = [
            rule("labour", Category::Labour, &["lavoro", "forz* di lavor*"]),
            rule("population", Category::Population, &["popolazione"]),
            rule("education", Category::Education, &["scuol*"]),
        ];
        let silent = rule("a-silent", Category::Health, &["zzzz", "yyyy*", "*qqqq"]);
        let (names, descriptions) = (texts(&[("it", &name)]), texts(&[("", &description)]));
        let subject = Subject { id: &id, agency: "", names: &names, descriptions: &descriptions, legacy: None };
        for mode in [Mode::Words, Mode::Substring] {
            let few = Compiled::new(&set(mode, &rules)).unwrap();
            let more = Compiled::new(&set(mode, &[&rules[..], std::slice::from_ref(&silent)].concat())).unwrap();
            let mut scratch = Scratch::default();
            prop_assert_eq!(few.categorize(&subject, &mut scratch), more.categorize(&subject, &mut scratch));
        }
    }

    #[test]
    fn any_text_yields_a_verdict_within_bounds(id in "\\PC{0,10}", name in "\\PC{0,60}", description in "(?s).{0,60}") {
        let rules = [rule("a", Category::Labour, &["ab", "cc*", "*dd", "ee* f", "id:x"])];
        let (names, descriptions) = (texts(&[("en", &name)]), texts(&[("", &description)]));
        let subject = Subject { id: &id, agency: "", names: &names, descriptions: &descriptions, legacy: None };
        for mode in [Mode::Words, Mode::Substring] {
            let compiled = Compiled::new(&set(mode, &rules)).unwrap();
            let verdict = compiled.categorize(&subject, &mut Scratch::default());
            prop_assert!((0.0..=1.0).contains(&verdict.confidence));
            prop_assert_eq!(verdict.score == 0, verdict.evidence.is_empty());
        }
    }
}
