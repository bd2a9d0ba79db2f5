//! Decisions by themes on small catalogues of one or several documents.

use std::io::{self, Read};

use dataflow_mesh::memory_shares::MemoryShares;
use dataflow_rules::themes::Mapping;
use dataflow_rules::{Compiled, built_in};
use dataflow_sdmx::Limits;

use super::*;
use crate::Error;
use crate::catalogue::{self, AnalyzedDataflow, Catalogue};
use dataflow_uploads::budget::{Budget, Canceled, ResultMemory};
use dataflow_uploads::document::Documents;

/// Documents in memory.
struct InMemory<'a>(Vec<&'a [u8]>);

impl Read for InMemory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0[0].read(buffer)
    }
}

impl Documents for InMemory<'_> {
    fn next_document(&mut self) -> io::Result<bool> {
        self.0.remove(0);
        Ok(!self.0.is_empty())
    }
}

fn analyze_within(documents: &[&str], ruleset: usize, budget: &mut Budget) -> Result<Catalogue, Error> {
    let rules = Compiled::new(&built_in::rulesets()[ruleset]).unwrap();
    let mut documents = InMemory(documents.iter().map(|document| document.as_bytes()).collect());
    catalogue::analyze_all(
        &mut documents,
        &rules,
        &CompiledMapping::new(&Mapping::built_in()),
        Limits::default(),
        budget,
    )
}

fn analyze(documents: &[&str]) -> Catalogue {
    analyze_within(documents, 0, &mut Budget::unlimited()).unwrap()
}

/// A catalogue without namespaces, of dataflows by id and Italian name.
fn catalogue(flows: &[(&str, &str)]) -> String {
    let flows = flows.iter().map(|(id, name)| {
        format!("<Dataflow id='{id}' agencyID='IT1' version='1.0'><Name lang='it'>{name}</Name></Dataflow>")
    });
    format!("<Structure><Dataflows>{}</Dataflows></Structure>", flows.collect::<String>())
}

const PRICES: &str = "P.P1";
const HEALTH: &str = "H";
const UNMAPPED: &str = "U";

/// Themes of the agency with ISTAT's names, and links from dataflows to them.
fn themes(links: &[(&str, &str)]) -> String {
    let category = |id: &str, name: &str, inside: &str| {
        format!("<Category id='{id}'><Name lang='it'>{name}</Name>{inside}</Category>")
    };
    let categories = category("P", "Prezzi", &category("P1", "Prezzi al consumo", ""))
        + &category("H", "Salute e sanità", "")
        + &category("U", "Altri dati", "");
    let links = links.iter().map(|(flow, path)| {
        let (flow, attributes) = flow.split_once(' ').unwrap_or((flow, ""));
        format!(
            "<Categorisation id='c' {attributes}><Source><Ref id='{flow}' agencyID='IT1' version='1.0'/></Source>\
             <Target><Ref id='{path}' maintainableParentID='T' agencyID='IT1'/></Target></Categorisation>"
        )
    });
    format!(
        "<Structure><CategoryScheme id='T' agencyID='IT1' version='2.0'>{categories}</CategoryScheme>{}</Structure>",
        links.collect::<String>()
    )
}

/// One line for each dataflow: id, category, what decided, and the themes.
fn shown(catalogue: &Catalogue) -> Vec<String> {
    let themes = |themes: &[AssignedTheme]| {
        let shown = themes.iter().map(|assigned| {
            let ended = if assigned.deprecated { " ended" } else { "" };
            let parent =
                assigned.inherited_from.as_ref().map_or_else(String::new, |id| format!(" from {id}"));
            format!(" {}/{}{ended}{parent}", assigned.theme.scheme, assigned.theme.path.join("/"))
        });
        shown.collect::<String>()
    };
    let flows =
        catalogue.dataflows.iter().map(|AnalyzedDataflow { dataflow, filing, themes: own, .. }| {
            format!("{} {} {}{}", dataflow.id, filing.category, filing.decided_by.name(), themes(own))
        });
    flows.collect()
}

fn reasons(catalogue: &Catalogue) -> Vec<&'static str> {
    catalogue.diagnostics.kept().iter().map(|kept| kept.reason.as_str()).collect()
}

