//! How often the built-in rules agree with a statistical office's own themes.
//!
//! The reference is ISTAT's catalogue of May 2020: 456 dataflows, each in one of ISTAT's 19 themes,
//! which map to our seven categories by the table below. The dataflows are parted in two halves by
//! their ids. Whoever edits the rules may look at the mistakes in the even half (`SHOW_MISTAKES=1`
//! prints them), never at those in the odd one: that half says how the rules do on what they were
//! not written for. A dataflow filed under several themes counts as right when any of them agrees.
//!
//! The files are not ours to ship: `SDMX_CORPUS` names the folder that holds them, and without it
//! the test says that it was skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dataflow_rules::Category;
use dataflow_rules::{Compiled, Scratch, Subject};
use dataflow_tests::{built_in, corpus};
use roxmltree::{Document, Node};

const CATALOGUE: &str = "catalogues/istat_dataflow_IT1_2020-05-03.xml";
const THEMES: &str = "structures/istat_categoryscheme_IT1_2020-05-03.xml";
const LINKS: &str = "structures/istat_categorisation_IT1_2020-05-03.xml";

/// ISTAT's themes and what they are to us.
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

/// A dataflow, what ISTAT says of it, and what the rules say.
struct Answer {
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
    let Some(corpus) = corpus::directory("the accuracy of the rules was not measured") else { return };
    let answers = answers(&corpus);
    assert_eq!(answers.len(), 456, "dataflows in the catalogue");

    let (even, odd): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| in_even_half(&answer.id));
    if std::env::var_os("SHOW_MISTAKES").is_some() {
        even.iter().filter(|answer| !answer.is_right()).for_each(|answer| answer.print());
    }
    println!("{:<12}{:>8}{:>8}{:>10}", "category", "even", "right", "recall");
    for category in Category::ALL {
        let of: Vec<_> = even.iter().filter(|answer| answer.expected.contains(&category)).collect();
        let right = of.iter().filter(|answer| answer.is_right()).count();
        println!("{category:<12}{:>8}{right:>8}{:>10.3}", of.len(), share(right, of.len()));
    }
    print_calibration(&answers);
    for (half, answers) in [("even", even), ("odd", odd)] {
        let accuracy = accuracy(&answers);
        println!("accuracy on the {half} half: {accuracy:.3} of {}", answers.len());
        assert!(accuracy >= 0.75, "accuracy on the {half} half is {accuracy:.3}, below 0.75");
    }
}

/// Titles after the manner of agencies whose catalogues nobody tuned the rules on; these files are
/// ours. A share of mistakes is expected: a list that is always right has been learnt by heart.
#[test]
fn default_rules_file_titles_of_other_agencies() {
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

/// Confidence against the share of right answers, without naming any dataflow.
fn print_calibration(answers: &[Answer]) {
    println!("{:<12}{:>8}{:>12}{:>8}", "confidence", "flows", "mean conf.", "right");
    let bounds = [0.0, 0.001, 0.4, 0.55, 0.65, 0.75, 0.85, 1.0];
    for range in bounds.windows(2) {
        let within: Vec<_> =
            answers.iter().filter(|a| (range[0]..range[1]).contains(&a.confidence)).collect();
        let right = within.iter().filter(|answer| answer.is_right()).count();
        let mean = within.iter().map(|answer| answer.confidence).sum::<f64>() / within.len().max(1) as f64;
        println!("< {:<10}{:>8}{mean:>12.2}{:>8.2}", range[1], within.len(), share(right, within.len()));
    }
}

fn accuracy(answers: &[&Answer]) -> f64 {
    share(answers.iter().filter(|answer| answer.is_right()).count(), answers.len())
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// The half that may be looked at: ids whose bytes add up to an even number.
fn in_even_half(id: &str) -> bool {
    id.bytes().map(u32::from).sum::<u32>() % 2 == 0
}

// === impl Answer ===

impl Answer {
    fn is_right(&self) -> bool {
        self.expected.contains(&self.given)
    }

    fn print(&self) {
        let Self { id, name, expected, given, score, confidence, evidence } = self;
        println!("{id} {name}\n    {given} {score} {confidence:.2} [{evidence}], expected {expected:?}");
    }
}

/// Every dataflow of the catalogue with both answers.
fn answers(corpus: &Path) -> Vec<Answer> {
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
            Answer {
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

/// Dataflow id to the categories of the top themes that it is filed under.
fn themes(corpus: &Path) -> BTreeMap<String, BTreeSet<Category>> {
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
        // `91.92.284` is the path to a category: its first part is the theme.
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

/// (language, text) of the children with this name.
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
