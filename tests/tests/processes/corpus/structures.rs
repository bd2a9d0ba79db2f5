//! The structures of published messages in SDMX-JSON and in SDMX 2.0, counted in another way: by parsers that keep the
//! whole document.

use std::path::Path;

use dataflow_sdmx::{Diagnostics, Limits, Reference, StructureReader, Structures};
use dataflow_tests::corpus;
use roxmltree::{Document, Node};
use serde_json::Value;

/// The structures of a document, and the reasons of its warnings.
fn read(name: &str, document: &[u8]) -> (Structures, Vec<&'static str>) {
    let reader = StructureReader::new(document, Limits::default());
    let mut reader = reader.with_structures(Structures::default());
    loop {
        match reader.next_dataflow() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => panic!("{name}: {error}"),
        }
    }
    let structures = reader.take_structures();
    let diagnostics: Diagnostics = reader.into_diagnostics();
    (structures, diagnostics.kept().iter().map(|kept| kept.reason.as_str()).collect())
}

/// The files of some folders of the corpus with this ending.
fn files(directory: &Path, folders: &[&str], ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in folders {
        for file in std::fs::read_dir(directory.join(folder)).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|found| found == ending) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                files.push((name, std::fs::read(file).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Each data structure with its dimensions, one line each, in any order.
fn shown(structures: &Structures) -> Vec<String> {
    let shown = structures.data_structures().iter().map(|found| {
        let mut ids: Vec<_> = found.dimensions.iter().map(|dimension| dimension.id.as_str()).collect();
        ids.sort_unstable();
        format!("{} {}", found.identity, ids.join(" "))
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}

fn array<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn identity(value: &Value) -> Reference {
    let [agency_id, id, version] = ["agencyID", "id", "version"].map(|member| text(value, member).to_owned());
    Reference { agency_id, id, version }
}

#[test]
fn structures_in_json_are_those_of_another_parser() {
    let Some(directory) = corpus::directory("structures in JSON are not counted") else { return };
    let mut totals = [0; 4];
    for (name, bytes) in files(&directory, &["json"], "json") {
        let Ok(document) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let data = &document["data"];
        if !data.is_object() || data.get("metadataSets").is_some() {
            continue;
        }
        let (structures, _) = read(&name, &bytes);
        let mut expected: Vec<_> = array(data, "dataStructures")
            .iter()
            .map(|found| {
                let list = &found["dataStructureComponents"]["dimensionList"];
                let lists = ["dimensions", "measureDimensions", "timeDimensions"];
                let all =
                    lists.iter().flat_map(|member| array(list, member)).chain(list.get("timeDimension"));
                let mut ids: Vec<_> = all.map(|dimension| text(dimension, "id")).collect();
                ids.sort_unstable();
                format!("{} {}", identity(found), ids.join(" "))
            })
            .collect();
        expected.sort();
        assert_eq!(shown(&structures), expected, "{name}");
        let index = structures.index();
        for (list, items) in
            [("codelists", "codes"), ("valueLists", "valueItems"), ("valuelists", "valueItems")]
        {
            for found in array(data, list) {
                let count = array(found, items).len() as u64;
                assert_eq!(index.codes(&identity(found)), Some(count).filter(|count| *count > 0), "{name}");
                totals[1] += 1;
            }
        }
        let constraints =
            || ["dataConstraints", "contentConstraints"].iter().flat_map(|list| array(data, list));
        let found = structures.constraints().iter().map(|found| {
            let keys = found.regions.iter().flat_map(|region| &region.keys);
            let values: u64 = keys.map(|key| key.count).sum();
            (found.identity.clone(), found.is_actual, found.dataflows.len(), values, found.series_count)
        });
        let expected = constraints().map(|found| {
            let role = text(found, "role").to_owned() + text(found, "type");
            let keys = array(found, "cubeRegions").iter().flat_map(|region| array(region, "keyValues"));
            let values = keys.map(|key| array(key, "values").len() as u64).sum();
            let series = array(found, "annotations").iter().find(|note| text(note, "id") == "series_count");
            let series = series.and_then(|note| text(note, "title").parse().ok());
            let dataflows = array(&found["constraintAttachment"], "dataflows").len();
            (identity(found), role.eq_ignore_ascii_case("actual"), dataflows, values, series)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        totals[0] += structures.data_structures().len();
        totals[2] += structures.constraints().len();
        totals[3] += 1;
    }
    let [families, lists, constraints, messages] = totals;
    println!(
        "{messages} messages: {families} data structures, {lists} code lists, {constraints} constraints"
    );
    assert!(families > 8 && lists > 60 && constraints > 5 && messages > 35, "{totals:?}");
}

fn named<'a, 'input>(
    document: &'a Document<'input>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    document.descendants().filter(move |node| node.is_element() && node.tag_name().name() == name)
}

#[test]
fn key_families_are_those_of_another_parser() {
    let Some(directory) = corpus::directory("key families are not counted") else { return };
    let (mut families, mut lists) = (0, 0);
    for (name, bytes) in files(&directory, &["structures", "catalogues"], "xml") {
        let Ok(written) = str::from_utf8(&bytes) else { continue };
        if !written.contains("v2_0") {
            continue;
        }
        let document = Document::parse(written.trim_start_matches('\u{feff}')).unwrap();
        let (structures, reasons) = read(&name, &bytes);
        let of = |node: &Node<'_, '_>| {
            let part = |name: &str| node.attribute(name).unwrap_or_default().to_owned();
            let version = node.attribute("version").unwrap_or("1.0").to_owned();
            Reference { agency_id: part("agencyID"), id: part("id"), version }
        };
        let mut expected: Vec<_> = named(&document, "KeyFamily")
            .map(|family| {
                let is_dimension =
                    |node: &Node<'_, '_>| matches!(node.tag_name().name(), "Dimension" | "TimeDimension");
                let all = family.descendants().filter(is_dimension);
                let mut ids: Vec<_> = all.filter_map(|node| node.attribute("conceptRef")).collect();
                ids.sort_unstable();
                format!("{} {}", of(&family), ids.join(" "))
            })
            .collect();
        expected.sort();
        assert_eq!(shown(&structures), expected, "{name}: {reasons:?}");
        let index = structures.index();
        for list in named(&document, "CodeList") {
            let codes = list.children().filter(|node| node.tag_name().name() == "Code").count() as u64;
            assert_eq!(index.codes(&of(&list)), Some(codes).filter(|codes| *codes > 0), "{name}");
            lists += 1;
        }
        families += expected.len();
    }
    println!("{families} key families, {lists} code lists");
    assert!(families > 5 && lists > 20, "{families}, {lists}");
}
