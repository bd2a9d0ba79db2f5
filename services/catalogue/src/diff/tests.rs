//! Differences of small documents, and properties of any.

use std::io::{self, Read};

use dataflow_sdmx::Limits;
use dataflow_uploads::budget::{Budget, Canceled};
use dataflow_uploads::document::Documents;
use proptest::prelude::*;

use super::*;
use crate::reading;
use crate::stored::packed;

/// Documents one after the other.
struct Texts {
    texts: Vec<String>,
    at: usize,
}

impl Read for Texts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.texts[0].as_bytes()[self.at..];
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

impl Documents for Texts {
    fn next_document(&mut self) -> io::Result<bool> {
        self.texts.remove(0);
        self.at = 0;
        Ok(!self.texts.is_empty())
    }
}

const HEAD: &str = "<m:Structure xmlns:m='http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message' \
     xmlns:s='http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure' \
     xmlns:c='http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common'>";

fn structure(header: &str, artefacts: &str) -> String {
    format!("{HEAD}<m:Header>{header}</m:Header><m:Structures>{artefacts}</m:Structures></m:Structure>")
}

fn catalogue(dataflows: &str) -> String {
    structure("", &format!("<s:Dataflows>{dataflows}</s:Dataflows>"))
}

/// A dataflow with a name, and more elements before the name and after it.
fn dataflow(id: &str, version: &str, name: &str, before: &str, after: &str) -> String {
    format!(
        "<s:Dataflow id='{id}' agencyID='A' version='{version}'>{before}<c:Name xml:lang='en'>{name}</c:Name>\
         {after}</s:Dataflow>"
    )
}

fn plain(id: &str, name: &str) -> String {
    dataflow(id, "1.0", name, "", "")
}

/// What is stored of documents.
fn content(documents: &[String]) -> (Packed, [u8; 32]) {
    let mut texts = Texts { texts: documents.to_vec(), at: 0 };
    let mut budget = Budget::new(usize::MAX, Canceled::default());
    let read = reading::read(&mut texts, &Limits::default(), &mut budget).unwrap().packed;
    let bytes = packed::decompress(&read.chunks, read.content_bytes).unwrap();
    assert_eq!(packed::hash(&bytes), read.hash);
    (Packed::read(bytes).unwrap(), read.hash)
}

fn diff(base: &[String], head: &[String]) -> Diff {
    let ((base, _), (head, _)) = (content(base), content(head));
    let now = Timestamp { seconds: 1_800_000_000, nanos: 0 };
    let side = |content| Side { content, categories: None };
    compare(side(&base), side(&head), now).unwrap()
}

/// Kind and identifier of each change, and its fields or its successor.
fn found(diff: &Diff) -> Vec<String> {
    let show = |change: &Change| {
        let detail = match &change.detail {
            Detail::None => String::new(),
            Detail::Fields(fields) => fields
                .iter()
                .map(|Field { field, before, after }| format!(" {field}:{before}>{after}"))
                .collect(),
            Detail::Succession(Succession { successor, reasons }) => format!(" {successor} {reasons:?}"),
        };
        format!("{:?} {}{detail}", change.kind, change.id)
    };
    diff.changes.iter().map(show).collect()
}

#[track_caller]
fn check(base: &str, head: &str, expected: &[&str]) {
    let found = found(&diff(&[catalogue(base)], &[catalogue(head)]));
    assert_eq!(found, expected, "{base}\n{head}");
}