#[track_caller]
fn check(flows: &[(&str, &str)], links: &[(&str, &str)], expected: &[&str]) -> Catalogue {
    let analyzed = analyze(&[&catalogue(flows), &themes(links)]);
    assert_eq!(shown(&analyzed), expected);
    analyzed
}

#[test]
fn themes_decide_before_the_rules() {
    let births = [("A", "Nati vivi"), ("B", "Nati vivi"), ("C", "Xyz"), ("D", "Nati vivi")];
    let analyzed = check(
        &births,
        &[("A", PRICES), ("C", HEALTH), ("D", UNMAPPED)],
        &[
            "A ECONOMY THEME IT1:T(2.0)/P/P1",
            "B POPULATION RULES",
            "C HEALTH THEME IT1:T(2.0)/H",
            "D POPULATION RULES IT1:T(2.0)/U",
        ],
    );
    let filings: Vec<_> = analyzed.dataflows.iter().map(|dataflow| &dataflow.filing).collect();
    assert_eq!((filings[0].score, filings[0].confidence), (0, THEME_CONFIDENCE));
    assert!(filings[0].evidence.is_empty(), "the rules found evidence for another category");
    assert!(filings[1].score > 0 && filings[1] == filings[3], "an unmapped theme changes nothing");
    let coverage: Vec<_> = analyzed.coverage().map(|(by, count)| (by.name(), count)).collect();
    assert_eq!(coverage, [("THEME", 2), ("RULES", 2), ("FAMILY", 0), ("NOTHING", 0)]);
    assert!(analyzed.diagnostics.is_empty(), "{:?}", analyzed.diagnostics);
}

#[test]
fn evidence_of_the_rules_stays_where_they_agree() {
    let analyzed =
        check(&[("A", "Prezzi al consumo")], &[("A", PRICES)], &["A ECONOMY THEME IT1:T(2.0)/P/P1"]);
    let alone = analyze(&[&catalogue(&[("A", "Prezzi al consumo")])]);
    let (with, without) = (&analyzed.dataflows[0].filing, &alone.dataflows[0].filing);
    assert_eq!((with.score, &with.evidence), (without.score, &without.evidence));
    assert!(with.score > 0 && with.confidence > without.confidence);
}

#[test]
fn the_category_of_most_themes_wins_then_that_of_the_rules() {
    let check = |name: &str, links: &[&str], category: &str, confidence: f64| {
        let links: Vec<_> = links.iter().map(|path| ("A", *path)).collect();
        let analyzed = analyze(&[&catalogue(&[("A", name)]), &themes(&links)]);
        let dataflow = &analyzed.dataflows[0];
        assert_eq!(dataflow.filing.category.name(), category, "{name} {links:?}");
        assert!((dataflow.filing.confidence - confidence * THEME_CONFIDENCE).abs() < 1e-9, "{dataflow:?}");
    };
    check("Xyz", &[PRICES, HEALTH], "ECONOMY", 0.5);
    check("Xyz", &[HEALTH, PRICES], "HEALTH", 0.5);
    check("Cause di morte", &[PRICES, HEALTH], "HEALTH", 0.5);
    check("Cause di morte", &[PRICES, HEALTH, "P"], "ECONOMY", 2.0 / 3.0);
    check("Xyz", &[UNMAPPED, HEALTH, UNMAPPED], "HEALTH", 1.0);
    // Two links to one theme are one theme.
    check("Xyz", &[HEALTH, PRICES, PRICES], "HEALTH", 0.5);
}

#[test]
fn a_dataflow_without_themes_has_those_of_its_nearest_parent() {
    let flows = [("A", "Xyz"), ("A_B", "Xyz"), ("A_B_C", "Xyz"), ("A_B@D_E", "Xyz"), ("AB", "Xyz")];
    check(
        &flows,
        &[("A", HEALTH), ("A_B", PRICES)],
        &[
            "A HEALTH THEME IT1:T(2.0)/H",
            "A_B ECONOMY THEME IT1:T(2.0)/P/P1",
            "A_B_C ECONOMY THEME IT1:T(2.0)/P/P1 from A_B",
            "A_B@D_E ECONOMY THEME IT1:T(2.0)/P/P1 from A_B",
            "AB OTHER NOTHING",
        ],
    );
    // A parent without themes has those of its own parent.
    check(
        &flows[..3],
        &[("A", HEALTH)],
        &[
            "A HEALTH THEME IT1:T(2.0)/H",
            "A_B HEALTH THEME IT1:T(2.0)/H from A",
            "A_B_C HEALTH THEME IT1:T(2.0)/H from A",
        ],
    );
    // A theme of its own that is not mapped is a theme.
    check(
        &flows[..2],
        &[("A", HEALTH), ("A_B", UNMAPPED)],
        &["A HEALTH THEME IT1:T(2.0)/H", "A_B OTHER NOTHING IT1:T(2.0)/U"],
    );
}

