//! Published data messages, counted in another way. We may not distribute them: `SDMX_CORPUS` names their folder.

use std::fs;
use std::path::PathBuf;

use roxmltree::{Document, Node, ParsingOptions};

use super::*;

/// The files of a part of the corpus with this ending; `None`, with a message, without a corpus.
fn files(part: &str, ending: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let Some(directory) = std::env::var_os("SDMX_CORPUS").map(PathBuf::from) else {
        eprintln!("SKIPPED: SDMX_CORPUS names no directory of published data: {part} is not counted");
        return None;
    };
    let entries = fs::read_dir(directory.join(part)).unwrap().map(|entry| entry.unwrap().path());
    let mut files = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect::<Vec<_>>();
    files.sort();
    assert!(!files.is_empty(), "{part} has no files");
    Some(files)
}

fn named_as(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The value of an observation, if it has one.
fn value(observation: &Node<'_, '_>) -> Option<String> {
    let child = || observation.children().find(|child| named_as(child, "ObsValue"))?.attribute("value");
    let value = observation.attribute("OBS_VALUE").or_else(child)?;
    (!matches!(value, "" | "NaN")).then(|| value.to_owned())
}

/// The observations among the children of an element, as SDMX-JSON writes them.
fn observations_in_json(parent: Node<'_, '_>) -> String {
    let observations = parent.children().filter(|node| named_as(node, "Obs")).enumerate();
    let written = observations.map(|(index, node)| {
        let value = value(&node).map_or_else(|| "null".to_owned(), |value| format!("{value:?}"));
        format!("\"{index}\": [{value}, 0]")
    });
    format!("\"observations\": {{{}}}", written.collect::<Vec<_>>().join(","))
}

/// The data sets of a document as a message in SDMX-JSON.
fn in_json(document: &Document<'_>) -> String {
    let data_sets = document.descendants().filter(|node| named_as(node, "DataSet")).map(|data_set| {
        let series = data_set.descendants().filter(|node| named_as(node, "Series")).enumerate();
        let series = series.map(|(index, node)| format!("\"{index}\": {{{}}}", observations_in_json(node)));
        let series = series.collect::<Vec<_>>().join(",");
        format!("{{\"series\": {{{series}}}, {}}}", observations_in_json(data_set))
    });
    format!("{{\"dataSets\": [{}], \"structure\": {{}}}}", data_sets.collect::<Vec<_>>().join(","))
}

/// The counts by a tree of the whole document, in which elements of a name count wherever they are.
fn by_tree(document: &Document<'_>) -> [u64; 5] {
    let all = |name: &str| document.descendants().filter(|node| named_as(node, name)).collect::<Vec<_>>();
    let observations = all("Obs");
    let in_series = |node: &&Node<'_, '_>| node.parent().is_some_and(|parent| named_as(&parent, "Series"));
    let without = observations.iter().filter(|node| value(node).is_none()).count();
    let alone = observations.len() - observations.iter().filter(in_series).count();
    let is_group = |node: &Node<'_, '_>| node.is_element() && node.tag_name().name().ends_with("Group");
    let in_data_set = |node: &Node<'_, '_>| node.parent().is_some_and(|parent| named_as(&parent, "DataSet"));
    let groups = document.descendants().filter(|node| is_group(node) && in_data_set(node)).count();
    [all("DataSet").len(), groups, all("Series").len() + alone, observations.len(), without]
        .map(|count| count as u64)
}

/// The first and the last of texts that are years, or months, so that their order is that of their characters.
fn ends(texts: impl Iterator<Item = String>) -> Option<(String, String)> {
    let mut texts = texts.collect::<Vec<_>>();
    texts.sort();
    let is_plain = |text: &String| {
        text.len() == texts[0].len() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    texts.iter().all(is_plain).then(|| Some((texts.first()?.clone(), texts.last()?.clone()))).flatten()
}

/// All texts of time in a document.
fn times(document: &Document<'_>) -> Vec<String> {
    let mut times = Vec::new();
    let is_at_observations =
        document.descendants().any(|node| node.attribute("dimensionAtObservation") == Some("TIME_PERIOD"));
    for node in document.descendants().filter(Node::is_element) {
        times.extend(node.attribute("TIME_PERIOD").map(str::to_owned));
        let is_time = ["id", "concept"].iter().any(|name| node.attribute(*name) == Some("TIME_PERIOD"));
        match node.tag_name().name() {
            "Time" => times.extend(node.text().map(str::to_owned)),
            "Value" if is_time => times.extend(node.attribute("value").map(str::to_owned)),
            "ObsDimension" if is_time || (node.attribute("id").is_none() && is_at_observations) => {
                times.extend(node.attribute("value").map(str::to_owned));
            }
            _ => {}
        }
    }
    times
}

#[test]
fn published_messages_have_the_counts_of_their_trees() {
    let Some(files) = files("data", "xml") else { return };
    let (mut observations, mut with_periods) = (0, 0);
    for (name, bytes) in &files {
        let counts = match count(&bytes[..]) {
            Err(error) if error.reason() == "UNSUPPORTED_SDMX_VERSION" => {
                assert!(bytes.windows(5).any(|window| window == b"/v1_0"), "{name}: {error}");
                continue;
            }
            counts => counts.unwrap_or_else(|error| panic!("{name}: {error}")),
        };
        let text = str::from_utf8(bytes).unwrap().trim_start_matches('\u{feff}');
        let options = ParsingOptions { nodes_limit: u32::MAX, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).unwrap();
        let [data_sets, groups, series, all, without] = by_tree(&document);
        let found = (counts.data_sets, counts.groups, counts.series, counts.observations);
        assert_eq!(found, (data_sets, groups, series, all), "{name}");
        assert!(counts.without_value.is_none_or(|number| number == without), "{name}");
        assert!(counts.structure.is_some() && !counts.header.id.is_empty(), "{name}: {counts:?}");
        observations += all;
        let counts_in_json = count(in_json(&document).as_bytes()).unwrap();
        assert_eq!(numbers(&counts_in_json), format!("{data_sets} 0 {series} {all} {without} - -"), "{name}");
        if let Some((first, last)) = ends(times(&document).into_iter()) {
            with_periods += 1;
            assert_eq!((counts.first_period, counts.last_period), (Some(first), Some(last)), "{name}");
        }
    }
    println!(
        "{} messages with {observations} observations, {with_periods} of them with periods",
        files.len()
    );
    assert!(with_periods * 2 > files.len());
}

#[test]
fn published_rows_are_counted() {
    let Some(files) = files("csv", "csv") else { return };
    let mut rows = 0;
    for (name, bytes) in &files {
        let text = str::from_utf8(bytes).unwrap();
        if !text.starts_with("DATAFLOW,") && !text.starts_with("STRUCTURE,") {
            assert_eq!(count(&bytes[..]).unwrap_err().reason(), "NOT_A_DATA_MESSAGE", "{name}");
            continue;
        }
        // No field of these files has a line break, and none before the period has a comma.
        let counts = count(&bytes[..]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let header = lines.next().unwrap().split(',').collect::<Vec<_>>();
        let position = header.iter().position(|column| column.split(':').next() == Some("TIME_PERIOD"));
        let period =
            |line: &str| position.and_then(|position| line.split(',').nth(position)).map(str::to_owned);
        let is_observation = |line: &&str| match position {
            Some(_) => period(line).is_some_and(|period| !period.is_empty()),
            None => !line.ends_with(",D,,,"),
        };
        let lines = lines.filter(is_observation).collect::<Vec<_>>();
        assert_eq!(counts.observations, lines.len() as u64, "{name}");
        assert!(counts.series >= 1 && counts.series <= counts.observations, "{name}: {counts:?}");
        assert!(counts.structure.is_some(), "{name}: {counts:?}");
        rows += lines.len();
    }
    println!("{} files with {rows} observations", files.len());
}

#[test]
fn published_structures_are_no_data() {
    let Some(files) = files("json", "json") else { return };
    for (name, bytes) in &files {
        let is_data = serde_json::from_slice::<serde_json::Value>(bytes)
            .is_ok_and(|root| root.get("dataSets").or_else(|| root.get("data")?.get("dataSets")).is_some());
        match count(&bytes[..]) {
            Ok(_) => assert!(is_data, "{name}"),
            Err(error) => assert!(error.reason() == "NOT_A_DATA_MESSAGE" && !is_data, "{name}: {error}"),
        }
    }
}

#[test]
fn one_published_table_has_the_same_counts_in_two_formats() {
    let (Some(messages), Some(rows)) = (files("data", "xml"), files("csv", "csv")) else { return };
    let counts = |files: &[(String, Vec<u8>)], name: &str| {
        let (_, bytes) = files.iter().find(|(file, _)| file == name).unwrap();
        numbers(&count(&bytes[..]).unwrap())
    };
    assert_eq!(counts(&messages, "pysdmx__str_ser.xml"), counts(&rows, "pysdmx__data_v1.csv"));
}

/// Eurostat's footer of a response that it writes into a file, which a client would take for an empty one.
#[test]
fn a_published_footer_is_reported() {
    let Some(files) = files("errors", "xml") else { return };
    let (_, bytes) = files.iter().find(|(name, _)| name.contains("footer")).expect("one has a footer");
    let counts = count(&bytes[..]).unwrap();
    let [only] = counts.diagnostics.kept() else { panic!("{counts:?}") };
    assert_eq!((counts.observations, only.reason), (0, Reason::MessageWithErrors));
    let parts =
        ["code \"413\"", "Due to the large query", "http://ec.europa.eu/eurostat/SDMX/diss-web/file/"];
    assert!(parts.iter().all(|part| only.message.contains(part)), "{}", only.message);
}
