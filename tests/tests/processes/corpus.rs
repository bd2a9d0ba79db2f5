//! Every available published message is read, or rejected for the right reason. The expected counts are in the manifest
//! of the corpus.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use dataflow_analysis::Error;
use dataflow_analysis::budget::Budget;
use dataflow_analysis::catalogue::{self, Catalogue};
use dataflow_rules::Compiled;
use dataflow_sdmx::{Limits, ParseError};
use dataflow_tests::{built_in, corpus};

fn analyze(path: &Path, rules: &Compiled) -> Result<Catalogue, ParseError> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let analyzed = catalogue::analyze(file, rules, Limits::default(), &mut Budget::unlimited());
    analyzed.map_err(|error| match error {
        Error::Document(error) => error,
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
    for folder in ["data", "errors", "json", "csv"] {
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
