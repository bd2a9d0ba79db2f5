//! The rule set `legacy` reproduces the predecessor's results exactly.
//!
//! The results in `data/legacy_oracle.yaml` come from running the predecessor with three rule sets: the built-in one
//! and two that exist only here. They include its quirks: keywords inside words, a keyword counted twice, an accented
//! letter that does not match its decomposed form.

use std::collections::BTreeMap;

use dataflow_rules::{Compiled, Field, Mode, Rule, RuleSet, Scratch, Subject};
use dataflow_tests::built_in;
use serde::Deserialize;

#[derive(Deserialize)]
struct Oracle {
    cases: Vec<Case>,
    rulesets: Vec<WrittenSet>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    names: BTreeMap<String, String>,
    description: String,
    fallback: Outcome,
    seeded: Outcome,
    k8s: Outcome,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Outcome {
    category: String,
    score: i32,
    confidence: f64,
    keywords: Vec<String>,
}

#[derive(Deserialize)]
struct WrittenSet {
    ruleset: String,
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenRule {
    rule_id: String,
    category: String,
    priority: i32,
    keywords: Vec<String>,
}

impl From<WrittenSet> for RuleSet {
    fn from(written: WrittenSet) -> Self {
        let rule = |WrittenRule { rule_id, category, priority, keywords }| Rule {
            id: rule_id,
            category: category.parse().expect("the fixture has valid categories"),
            keywords,
            weights: BTreeMap::new(),
            priority,
            languages: Vec::new(),
            disabled: false,
            description: String::new(),
        };
        let rules = written.rules.into_iter().map(rule).collect();
        Self { name: written.ruleset, revision: 1, mode: Mode::Substring, rules }
    }
}

#[test]
fn all_results_equal_those_of_the_predecessor() {
    let oracle = include_str!("../../data/legacy_oracle.yaml");
    let oracle: Oracle = serde_saphyr::from_str(oracle).expect("the fixture is YAML");
    let mut sets: BTreeMap<_, RuleSet> =
        oracle.rulesets.into_iter().map(|set| (set.ruleset.clone(), set.into())).collect();
    sets.insert("seeded".to_owned(), built_in("legacy"));

    let mut compared = 0;
    for (name, set) in sets {
        let rules = Compiled::new(&set).expect("the predecessor's rules are valid");
        for case in &oracle.cases {
            let expected = match name.as_str() {
                "fallback" => &case.fallback,
                "k8s" => &case.k8s,
                _ => &case.seeded,
            };
            assert_eq!(&case.answer(&rules), expected, "{} under {name}", case.id);
            compared += 1;
        }
    }
    assert_eq!(compared, 63);
}

impl Case {
    fn answer(&self, rules: &Compiled) -> Outcome {
        let names: Vec<_> = self.names.clone().into_iter().collect();
        let descriptions = [("it".to_owned(), self.description.clone())];
        let subject =
            Subject { id: &self.id, agency: "", names: &names, descriptions: &descriptions, legacy: None };
        let verdict = rules.categorize(&subject, &mut Scratch::default());
        for found in &verdict.evidence {
            let text = match found.field {
                Field::Id => &self.id,
                Field::Name(language) => &self.names[language],
                Field::Description(_) => &self.description,
            };
            let there: String = text.chars().skip(found.offset as usize).collect();
            assert!(
                there.to_lowercase().starts_with(&*found.keyword.written),
                "{} at {}",
                found.keyword.written,
                found.offset
            );
        }
        Outcome {
            category: verdict.category.name().to_owned(),
            score: verdict.score,
            confidence: verdict.confidence,
            keywords: verdict.evidence.iter().map(|found| found.keyword.written.to_string()).collect(),
        }
    }
}
