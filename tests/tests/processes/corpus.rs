//! Every available published message is read, or rejected for the right reason. The expected counts are in the manifest
//! of the corpus.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use dataflow_analysis::Error;
use dataflow_analysis::catalogue::{self, Catalogue};
use dataflow_rules::Compiled;
use dataflow_sdmx::{Dataflow, Limits, ParseError, Position, Reason, Severity, StructureReader};
use dataflow_tests::{built_in, corpus, sdmx_json};
use dataflow_uploads::budget::Budget;
use serde_json::Value;

mod structures;

fn analyze(path: &Path, rules: &Compiled) -> Result<Catalogue, ParseError> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let analyzed = catalogue::analyze(file, rules, Limits::default(), &mut Budget::unlimited());
    analyzed.map_err(|error| match error {
        Error::Upload(dataflow_uploads::Error::Document(error)) => error,
        other => panic!("{}: {other}", path.display()),
    })
}

/// The number of dataflow definitions by file, if the manifest lists it.
fn manifest(directory: &Path) -> BTreeMap<String, usize> {
    let manifest =
        std::fs::read_to_string(directory.join("MANIFEST.tsv")).expect("the corpus has a manifest");
    let counts = manifest.lines().filter_map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        let counts = columns.get(10)?.split(';').find_map(|count| count.strip_prefix("dataflow_defs="))?;
        Some((columns[0].to_owned(), counts.parse().ok()?))
    });
    counts.collect()
}

#[test]
fn every_structure_message_is_read_and_counted() {
    let Some(directory) = corpus::directory("published structure messages are not read") else { return };
    let counts = manifest(&directory);
    let rules = Compiled::new(&built_in("default")).unwrap();
    let (mut read, mut counted) = (0, 0);
    for folder in ["catalogues", "structures"] {
        let mut files: Vec<_> =
            std::fs::read_dir(directory.join(folder)).unwrap().map(|file| file.unwrap()).collect();
        files.sort_by_key(|file| file.file_name());
        for file in files {
            let name = format!("{folder}/{}", file.file_name().to_string_lossy());
            // Messages without dataflows count as 0; the manifest does not list them.
            let expected = counts.get(&name).copied().unwrap_or_default();
            let catalogue = match analyze(&file.path(), &rules) {
                Ok(catalogue) => catalogue,
                Err(error) if REJECTED.contains(&(name.as_str(), error.reason())) => continue,
                Err(error) => panic!("{name}: {error}"),
            };
            assert_eq!(catalogue.dataflows.len(), expected, "{name}");
            read += 1;
            counted += expected;
        }
    }
    println!("{read} structure messages with {counted} dataflows");
    assert!(read > 100 && counted > 1_100, "{read} messages, {counted} dataflows");
}

/// Files among the structures that are not structure messages, or malformed on purpose, and why they are rejected.
const REJECTED: [(&str, &str); 0] = [];

#[test]
fn other_messages_are_rejected_with_a_position() {
    let Some(directory) =
        corpus::directory("the rejection of published data and error messages is not tested")
    else {
        return;
    };
    let rules = Compiled::new(&built_in("default")).unwrap();
    let mut refused = BTreeMap::<_, usize>::new();
    for folder in ["data", "errors", "csv"] {
        for file in std::fs::read_dir(directory.join(folder)).unwrap().map(|file| file.unwrap()) {
            let name = format!("{folder}/{}", file.file_name().to_string_lossy());
            let error = analyze(&file.path(), &rules).err().unwrap_or_else(|| panic!("{name} was read"));
            let message = error.to_string();
            assert!(message.starts_with("byte ") && message.contains("expected"), "{name}: {message}");
            *refused.entry(error.reason()).or_default() += 1;
        }
    }
    println!("refused: {refused:?}");
    assert!(refused.values().sum::<usize>() > 50, "{refused:?}");
}

#[test]
fn every_structure_message_in_json_is_read_and_counted() {
    let Some(directory) = corpus::directory("published structure messages in JSON are not read") else {
        return;
    };
    let rules = Compiled::new(&built_in("default")).unwrap();
    let (mut read, mut counted, mut refused) = (0, 0, 0);
    for file in std::fs::read_dir(directory.join("json")).unwrap().map(|file| file.unwrap()) {
        let name = file.file_name().to_string_lossy().into_owned();
        let analyzed = analyze(&file.path(), &rules);
        // Another parser, which keeps the whole document, says what it is and what it has.
        let document = serde_json::from_slice::<Value>(&std::fs::read(file.path()).unwrap());
        let data = document.as_ref().ok().and_then(|document| document.get("data")?.as_object());
        let Some(data) = data.filter(|data| !data.contains_key("metadataSets")) else {
            let error = analyzed.err().unwrap_or_else(|| panic!("{name} was read"));
            assert_eq!(error.reason(), "NOT_A_STRUCTURE_MESSAGE", "{name}: {error}");
            refused += 1;
            continue;
        };
        let flows: Vec<_> = data.get("dataflows").and_then(Value::as_array).into_iter().flatten().collect();
        let catalogue = analyzed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = catalogue.dataflows.iter().map(|analyzed| {
            let Dataflow { id, agency_id, names, structure, .. } = &*analyzed.dataflow;
            (id.as_str(), agency_id.as_str(), names.len(), structure.is_some())
        });
        let expected = flows.iter().map(|flow| {
            let text = |member: &str| flow[member].as_str().unwrap_or_default();
            let names = flow["names"].as_object().map_or(1, serde_json::Map::len);
            (text("id"), text("agencyID"), names, flow["structure"].is_string())
        });
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        // One dataflow has the URN of another agency.
        let others = catalogue.diagnostics.kept().iter().filter(|kept| {
            kept.reason.severity() == Severity::Warning && kept.reason != Reason::ContradictoryUrn
        });
        assert_eq!(others.count(), 0, "{name}: {:?}", catalogue.diagnostics);
        read += 1;
        counted += flows.len();
    }
    println!("{read} structure messages in JSON with {counted} dataflows, {refused} others refused");
    assert!(read > 35 && counted > 8 && refused > 3, "{read}, {counted}, {refused}");
}

/// The dataflows of a document, without their positions.
fn dataflows(document: &str) -> Vec<Dataflow> {
    let mut reader = StructureReader::new(document.as_bytes(), Limits::default()).with_annotations();
    let mut flows = Vec::new();
    while let Some(flow) = reader.next_dataflow().unwrap() {
        flows.push(Dataflow { position: Position::START, ..*flow });
    }
    flows
}

#[test]
fn published_catalogues_have_the_same_dataflows_in_json() {
    let Some(directory) = corpus::directory("the formats are not compared on published catalogues") else {
        return;
    };
    let (mut compared, mut counted) = (0, 0);
    for file in std::fs::read_dir(directory.join("catalogues")).unwrap().map(|file| file.unwrap()) {
        // SDMX 2.0 is not converted: it has key families, and inline categories.
        let document = std::fs::read_to_string(file.path()).unwrap_or_default();
        if document.is_empty() || document.contains("v2_0") {
            continue;
        }
        let flows = dataflows(&document);
        // Not `assert_eq`, which would print both.
        let json = dataflows(&sdmx_json::of_xml(&document));
        let differs = flows.iter().zip(&json).find(|(one, other)| one != other);
        assert!(differs.is_none(), "{}: {differs:#?}", file.path().display());
        assert_eq!(flows.len(), json.len(), "{}", file.path().display());
        compared += 1;
        counted += flows.len();
    }
    println!("{compared} catalogues with {counted} dataflows compared");
    assert!(compared > 2 && counted > 1_000, "{compared} catalogues, {counted} dataflows");
}
