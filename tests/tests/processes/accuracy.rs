//! Accuracy and confidence of the built-in rules, compared with the categories that statistical offices assign.
//!
//! We may not distribute the labelled catalogues: `SDMX_CORPUS` names their folder, and without it the tests print that
//! they are skipped. `SHOW_MISTAKES=1` prints the mistakes in the parts that authors of rules may look at.

use std::path::Path;

use dataflow_rules::family::{Families, Member};
use dataflow_rules::{Category, Compiled, Scratch, Subject, calibration};
use dataflow_tests::{built_in, corpus};

pub(crate) use self::labelled::{CATALOGUE, LINKS, THEMES, themes};
use self::labelled::{Labelled, Part};
use self::reliability::{Outcome, Reliability, fit};

mod labelled;
mod reliability;

/// A dataflow with its prediction, which its texts and its family give.
struct Prediction {
    dataflow: Labelled,
    given: Category,
    score: i32,
    /// Before calibration; `None` without evidence.
    raw: Option<f64>,
    confidence: f64,
    evidence: String,
}

#[test]
fn default_rules_agree_with_the_offices_categories() {
    let Some(corpus) = corpus::directory("the accuracy of the rules is not measured") else { return };
    let [istat, statcan] = catalogues(&corpus);
    assert_eq!([istat.len(), statcan.len()], [456, 2571], "dataflows in the catalogues");
    for (catalogue, predictions, least) in [("ISTAT", istat, 0.92), ("Statistics Canada", statcan, 0.82)] {
        println!("{catalogue}");
        if std::env::var_os("SHOW_MISTAKES").is_some() {
            let mistakes = part(&predictions, Part::Tuning).filter(|prediction| !prediction.is_correct());
            mistakes.for_each(Prediction::print);
        }
        print_recall(&predictions);
        for wanted in [Part::Tuning, Part::Calibration, Part::Held] {
            let within: Vec<_> = part(&predictions, wanted).collect();
            let right = within.iter().filter(|prediction| prediction.is_correct()).count();
            let accuracy = share(right, within.len());
            println!("accuracy, {wanted:?}: {accuracy:.3} of {}", within.len());
            assert!(accuracy >= least, "{catalogue}, {wanted:?}: {accuracy:.3} is below {least}");
        }
    }
}

#[test]
fn the_table_of_confidences_is_the_one_that_the_calibration_parts_give() {
    let Some(corpus) = corpus::directory("the table of confidences is not fitted") else { return };
    let all = catalogues(&corpus);
    let known: Vec<_> = all.iter().flat_map(|predictions| part(predictions, Part::Calibration)).collect();
    let outcomes = known.iter().filter_map(|prediction| Some((prediction.raw?, prediction.is_correct())));
    assert_eq!(fit(outcomes.collect()), calibration::TABLE[1..], "services/rules/src/calibration.rs");
}

#[test]
fn confidence_is_the_share_of_right_categories() {
    let Some(corpus) = corpus::directory("the reliability of confidences is not measured") else { return };
    let [istat, statcan] = catalogues(&corpus);
    let page = dataflow_tests::in_repository("docs/rules.md");
    let page = std::fs::read_to_string(page).expect("the page is readable");
    for (catalogue, predictions, most) in [("ISTAT", istat, 0.10), ("Statistics Canada", statcan, 0.06)] {
        let held = part(&predictions, Part::Held);
        let outcomes = held.map(|prediction| (prediction.confidence, prediction.is_correct()));
        let Reliability { bins, error } = Reliability::new(outcomes.collect());
        println!("{catalogue}: expected calibration error {error:.3}");
        assert!(error <= most, "{catalogue}: {error:.3} is above {most}");
        for Outcome { count, confidence, right } in bins {
            let row = format!("| {catalogue} | {count} | {confidence:.2} | {right:.2} |");
            assert!(page.contains(&row), "docs/rules.md has no row {row}");
        }
    }
}