#[test]
fn a_link_that_has_ended_is_shown_and_does_not_decide() {
    let ended = "A validTo='2020-01-01'";
    let analyzed = check(&[("A", "Xyz")], &[(ended, HEALTH)], &["A OTHER NOTHING IT1:T(2.0)/H ended"]);
    assert_eq!(reasons(&analyzed), ["DEPRECATED_CATEGORISATION"]);
    check(&[("A", "Xyz")], &[(ended, HEALTH), ("A", HEALTH)], &["A HEALTH THEME IT1:T(2.0)/H"]);
    check(
        &[("A", "Xyz"), ("A_B", "Xyz")],
        &[("A", PRICES), ("A_B validTo='2020-01-01'", HEALTH)],
        &["A ECONOMY THEME IT1:T(2.0)/P/P1", "A_B ECONOMY THEME IT1:T(2.0)/H ended IT1:T(2.0)/P/P1 from A"],
    );
}

#[test]
fn a_version_without_links_has_those_of_other_versions() {
    let flows = catalogue(&[("A", "Xyz"), ("A", "Xyz")]).replacen("'1.0'", "'2.0'", 1);
    let links = themes(&[("A", HEALTH)]);
    let health = "A HEALTH THEME IT1:T(2.0)/H";
    assert_eq!(shown(&analyze(&[&flows, &links])), [health; 2]);
    let second = links.replace("</Structure>", "").replace("version='1.0'", "version='2.0'")
        + &themes(&[("A", PRICES)]).replace("<Structure>", "");
    let economy = "A ECONOMY THEME IT1:T(2.0)/P/P1";
    assert_eq!(shown(&analyze(&[&flows, &second])), [health, economy]);
}

#[test]
fn links_to_dataflows_of_no_or_of_several_agencies_are_reported() {
    let analyzed = check(&[("A", "Xyz")], &[("B", HEALTH)], &["A OTHER NOTHING"]);
    assert_eq!(reasons(&analyzed), ["CATEGORISATION_WITHOUT_DATAFLOW"]);
    let two = catalogue(&[("A", "Xyz"), ("A", "Xyz")]).replacen("'IT1'", "'IT2'", 1);
    let health = "A HEALTH THEME IT1:T(2.0)/H";
    assert_eq!(shown(&analyze(&[&two, &themes(&[("A", HEALTH)])])), ["A OTHER NOTHING", health]);
    let without_agency = themes(&[("A", HEALTH)]).replace("id='A' agencyID='IT1'", "id='A'");
    let ambiguous = analyze(&[&two, &without_agency]);
    assert_eq!(shown(&ambiguous), ["A OTHER NOTHING"; 2]);
    assert_eq!(reasons(&ambiguous), ["AMBIGUOUS_CATEGORISATION"]);
    let one = catalogue(&[("A", "Xyz")]);
    assert_eq!(shown(&analyze(&[&one, &without_agency])), [health]);
    let stub = one.replace(" agencyID='IT1'", "");
    assert_eq!(shown(&analyze(&[&stub, &themes(&[("A", HEALTH)])])), [health]);
}

#[test]
fn dataflows_of_further_documents_are_not_listed() {
    let (flows, other) = (catalogue(&[("A", "Xyz")]), catalogue(&[("B", "Xyz")]));
    let both = other.replace("</Structure>", &themes(&[("A", HEALTH)]).replace("<Structure>", ""));
    assert_eq!(shown(&analyze(&[&flows, &both])), ["A HEALTH THEME IT1:T(2.0)/H"]);
    let unused = analyze(&[&flows, &other]);
    assert_eq!((shown(&unused).len(), reasons(&unused)), (1, vec!["DOCUMENT_UNUSED"]));
    // One document may have everything, in any order.
    let whole = themes(&[("A", HEALTH)]).replace("</Structure>", &flows.replace("<Structure>", ""));
    assert_eq!(shown(&analyze(&[&whole])), ["A HEALTH THEME IT1:T(2.0)/H"]);
}