#[test]
fn each_kind_of_change_of_a_dataflow_is_found() {
    let (a, b) = (plain("A", "One"), plain("B", "Two"));
    check(&a, &a, &[]);
    check(&a, &format!("{a}{b}"), &["Added B"]);
    check(&format!("{b}{a}"), &a, &["Removed B"]);
    check(&a, &plain("A", "Uno"), &["Renamed A name.en:One>Uno"]);
    let italian = "<c:Name xml:lang='it'>Uno</c:Name>";
    check(&a, &dataflow("A", "1.0", "One", "", italian), &["Renamed A name.it:>Uno"]);
    check(&a, &dataflow("A", "1.1", "One", "", ""), &["VersionChanged A version:1.0>1.1"]);
    let both = format!("{a}{}", dataflow("A", "1.1", "One", "", ""));
    check(&a, &both, &["VersionChanged A version:1.0>1.0, 1.1"]);
    let structure =
        |version| format!("<s:Structure><Ref id='D' agencyID='A' version='{version}'/></s:Structure>");
    let with = |version| dataflow("A", "1.0", "One", "", &structure(version));
    check(&a, &with("1.0"), &["StructureChanged A structure:>A:D(1.0)"]);
    check(&with("1.0"), &with("1.1"), &["StructureChanged A structure:A:D(1.0)>A:D(1.1)"]);
    let annotated = |kind: &str, title: &str| {
        let annotation = format!(
            "<c:Annotations><c:Annotation><c:AnnotationTitle>{title}</c:AnnotationTitle>\
             <c:AnnotationType>{kind}</c:AnnotationType></c:Annotation></c:Annotations>"
        );
        dataflow("A", "1.0", "One", &annotation, "")
    };
    check(
        &annotated("LAST_UPDATE", "2026-01-01"),
        &annotated("LAST_UPDATE", "2026-01-02"),
        &["AnnotationsChanged A annotation.LAST_UPDATE:2026-01-01>2026-01-02"],
    );
    let hidden = annotated("NonProductionDataflow", "true");
    let annotation = "AnnotationsChanged A annotation.NonProductionDataflow:";
    check(&a, &hidden, &["Hidden A", &format!("{annotation}>true")]);
    check(&hidden, &a, &["Shown A", &format!("{annotation}true>")]);
}

#[test]
fn what_does_not_concern_dataflows_is_no_difference() {
    let (a, b) = (plain("A", "One"), plain("B", "Two"));
    let flows = |flows: &str| format!("<s:Dataflows>{flows}</s:Dataflows>");
    let base =
        [structure("<m:ID>1</m:ID><m:Prepared>2026-01-01T00:00:00</m:Prepared>", &flows(&format!("{a}{b}")))];
    let head = [structure(
        "<m:ID>2</m:ID><m:Prepared>2027-01-01T00:00:00</m:Prepared>",
        &flows(&format!("{b}\n  {a}")),
    )];
    assert_eq!(content(&base).1, content(&head).1, "the same hash");
    assert_eq!(diff(&base, &head).changes, []);
    let other =
        [catalogue(&dataflow("A", "1.0", "One", "", "<c:Description xml:lang='en'>x</c:Description>"))];
    let diff = diff(&[catalogue(&a)], &other);
    assert_eq!((diff.changes.len(), diff.other_changes), (0, 1), "no kind names descriptions");
}

const SCHEME: &str = "<s:CategorySchemes><s:CategoryScheme id='S' agencyID='A' version='1.0'>\
     <s:Category id='X'><c:Name>x</c:Name></s:Category><s:Category id='Y'><c:Name>y</c:Name></s:Category>\
     </s:CategoryScheme></s:CategorySchemes>";

fn link(number: u32, category: &str, valid: &str) -> String {
    format!(
        "<s:Categorisation id='C{number}' agencyID='A' version='1.0' {valid}><s:Source><Ref id='A' agencyID='A' \
         version='1.0' class='Dataflow'/></s:Source><s:Target><Ref id='{category}' maintainableParentID='S' \
         agencyID='A' maintainableParentVersion='1.0' class='Category'/></s:Target></s:Categorisation>"
    )
}

