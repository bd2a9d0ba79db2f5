//! Accuracy of the built-in rules, compared with the themes of a statistical office.
//!
//! The reference is ISTAT's catalogue of May 2020: 456 dataflows, each in one of ISTAT's 19 themes, which the table
//! below maps to our seven categories. The dataflows are split in two halves by their ids. Authors of rules may look at
//! the mistakes in the even half, the training set (`SHOW_MISTAKES=1` prints them), never at those in the odd half, the
//! test set: it measures how the rules generalize. A dataflow with several themes is correct if any of them agrees.
//!
//! We may not distribute the files: `SDMX_CORPUS` names their folder, and without it the test prints that it is
//! skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dataflow_rules::Category;
use dataflow_rules::{Compiled, Scratch, Subject};
use dataflow_tests::{built_in, corpus};
use roxmltree::{Document, Node};

pub(crate) const CATALOGUE: &str = "catalogues/istat_dataflow_IT1_2020-05-03.xml";
pub(crate) const THEMES: &str = "structures/istat_categoryscheme_IT1_2020-05-03.xml";
pub(crate) const LINKS: &str = "structures/istat_categorisation_IT1_2020-05-03.xml";

/// ISTAT's themes and the equivalent categories.
const MAPPING: [(&str, Category); 19] = [
    ("Popolazione e famiglie", Category::Population),
    ("Conti nazionali", Category::Economy),
    ("Prezzi", Category::Economy),
    ("Imprese", Category::Economy),
    ("Industria e costruzioni", Category::Economy),
    ("Servizi", Category::Economy),
    ("Commercio con l'estero e internalizzazione", Category::Economy),
    ("Agricoltura", Category::Economy),
    ("Condizioni economiche delle famiglie e disuguaglianze", Category::Economy),
    ("Lavoro e retribuzioni", Category::Labour),
    ("Caratteristiche del territorio", Category::Territory),
    ("Ambiente ed energia", Category::Territory),
    ("Istruzione e formazione", Category::Education),
    ("Salute e sanità", Category::Health),
    ("Cultura, comunicazione, viaggi", Category::Other),
    ("Giustizia e sicurezza", Category::Other),
    ("Pubbliche amministrazioni e istituzioni private", Category::Other),
    ("Vita quotidiana e opinione dei cittadini", Category::Other),
    ("Assistenza e previdenza", Category::Other),
];

/// A dataflow with ISTAT's categories and that of the rules.
struct Prediction {
    id: String,
    name: String,
    expected: BTreeSet<Category>,
    given: Category,
    score: i32,
    confidence: f64,
    evidence: String,
}