#[test]
fn the_predecessors_rules_decide_alone() {
    let legacy = |documents: &[&str]| analyze_within(documents, 1, &mut Budget::unlimited()).unwrap();
    let flows = catalogue(&[("A", "Popolazione"), ("B", "Xyz")]);
    let (with, without) = (legacy(&[&flows, &themes(&[("A", HEALTH), ("B", HEALTH)])]), legacy(&[&flows]));
    assert_eq!(shown(&with), ["A POPULATION RULES", "B OTHER NOTHING"]);
    for (with, without) in with.dataflows.iter().zip(&without.dataflows) {
        assert_eq!((&with.filing, &with.dataflow), (&without.filing, &without.dataflow));
    }
    assert!(with.diagnostics.is_empty());
}

#[test]
fn an_unreadable_further_document_is_named() {
    let flows = catalogue(&[("A", "Xyz")]);
    let refused = analyze_within(&[&flows, &themes(&[]), "prose"], 0, &mut Budget::unlimited());
    let message = refused.unwrap_err().to_string();
    assert!(message.starts_with("further document 2, byte 0, line 1: "), "{message}");
}

#[test]
fn themes_are_bounded_per_dataflow_and_counted_in_the_result() {
    let flows = catalogue(&[("A", "Xyz")]);
    let many = |count: usize| {
        let categories = (0..count).map(|index| format!("<Category id='N{index}'/>")).collect::<String>();
        let names: Vec<_> = (0..count).map(|index| format!("N{index}")).collect();
        let links: Vec<_> = names.iter().map(|name| ("A", name.as_str())).collect();
        themes(&links).replace("</CategoryScheme>", &format!("{categories}</CategoryScheme>"))
    };
    for (count, listed) in [(MAX_THEMES, MAX_THEMES), (MAX_THEMES + 1, MAX_THEMES)] {
        assert_eq!(analyze(&[&flows, &many(count)]).dataflows[0].themes.len(), listed);
    }
    let spent = |bytes: usize| {
        let mut budget = Budget::new(bytes, Canceled::default());
        analyze_within(&[&flows, &themes(&[("A", HEALTH)])], 0, &mut budget).map(|_| ())
    };
    // The dataflow's id, agency and name with its language; the theme's scheme, path and name.
    let bytes = "AIT1itXyz".len() + "IT1:T(2.0)HitSalute e sanità".len();
    assert!(spent(bytes).is_ok());
    assert!(matches!(spent(bytes - 1), Err(Error::Upload(dataflow_uploads::Error::ResultTooLarge { .. }))));
}

#[test]
fn themes_and_structures_wait_in_the_memory_that_results_share() {
    let flows = catalogue(&[("A", "Xyz")]);
    // Nothing of it is in the result.
    let items = |item: &dyn Fn(String) -> String| {
        (0..10_000).map(|number| item(format!("N{number}"))).collect::<String>()
    };
    let categories = items(&|id| format!("<Category id='{id}'/>"));
    let many = themes(&[]).replace("</CategoryScheme>", &format!("{categories}</CategoryScheme>"));
    let lists = items(&|id| format!("<Codelist id='{id}' agencyID='B'><Code id='1'/></Codelist>"));
    let lists = format!("<Structure><Codelists>{lists}</Codelists></Structure>");
    let analyze = |document: &str, shared: &MemoryShares| {
        let budget = Budget::new(usize::MAX, Canceled::default());
        let mut budget = budget.sharing(ResultMemory::of(shared));
        analyze_within(&[&flows, document], 0, &mut budget).map(drop)
    };
    for document in [&many, &lists] {
        let shared = MemoryShares::new(4 << 20);
        analyze(document, &shared).unwrap();
        let mut others = None;
        assert!(shared.add(&mut others, 4 << 20));
        let refused = analyze(document, &shared);
        assert!(
            matches!(refused, Err(Error::Upload(dataflow_uploads::Error::NoResultMemory { .. }))),
            "{refused:?}"
        );
        drop(others);
        analyze(document, &shared).unwrap();
        let refused = analyze(document, &MemoryShares::new(1 << 18));
        assert!(
            matches!(refused, Err(Error::Upload(dataflow_uploads::Error::ResultMemoryTooLarge { .. }))),
            "{refused:?}"
        );
    }
}