#[test]
fn themes_are_compared_if_both_contents_have_some() {
    let a = catalogue(&plain("A", "One"));
    let with = |header: &str, links: &str| {
        let themes = format!("{SCHEME}<s:Categorisations>{links}</s:Categorisations>");
        vec![a.clone(), structure(header, &themes)]
    };
    let (x, y) = (with("", &link(1, "X", "")), with("", &link(1, "Y", "")));
    let moved = diff(&x, &y);
    assert_eq!(found(&moved), ["Rethemed A theme:A:S/X>A:S/Y"]);
    assert_eq!(moved.not_compared, [Kind::StructureContentChanged, Kind::CategoryChanged]);
    let both = with("", &format!("{}{}", link(1, "X", ""), link(2, "Y", "")));
    assert_eq!(found(&diff(&x, &both)), ["Rethemed A theme:>A:S/Y"]);
    let without = diff(&x, std::slice::from_ref(&a));
    assert_eq!(found(&without), Vec::<String>::new());
    assert!(without.not_compared.contains(&Kind::Rethemed));
    // A link that has ended does not count, whatever the headers say.
    let ended = "validTo='2026-06-01T00:00:00'";
    let prepared = |time: &str| {
        let header = format!("<m:Prepared>{time}</m:Prepared>");
        with(&header, &format!("{}{}", link(1, "X", ended), link(2, "Y", "")))
    };
    let (before, after) = (prepared("2026-05-01T00:00:00"), prepared("2026-07-01T00:00:00"));
    assert_eq!(content(&before).1, content(&after).1);
    assert_eq!(found(&diff(&before, &y)), Vec::<String>::new());
}

#[test]
fn a_structure_that_changes_under_its_version_is_found() {
    let flow = dataflow(
        "A",
        "1.0",
        "One",
        "",
        "<s:Structure><Ref id='D' agencyID='A' version='1.0'/></s:Structure>",
    );
    let with = |dimensions: &str, codes: &str| {
        let structures = format!(
            "<s:Codelists><s:Codelist id='CL' agencyID='A' version='1.0'>{codes}</s:Codelist></s:Codelists>\
             <s:DataStructures><s:DataStructure id='D' agencyID='A' version='1.0'><s:DataStructureComponents>\
             <s:DimensionList>{dimensions}</s:DimensionList></s:DataStructureComponents></s:DataStructure>\
             </s:DataStructures>"
        );
        vec![catalogue(&flow), structure("", &structures)]
    };
    let dimension = |id: &str| {
        format!(
            "<s:Dimension id='{id}'><s:LocalRepresentation><s:Enumeration><Ref id='CL' agencyID='A' version='1.0'/>\
             </s:Enumeration></s:LocalRepresentation></s:Dimension>"
        )
    };
    let (code, codes) = ("<s:Code id='1'/>", "<s:Code id='1'/><s:Code id='2'/>");
    let base = with(&dimension("FREQ"), code);
    let check = |head: &[String], expected: &[&str]| assert_eq!(found(&diff(&base, head)), expected);
    check(&base, &[]);
    check(&with(&dimension("FREQ"), codes), &["StructureContentChanged A dimension.FREQ.codes:1>2"]);
    let more = format!("{}{}", dimension("FREQ"), dimension("SEX"));
    check(&with(&more, code), &["StructureContentChanged A dimensions:FREQ>FREQ.SEX"]);
    let without = diff(&base, &[catalogue(&flow)]);
    assert!(without.changes.is_empty() && without.not_compared.contains(&Kind::StructureContentChanged));
}

#[test]
fn categories_are_compared_if_they_are_known() {
    let (content, _) = content(&[catalogue(&format!("{}{}", plain("A", "One"), plain("B", "Two")))]);
    let (before, after) = ([Category::Health, Category::Other], [Category::Health, Category::Labour]);
    let side = |categories| Side { content: &content, categories };
    let now = Timestamp { seconds: 0, nanos: 0 };
    let diff = compare(side(Some(&before[..])), side(Some(&after[..])), now).unwrap();
    assert_eq!(found(&diff), ["CategoryChanged B category:OTHER>LABOUR"]);
    let unknown = compare(side(Some(&before[..])), side(None), now).unwrap();
    assert!(unknown.changes.is_empty() && unknown.not_compared.contains(&Kind::CategoryChanged));
}

