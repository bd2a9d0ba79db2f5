//! The set that a proposal results in, and the field that an error names.

use dataflow_rules::{Category, Scratch, Subject};

use super::*;

fn rule(id: &str, category: Category, keyword: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        category,
        keywords: vec![keyword.to_owned()],
        weights: [].into(),
        priority: 5,
        languages: Vec::new(),
        disabled: false,
        description: String::new(),
    }
}

/// Two rules with the same keyword; the first wins.
fn base(mode: Mode) -> RuleSet {
    let rules = vec![rule("a", Category::Health, "port"), rule("b", Category::Labour, "port")];
    RuleSet { name: "base".to_owned(), revision: 1, mode, rules }
}

fn put(rules: &[Rule]) -> Proposal {
    Proposal { rules: rules.to_vec(), ..Proposal::default() }
}

#[test]
fn a_proposed_rule_replaces_its_namesake_or_is_appended() {
    let check = |mode, proposal: Proposal, expected: Category| {
        let compiled = proposal.clone().compile(base(mode)).unwrap();
        let names = [(String::new(), "port".to_owned())];
        let subject = Subject { id: "X", agency: "", names: &names, descriptions: &[], legacy: None };
        // In this mode the text contains the id if a name has no language.
        let subject = if mode == Mode::Substring { Subject { id: "port", ..subject } } else { subject };
        assert_eq!(compiled.categorize(&subject, &mut Scratch::default()).category, expected, "{proposal:?}");
    };
    for mode in [Mode::Words, Mode::Substring] {
        check(mode, put(&[]), Category::Health);
        check(mode, put(&[rule("a", Category::Economy, "port")]), Category::Economy);
        check(mode, put(&[rule("c", Category::Economy, "port")]), Category::Health);
        check(mode, put(&[Rule { priority: 6, ..rule("c", Category::Economy, "port") }]), Category::Economy);
        check(
            mode,
            put(&[Rule { disabled: true, ..rule("a", Category::Economy, "port") }]),
            Category::Labour,
        );
        check(mode, Proposal { removed: vec!["a".to_owned()], ..put(&[]) }, Category::Labour);
        check(mode, Proposal { replace: true, ..put(&[]) }, Category::Other);
        // A rule that is removed and proposed again comes last.
        let moved =
            Proposal { removed: vec!["a".to_owned()], ..put(&[rule("a", Category::Economy, "port")]) };
        let expected = if mode == Mode::Words { Category::Economy } else { Category::Labour };
        check(mode, moved, expected);
    }
    check(Mode::Words, Proposal { mode: Some(Mode::Substring), ..put(&[]) }, Category::Other);
}

#[test]
fn an_error_names_the_field_of_the_proposal() {
    let good = || rule("a", Category::Economy, "port");
    let bad = |id: &str| rule(id, Category::Economy, "*");
    let check = |mode, proposal: Proposal, expected: &str| {
        let Err(Error::FieldInvalid { field, problem }) = proposal.clone().compile(base(mode)) else {
            panic!("{proposal:?} should be rejected")
        };
        assert_eq!(field, expected, "{problem}");
        assert!(!problem.contains(expected), "the field is named once: {problem}");
    };
    // The set has two rules before the new one; the caller does not know their number.
    check(Mode::Words, put(&[bad("c")]), "rules[0].keywords[0]");
    check(Mode::Words, put(&[good(), bad("c")]), "rules[1].keywords[0]");
    check(Mode::Words, put(&[rule("c", Category::Health, "x"), bad("b")]), "rules[1].keywords[0]");
    check(Mode::Words, Proposal { replace: true, ..put(&[bad("c")]) }, "rules[0].keywords[0]");
    check(Mode::Words, put(&[good(), good()]), "rules[1].ruleId");
    check(Mode::Words, put(&[rule("", Category::Health, "x")]), "rules[0].ruleId");
    check(Mode::Words, put(&[Rule { priority: -1, ..good() }]), "rules[0].priority");
    check(Mode::Words, put(&vec![good(); MAX_RULES + 1]), "rules");
    let unknown = |id: &str| vec!["a".to_owned(), id.to_owned()];
    check(Mode::Words, Proposal { removed: unknown("z"), ..put(&[]) }, "removed_rules[1]");
    check(Mode::Words, Proposal { removed: unknown("b"), replace: true, ..put(&[]) }, "removed_rules");

    check(Mode::Substring, put(&[Rule { priority: 0, ..good() }]), "rules[0].priority");
    check(Mode::Substring, put(&[Rule { keywords: Vec::new(), ..good() }]), "rules[0].keywords");
    check(Mode::Substring, put(&[rule("c", Category::Health, " ")]), "rules[0].keywords[0]");
    check(Mode::Substring, put(&[rule("c", Category::Health, &"x".repeat(257))]), "rules[0].keywords[0]");
    let weights = [("port".to_owned(), 2)].into();
    check(Mode::Substring, put(&[Rule { weights, ..good() }]), "rules[0].weights");
    check(Mode::Substring, put(&[Rule { languages: vec!["en".to_owned()], ..good() }]), "rules[0].languages");
}

#[test]
fn a_conflict_with_a_rule_of_the_set_names_that_rule() {
    let mut base = base(Mode::Substring);
    base.rules[1].keywords = vec!["*".to_owned()];
    let proposal = Proposal { mode: Some(Mode::Words), ..put(&[]) };
    let Err(Error::FieldInvalid { field, problem }) = proposal.compile(base) else { panic!() };
    assert_eq!(field, "rules");
    assert!(problem.contains("\"b\" of the set, whose keywords[0] must be"), "{problem}");
}