#[test]
fn default_rules_agree_with_the_offices_themes() {
    let Some(corpus) = corpus::directory("the accuracy of the rules is not measured") else { return };
    let predictions = predictions(&corpus);
    assert_eq!(predictions.len(), 456, "dataflows in the catalogue");

    let (even, odd): (Vec<_>, Vec<_>) =
        predictions.iter().partition(|prediction| in_even_half(&prediction.id));
    if std::env::var_os("SHOW_MISTAKES").is_some() {
        even.iter().filter(|prediction| !prediction.is_correct()).for_each(|prediction| prediction.print());
    }
    println!("{:<12}{:>8}{:>8}{:>10}", "category", "even", "right", "recall");
    for category in Category::ALL {
        let of: Vec<_> = even.iter().filter(|prediction| prediction.expected.contains(&category)).collect();
        let right = of.iter().filter(|prediction| prediction.is_correct()).count();
        println!("{category:<12}{:>8}{right:>8}{:>10.3}", of.len(), share(right, of.len()));
    }
    print_calibration(&predictions);
    for (half, predictions) in [("even", even), ("odd", odd)] {
        let accuracy = accuracy(&predictions);
        println!("accuracy on the {half} half: {accuracy:.3} of {}", predictions.len());
        assert!(accuracy >= 0.75, "accuracy on the {half} half is {accuracy:.3}, below 0.75");
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
        let subject = Subject { id: "", names: &names, descriptions: &[], legacy: None };
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

/// Prints the calibration: confidence against the share of correct predictions, without the names of dataflows.
fn print_calibration(predictions: &[Prediction]) {
    println!("{:<12}{:>8}{:>12}{:>8}", "confidence", "flows", "mean conf.", "right");
    let bounds = [0.0, 0.001, 0.4, 0.55, 0.65, 0.75, 0.85, 1.0];
    for range in bounds.windows(2) {
        let within: Vec<_> =
            predictions.iter().filter(|a| (range[0]..range[1]).contains(&a.confidence)).collect();
        let right = within.iter().filter(|prediction| prediction.is_correct()).count();
        let mean =
            within.iter().map(|prediction| prediction.confidence).sum::<f64>() / within.len().max(1) as f64;
        println!("< {:<10}{:>8}{mean:>12.2}{:>8.2}", range[1], within.len(), share(right, within.len()));
    }
}

fn accuracy(predictions: &[&Prediction]) -> f64 {
    share(predictions.iter().filter(|prediction| prediction.is_correct()).count(), predictions.len())
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Whether a dataflow is in the training set: ids whose bytes have an even sum.
fn in_even_half(id: &str) -> bool {
    id.bytes().map(u32::from).sum::<u32>() % 2 == 0
}

// === impl Prediction ===

impl Prediction {
    fn is_correct(&self) -> bool {
        self.expected.contains(&self.given)
    }

    fn print(&self) {
        let Self { id, name, expected, given, score, confidence, evidence } = self;
        println!("{id} {name}\n    {given} {score} {confidence:.2} [{evidence}], expected {expected:?}");
    }
}

/// Every dataflow of the catalogue with its themes and its prediction.
fn predictions(corpus: &Path) -> Vec<Prediction> {
    let themes = themes(corpus);
    let rules = Compiled::new(&built_in("default")).expect("the built-in rules are valid");
    let mut scratch = Scratch::default();
    let text = read(corpus, CATALOGUE);
    let document = Document::parse(&text).expect("the catalogue is XML");
    elements(document.root(), "Dataflow")
        .map(|dataflow| {
            let id = dataflow.attribute("id").expect("every dataflow of the catalogue has an id");
            let names = texts(dataflow, "Name");
            let descriptions = texts(dataflow, "Description");
            let subject = Subject { id, names: &names, descriptions: &descriptions, legacy: None };
            let verdict = rules.categorize(&subject, &mut scratch);
            let evidence = verdict.evidence.iter();
            let evidence: Vec<_> = evidence.map(|m| format!("{} {}", m.rule_id, m.keyword)).collect();
            Prediction {
                id: id.to_owned(),
                name: names.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" | "),
                expected: themes.get(id).cloned().unwrap_or_default(),
                given: verdict.category,
                score: verdict.score,
                confidence: verdict.confidence,
                evidence: evidence.join(", "),
            }
        })
        .collect()
}

/// The categories of the top-level themes of each dataflow, by its id.
pub(crate) fn themes(corpus: &Path) -> BTreeMap<String, BTreeSet<Category>> {
    let scheme = read(corpus, THEMES);
    let scheme = Document::parse(&scheme).expect("the category scheme is XML");
    let top: BTreeMap<_, _> = elements(scheme.root(), "CategoryScheme")
        .flat_map(|scheme| scheme.children().filter(|node| node.has_tag_name((STRUCTURE, "Category"))))
        .map(|theme| (theme.attribute("id").expect("a category has an id"), category_of(theme)))
        .collect();

    let links = read(corpus, LINKS);
    let links = Document::parse(&links).expect("the categorisations are XML");
    let mut themes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for link in elements(links.root(), "Categorisation") {
        let end = |name| {
            let reference = elements(link, name).next()?.children().find(Node::is_element)?;
            reference.attribute("id")
        };
        let (source, target) = end("Source").zip(end("Target")).expect("a link has two ends");
        // `91.92.284` is the path of a category, whose first part is the theme.
        let theme = target.split('.').next().expect("a split yields at least one part");
        themes.entry(source.to_owned()).or_default().insert(top[theme]);
    }
    themes
}

const STRUCTURE: &str = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure";
const COMMON: &str = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common";

fn category_of(theme: Node<'_, '_>) -> Category {
    let names = texts(theme, "Name");
    let italian = names.iter().find(|(language, _)| language == "it").map(|(_, text)| text.as_str());
    let (_, category) = *MAPPING
        .iter()
        .find(|(name, _)| Some(*name) == italian)
        .unwrap_or_else(|| panic!("no category for the theme {italian:?}"));
    category
}

fn elements<'a, 'd>(node: Node<'a, 'd>, name: &'static str) -> impl Iterator<Item = Node<'a, 'd>> {
    node.descendants().filter(move |node| node.has_tag_name((STRUCTURE, name)))
}

/// The (language, text) pairs of the children with this name.
fn texts(node: Node<'_, '_>, name: &'static str) -> Vec<(String, String)> {
    const LANG: (&str, &str) = ("http://www.w3.org/XML/1998/namespace", "lang");
    node.children()
        .filter(|child| child.has_tag_name((COMMON, name)))
        .map(|child| {
            let language = child.attribute(LANG).unwrap_or_default();
            (language.to_owned(), child.text().unwrap_or_default().trim().to_owned())
        })
        .collect()
}

fn read(corpus: &Path, name: &str) -> String {
    let path = corpus.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
