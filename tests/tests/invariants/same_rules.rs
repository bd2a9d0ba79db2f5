//! Config, which takes rule sets in, and analysis, which works by them, refuse the same ones. The two repeat each other's
//! checks, because no service depends on another.

use dataflow_analysis::rules::{Compiled, Limit, RuleSet};
use dataflow_config::ruleset::{self, Category, Mode, Rule, Ruleset};
use dataflow_proto::config::v1 as pb;
use proptest::prelude::*;

fn set(keyword: &str, language: &str, mode: Mode) -> Ruleset {
    let languages = if mode == Mode::Words { vec![language.to_owned()] } else { Vec::new() };
    let rule = Rule {
        rule_id: "a".to_owned(),
        category: Category::Health,
        keywords: vec![keyword.to_owned()],
        priority: 5,
        weights: Default::default(),
        languages,
        disabled: false,
        description: String::new(),
    };
    Ruleset { name: "set".to_owned(), mode, revision: 1, rules: vec![rule] }
}

/// Whether config takes the set in, and whether analysis can work by it.
fn verdicts(set: &Ruleset) -> (bool, bool) {
    let compiled = RuleSet::try_from(pb::Ruleset::from(set)).map(|set| Compiled::new(&set));
    (set.validate().is_ok(), matches!(compiled, Ok(Ok(_))))
}

#[test]
fn what_the_rules_page_shows_is_told_apart_by_both() {
    let check = |expected: bool, keywords: &[&str]| {
        for keyword in keywords {
            assert_eq!(verdicts(&set(keyword, "en", Mode::Words)), (expected, expected), "{keyword:?}");
        }
    };
    check(true, &["popolazione", "demograf*", "*produktion", "*preis*", "forz* di lavor*", "id:nama_10*"]);
    check(true, &["ß*", "№", "人口*", "R&D", "*é é", &"x".repeat(256)]);
    check(false, &["", "*", "a*", "è*", "人*", "--", "demo*fia", "demo *", "forze *lavoro", "id:", "id:*"]);
    check(false, &["\u{2bc}", "e\u{301}*", "a**", "***", &"x".repeat(257)]);
}

#[test]
fn both_count_to_the_same_limits() {
    assert_eq!(ruleset::MAX_RULES, Limit::Rules.value());
    assert_eq!(ruleset::MAX_KEYWORDS, Limit::Keywords.value());
    assert_eq!(ruleset::MAX_KEYWORD_BYTES, Limit::KeywordBytes.value());
    assert_eq!(ruleset::MAX_LANGUAGES, Limit::Languages.value());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_agree_on_any_keyword(keyword in "(id:)?([a-b*] ?|[*àßя人ʼ\u{300}\u{200d}_.-]|\\PC){0,6}") {
        let (taken, compiles) = verdicts(&set(&keyword, "en", Mode::Words));
        prop_assert_eq!(taken, compiles);
    }

    #[test]
    fn both_agree_on_any_language(language in "[a-zA-Z]{0,9}([-_][a-z0-9]{0,3})?|\\PC{0,3}") {
        let (taken, compiles) = verdicts(&set("health", &language, Mode::Words));
        prop_assert_eq!(taken, compiles);
    }

    #[test]
    fn what_config_takes_in_mode_substring_compiles(keyword in "\\PC{0,4}| {0,2}") {
        let (taken, compiles) = verdicts(&set(&keyword, "", Mode::Substring));
        prop_assert!(compiles || !taken);
    }
}
