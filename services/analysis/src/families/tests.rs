//! Families in the filings of a catalogue.

use dataflow_rules::{Category, Rule, RuleSet};
use dataflow_sdmx::Limits;

use super::*;
use crate::catalogue::{self, Catalogue};
use dataflow_uploads::budget::Canceled;

fn rules(mode: Mode) -> Compiled {
    let rule = |id: &str, category, keyword: &str, priority| Rule {
        id: id.to_owned(),
        category,
        keywords: vec![keyword.to_owned()],
        weights: [].into(),
        priority,
        languages: Vec::new(),
        disabled: false,
        description: String::new(),
    };
    let rules = vec![
        rule("births", Category::Population, "births", 20),
        rule("region", Category::Territory, "region", 2),
        rule("port", Category::Economy, "port", 5),
    ];
    Compiled::new(&RuleSet { name: "test".to_owned(), revision: 1, mode, rules }).unwrap()
}

/// A catalogue of (id, name).
fn analyze(mode: Mode, dataflows: &[(&str, &str)], mut budget: Budget) -> Result<Catalogue, Error> {
    let dataflows = dataflows.iter().map(|(id, name)| {
        format!(r#"<Dataflow id="{id}" agencyID="A"><Name xml:lang="en">{name}</Name></Dataflow>"#)
    });
    let document = format!("<Structure><Dataflows>{}</Dataflows></Structure>", dataflows.collect::<String>());
    catalogue::analyze(document.as_bytes(), &rules(mode), Limits::default(), &mut budget)
}

/// `CATEGORY score decided-by [evidence ...]` of each.
fn shown(catalogue: &Catalogue) -> Vec<String> {
    let evidence = |evidence: &Evidence| match evidence {
        Evidence::Rule { keyword, .. } => keyword.written.to_string(),
        Evidence::Family { key, members } => format!("{key}*{members}"),
    };
    let filings = catalogue.dataflows.iter().map(|analyzed| &analyzed.filing);
    let shown = filings.map(|filing| {
        let Filing { category, score, decided_by, .. } = filing;
        let evidence: Vec<_> = filing.evidence.iter().map(evidence).collect();
        format!("{category} {score} {decided_by:?} {}", evidence.join(" "))
    });
    shown.collect()
}

const DATAFLOWS: [(&str, &str); 5] = [
    ("24_1", "Births"),
    ("24_1_DF_1", "Sicily"),
    ("24_1_DF_2", "Sicily, by region"),
    ("7_1", "Births in port"),
    ("8_1", "Clouds"),
];

#[test]
fn a_family_decides_where_texts_do_not() {
    let catalogue = analyze(Mode::Words, &DATAFLOWS, Budget::unlimited()).unwrap();
    // The parent gives 20, and two siblings at most 40 x 20 / 24 / 2: less where a share of them is for another category,
    // and nothing to the parent, for which they know none but TERRITORY.
    assert_eq!(
        shown(&catalogue),
        [
            "POPULATION 20 Rules births",
            "POPULATION 30 Family 24_1*3 24*3",
            "POPULATION 37 Family 24_1*3 24*3",
            "POPULATION 20 Rules births",
            "OTHER 0 Nothing ",
        ]
    );
    let coverage: Vec<_> = catalogue.coverage().collect();
    use DecidedBy::{Family, Nothing, Rules, Theme};
    assert_eq!(coverage, [(Theme, 0), (Rules, 2), (Family, 2), (Nothing, 1)]);
    let confidences: Vec<_> = catalogue.dataflows.iter().map(|analyzed| analyzed.filing.confidence).collect();
    assert!(confidences.iter().all(|confidence| (0.05..1.0).contains(confidence)), "{confidences:?}");
}

#[test]
fn mode_substring_has_no_families() {
    let catalogue = analyze(Mode::Substring, &DATAFLOWS, Budget::unlimited()).unwrap();
    assert_eq!(shown(&catalogue)[1..3], ["OTHER 0 Nothing ", "TERRITORY 2 Rules region"]);
    assert_eq!(catalogue.dataflows[1].filing.confidence, 0.0);
}

#[test]
fn the_evidence_of_families_counts_against_the_budget() {
    let fewest_bytes = |dataflows: &[(&str, &str)]| {
        let fits = |limit: &usize| {
            let analyzed = analyze(Mode::Words, dataflows, Budget::new(*limit, Canceled::default()));
            assert!(
                matches!(
                    analyzed,
                    Ok(_) | Err(Error::Upload(dataflow_uploads::Error::ResultTooLarge { .. }))
                ),
                "{limit}"
            );
            analyzed.is_ok()
        };
        (0..10_000).find(fits).expect("the texts have a few hundred bytes")
    };
    // Ids as long that have no family.
    let without = DATAFLOWS.map(|(id, name)| (id.replace("24_1", "24x1").replace("1_DF", "1xDF"), name));
    let without: Vec<_> = without.iter().map(|(id, name)| (id.as_str(), *name)).collect();
    // `24_1` and `24` for the first part; those of the second one are shorter than its match of a rule, which no longer
    // counts.
    assert_eq!(fewest_bytes(&DATAFLOWS) - fewest_bytes(&without), 6);
}