/// Titles in the style of agencies whose catalogues were not used to write the rules; these files are ours. Some
/// mistakes are expected: 100 % would mean that the rules are overfitted to the list.
#[test]
fn default_rules_categorize_titles_of_other_agencies() {
    #[derive(serde::Deserialize)]
    struct Title {
        title: String,
        lang: String,
        category: String,
    }
    let titles = include_str!("../../data/titles.yaml");
    let titles: Vec<Title> = serde_saphyr::from_str(titles).expect("the titles are YAML");
    let rules = Compiled::new(&built_in("default")).expect("the built-in rules are valid");
    let mut scratch = Scratch::default();
    let wrong = titles.iter().filter(|Title { title, lang, category }| {
        let names = [(lang.clone(), title.clone())];
        let subject = Subject { id: "", agency: "", names: &names, descriptions: &[], legacy: None };
        let verdict = rules.categorize(&subject, &mut scratch);
        let right = verdict.category.name() == category;
        if !right {
            println!("{title}: {} {}, expected {category}", verdict.category, verdict.score);
        }
        !right
    });
    let accuracy = 1.0 - share(wrong.count(), titles.len());
    println!("accuracy on titles of other agencies: {accuracy:.3} of {}", titles.len());
    assert!(accuracy >= 0.85, "accuracy on invented titles is {accuracy:.3}, below 0.85");
}

/// The predictions for ISTAT's catalogue, then for that of Statistics Canada.
fn catalogues(corpus: &Path) -> [Vec<Prediction>; 2] {
    let rules = Compiled::new(&built_in("default")).expect("the built-in rules are valid");
    [Labelled::istat(corpus), Labelled::statcan(corpus)].map(|dataflows| predictions(&rules, dataflows))
}

/// Predictions by the same steps as those of the analysis service, which has no labels.
fn predictions(rules: &Compiled, dataflows: Vec<Labelled>) -> Vec<Prediction> {
    let mut scratch = Scratch::default();
    let verdicts: Vec<_> = dataflows
        .iter()
        .map(|Labelled { id, agency, names, descriptions, .. }| {
            let subject = Subject { id, agency, names, descriptions, legacy: None };
            let verdict = rules.categorize(&subject, &mut scratch);
            let evidence = verdict
                .evidence
                .iter()
                .map(|found| format!("{} {}", found.keyword.rule_id, found.keyword.written));
            (verdict.points, evidence.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let members = dataflows.iter().zip(&verdicts);
    let members = members.map(|(Labelled { id, agency, .. }, (points, _))| Member { agency, id, points });
    let families = Families::new(members.collect());
    let supports = (0..dataflows.len()).map(|index| families.support(index).map(|support| support.points));
    let supports: Vec<_> = supports.map(Option::unwrap_or_default).collect();
    let dataflows = dataflows.into_iter().zip(verdicts).zip(supports);
    let predictions = dataflows.map(|((dataflow, (points, evidence)), added)| {
        let winner = points.winner(&added);
        Prediction {
            dataflow,
            given: winner.map_or(Category::Other, |winner| winner.category),
            score: winner.map_or(0, |winner| winner.score),
            raw: winner.map(|winner| winner.raw),
            confidence: winner.map_or(calibration::NO_EVIDENCE, |winner| winner.confidence),
            evidence,
        }
    });
    predictions.collect()
}

fn part(predictions: &[Prediction], wanted: Part) -> impl Iterator<Item = &Prediction> {
    predictions.iter().filter(move |prediction| prediction.dataflow.part() == wanted)
}

/// Prints the recall of each category in the part that authors of rules may look at.
fn print_recall(predictions: &[Prediction]) {
    println!("{:<12}{:>8}{:>8}{:>10}", "category", "tuning", "right", "recall");
    for category in Category::ALL {
        let tuning = part(predictions, Part::Tuning);
        let of: Vec<_> =
            tuning.filter(|prediction| prediction.dataflow.expected.contains(&category)).collect();
        let right = of.iter().filter(|prediction| prediction.is_correct()).count();
        println!("{category:<12}{:>8}{right:>8}{:>10.3}", of.len(), share(right, of.len()));
    }
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

// === impl Prediction ===

impl Prediction {
    fn is_correct(&self) -> bool {
        self.dataflow.expected.contains(&self.given)
    }

    fn print(&self) {
        let Self { dataflow, given, score, confidence, evidence, .. } = self;
        let Labelled { id, names, expected, .. } = dataflow;
        let names: Vec<_> = names.iter().map(|(_, text)| text.as_str()).collect();
        let name = names.join(" | ");
        println!("{id} {name}\n    {given} {score} {confidence:.2} [{evidence}], expected {expected:?}");
    }
}
