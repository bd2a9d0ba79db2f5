//! Catalogues whose dataflows have known categories.
//!
//! ISTAT's of May 2020: 456 dataflows, each in one of ISTAT's 19 themes, which the table below maps to our seven
//! categories. Statistics Canada's: the titles of 2,571 tables in two languages, each with the category of its subject.
//!
//! Each is split by the sums of the bytes of ids. Authors of rules may look at the mistakes in one part, `tuning`; another
//! part, `calibration`, is for the table of confidences alone; the `held` part measures both, and no author looks at its mistakes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dataflow_rules::Category;
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

const STATCAN: &str = "csv/statcan_subjects_even.tsv";

/// A dataflow with its categories. One with several themes is correct if any of them agrees.
pub(crate) struct Labelled {
    pub(crate) id: String,
    pub(crate) agency: &'static str,
    pub(crate) names: Vec<(String, String)>,
    pub(crate) descriptions: Vec<(String, String)>,
    pub(crate) expected: BTreeSet<Category>,
}

/// What a dataflow is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Tuning,
    Calibration,
    Held,
}

// === impl Labelled ===

impl Labelled {
    /// ISTAT's catalogue.
    pub(crate) fn istat(corpus: &Path) -> Vec<Self> {
        let themes = themes(corpus);
        let text = read(corpus, CATALOGUE);
        let document = Document::parse(&text).expect("the catalogue is XML");
        let dataflows = elements(document.root(), "Dataflow").map(|dataflow| {
            let id = dataflow.attribute("id").expect("every dataflow of the catalogue has an id");
            Self {
                id: id.to_owned(),
                agency: "IT1",
                names: texts(dataflow, "Name"),
                descriptions: texts(dataflow, "Description"),
                expected: themes.get(id).cloned().unwrap_or_default(),
            }
        });
        dataflows.collect()
    }

    /// Statistics Canada's tables.
    pub(crate) fn statcan(corpus: &Path) -> Vec<Self> {
        let table = read(corpus, STATCAN);
        let tables = table.lines().skip(1).map(|line| {
            let [id, category, en, fr] =
                line.split('\t').collect::<Vec<_>>().try_into().expect("four columns");
            let category = category.parse().unwrap_or_else(|_| panic!("{category} is a category"));
            Self {
                id: id.to_owned(),
                agency: "STATCAN",
                names: [("en", en), ("fr", fr)].map(|(tag, text)| (tag.to_owned(), text.to_owned())).into(),
                descriptions: Vec::new(),
                expected: [category].into(),
            }
        });
        tables.collect()
    }

    /// Which part of its catalogue the dataflow is in.
    pub(crate) fn part(&self) -> Part {
        let sum = self.id.bytes().map(u32::from).sum::<u32>();
        match (self.agency, sum % 8) {
            ("IT1", 1 | 3 | 5 | 7) | ("STATCAN", 2 | 6) => Part::Held,
            ("IT1", 2 | 6) | ("STATCAN", 4) => Part::Calibration,
            _ => Part::Tuning,
        }
    }
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
