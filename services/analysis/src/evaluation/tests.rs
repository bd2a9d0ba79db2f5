//! What counts as a move.

use dataflow_rules::{Rule, RuleSet};

use super::*;
use crate::catalogue::{DecidedBy, Evidence};

const CATALOGUE: &str = r#"<m:Structure xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"
  xmlns:s="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure"
  xmlns:c="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common"><m:Structures><s:Dataflows>
  <s:Dataflow id="A" agencyID="X"><c:Name xml:lang="en">port traffic</c:Name></s:Dataflow>
  <s:Dataflow id="B" agencyID="X"><c:Name xml:lang="en">port workers</c:Name></s:Dataflow>
  <s:Dataflow id="C" agencyID="X"><c:Name xml:lang="en">clouds</c:Name></s:Dataflow>
</s:Dataflows></m:Structures></m:Structure>"#;

fn compiled(mode: Mode, rules: &[(Category, &str, i32)]) -> Compiled {
    let rules = rules.iter().enumerate().map(|(number, &(category, keyword, priority))| Rule {
        id: number.to_string(),
        category,
        keywords: vec![keyword.to_owned()],
        weights: [].into(),
        priority,
        languages: Vec::new(),
        disabled: false,
        description: String::new(),
    });
    Compiled::new(&RuleSet { name: "test".to_owned(), revision: 1, mode, rules: rules.collect() }).unwrap()
}

#[test]
fn a_move_is_another_category_score_or_evidence() {
    let before = [(Category::Economy, "port", 5), (Category::Labour, "workers", 4)];
    let check = |after: &[(Category, &str, i32)], between_categories, expected: &[&str]| {
        for mode in [Mode::Words, Mode::Substring] {
            let (before, after) = (compiled(mode, &before), compiled(mode, after));
            let evaluation = evaluate(
                CATALOGUE.as_bytes(),
                &before,
                &after,
                between_categories,
                Limits::default(),
                &mut Budget::unlimited(),
            )
            .unwrap();
            let moved: Vec<_> = evaluation.moves.iter().map(|moved| moved.dataflow.id.as_str()).collect();
            assert_eq!(moved, expected, "{mode:?}");
            assert_eq!(evaluation.before.iter().sum::<usize>(), 3);
            assert_eq!(evaluation.before[Category::Economy.index()], 2);
            assert_eq!(evaluation.after.iter().sum::<usize>(), 3);
        }
    };
    check(&before, false, &[]);
    // Another category for one dataflow; the score of the others is unchanged.
    let stronger = [before[0], (Category::Labour, "workers", 6)];
    check(&stronger, false, &["B"]);
    check(&stronger, true, &["B"]);
    // Another score within the category.
    let richer = [(Category::Economy, "port", 7), before[1]];
    check(&richer, false, &["A", "B"]);
    check(&richer, true, &[]);
    // The same score with other evidence.
    let otherwise = [(Category::Economy, "traffic", 5), before[1]];
    check(&otherwise, false, &["A", "B"]);
    check(&otherwise, true, &["B"]);
    // No keyword matched before.
    check(&[before[0], before[1], (Category::Health, "clouds", 1)], true, &["C"]);
    // Only the runner-up gains points, which changes the confidence.
    check(&[before[0], (Category::Labour, "workers", 3)], false, &[]);
}

#[test]
fn a_rule_moves_the_parts_of_what_it_matches() {
    let catalogue = CATALOGUE.replace(r#"id="C""#, r#"id="A_1""#);
    let before = compiled(Mode::Words, &[(Category::Economy, "port", 5)]);
    let after = compiled(Mode::Words, &[(Category::Territory, "port", 5)]);
    let mut budget = Budget::unlimited();
    let evaluation =
        evaluate(catalogue.as_bytes(), &before, &after, true, Limits::default(), &mut budget).unwrap();
    let moved = evaluation.moves.iter().map(|moved| (moved.dataflow.id.as_str(), moved.after.decided_by));
    let (rules, family) = (DecidedBy::Rules, DecidedBy::Family);
    assert_eq!(moved.collect::<Vec<_>>(), [("A", rules), ("B", rules), ("A_1", family)]);
}

#[test]
fn a_move_has_both_results() {
    let before = compiled(Mode::Words, &[(Category::Economy, "port", 5)]);
    let after = compiled(Mode::Words, &[(Category::Territory, "port", 8)]);
    let Evaluation { before, after, recategorized, moves, .. } =
        evaluate(CATALOGUE.as_bytes(), &before, &after, false, Limits::default(), &mut Budget::unlimited())
            .unwrap();
    assert_eq!((recategorized, moves.len()), (2, 2));
    assert_eq!((before[Category::Economy.index()], after[Category::Territory.index()]), (2, 2));
    let summary = |filing: &Filing| match &filing.evidence[0] {
        Evidence::Rule { field, .. } => (filing.category, filing.score, field.to_string()),
        Evidence::Family { key, .. } => panic!("no family has the key {key}"),
    };
    assert_eq!(summary(&moves[0].before), (Category::Economy, 5, "name.en".to_owned()));
    assert_eq!(summary(&moves[0].after), (Category::Territory, 8, "name.en".to_owned()));
}