#[test]
fn a_probable_successor_needs_two_reasons_or_a_name_of_its_own() {
    let successors = |base: &[String], head: &[String]| {
        let found = found(&diff(&[catalogue(&base.concat())], &[catalogue(&head.concat())]));
        found.into_iter().filter(|found| found.starts_with("Succeeded")).collect::<Vec<_>>()
    };
    let flow = |id: &str, name: &str, structure: &str| {
        let after = format!("<s:Structure><Ref id='{structure}' agencyID='A' version='1.0'/></s:Structure>");
        dataflow(id, "1.0", name, "", &after)
    };
    // As Eurostat renames.
    let found = successors(&[flow("demo_pjan", "Population", "X")], &[flow("popul", "Population", "Y")]);
    assert_eq!(found, ["Succeeded demo_pjan popul [SameName]"]);
    // A name that several have needs another reason.
    let shared = [flow("P", "Regional data", "X"), flow("Q", "Regional data", "Z")];
    assert!(successors(&shared, &[flow("R", "Regional data", "Y")]).is_empty());
    let found = successors(&shared, &[flow("R", "Regional data", "X")]);
    assert_eq!(found, ["Succeeded P R [SameName, SameStructure]"]);
    // Structure and family alone tell little, with a similar name enough.
    let old = flow("DF_POP_1", "Resident population by age, sex", "X");
    assert!(successors(std::slice::from_ref(&old), &[flow("DF_POP_2", "Deaths", "X")]).is_empty());
    let found = successors(
        std::slice::from_ref(&old),
        &[flow("DF_POP_2", "Resident population by age and sex", "X")],
    );
    assert_eq!(found, ["Succeeded DF_POP_1 DF_POP_2 [SimilarName, SameStructure, SameFamily]"]);
    // Of two that are equally probable, none.
    let new = [
        flow("DF_POP_2", "Resident population, age, sex, by", "X"),
        flow("DF_POP_3", "By sex, age: resident population", "X"),
    ];
    assert!(successors(&[old], &new).is_empty());
}

fn arbitrary() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0..12_u8, 0..3_u8, 0..4_u8), 0..20)
}

fn documents(dataflows: &[(u8, u8, u8)]) -> [String; 1] {
    let flows = dataflows.iter().map(|(id, version, name)| {
        dataflow(&format!("D_{id}"), &format!("1.{version}"), &format!("Name {name}"), "", "")
    });
    [catalogue(&flows.collect::<String>())]
}

proptest! {
    #[test]
    fn a_content_does_not_differ_from_itself_in_any_order(mut flows in arbitrary(), seed in any::<u64>()) {
        let before = documents(&flows);
        let length = flows.len().max(1);
        flows.rotate_left(usize::try_from(seed).unwrap_or(0) % length);
        flows.reverse();
        let after = documents(&flows);
        prop_assert_eq!(content(&before).1, content(&after).1);
        prop_assert_eq!(diff(&before, &after).changes, vec![]);
    }

    #[test]
    fn what_is_added_one_way_is_removed_the_other(base in arbitrary(), head in arbitrary()) {
        let (base, head) = (documents(&base), documents(&head));
        let ids = |diff: &Diff, kind: Kind| {
            diff.changes.iter().filter(|change| change.kind == kind).map(|change| change.id.clone()).collect::<Vec<_>>()
        };
        let (there, back) = (diff(&base, &head), diff(&head, &base));
        prop_assert_eq!(ids(&there, Kind::Added), ids(&back, Kind::Removed));
        prop_assert_eq!(ids(&there, Kind::Removed), ids(&back, Kind::Added));
        prop_assert_eq!(ids(&there, Kind::VersionChanged), ids(&back, Kind::VersionChanged));
        prop_assert_eq!(ids(&there, Kind::Renamed), ids(&back, Kind::Renamed));
        let is_ordered = there.changes.windows(2).all(|pair| pair[0].order() <= pair[1].order());
        prop_assert!(is_ordered);
        // Each dataflow that both have with other bytes is listed, or counted.
        prop_assert_eq!(there.other_changes, back.other_changes);
    }
}
