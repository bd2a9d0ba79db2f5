//! `dataflow analyze` as people and scripts use it.

use std::io::{Cursor, Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use dataflow_tests::binary::{self, Ended, Service};
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::{example, generator, in_repository};
use nix::sys::signal::Signal;
use serde_json::Value;

fn temporary(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn the_example_is_analyzed_without_warnings() {
    let ended = binary::run(&["analyze", &example()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    for expected in ["IT1: 24 dataflows", "POPULATION", "rule set default at revision 1"] {
        assert!(ended.stdout.contains(expected), "{expected}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\x1b'), "no color in a pipe");
    assert!(!ended.stdout.contains("degraded"), "{}", ended.stdout);
}

#[test]
fn the_readme_shows_what_is_printed() {
    let page = std::fs::read_to_string(in_repository("README.md")).unwrap();
    let (_, after) = page.split_once("analyze examples/istat-sample.xml\n```").unwrap();
    let (_, sample) = after.split_once("```text\n").unwrap();
    let (sample, _) = sample.split_once("```").unwrap();
    let printed = binary::run(&["analyze", &example()]).stdout;
    let mut rest = printed.as_str();
    // `...` stands for lines that are left out.
    for part in sample.split("...\n").filter(|part| !part.is_empty()) {
        let at =
            rest.find(part).unwrap_or_else(|| panic!("README.md shows\n{part}\nwhich is not in\n{printed}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn the_table_lists_what_is_asked_for() {
    let run = |flags: &[&str]| binary::run(&[&["analyze", &example()], flags].concat());
    let rows = |flags: &[&str]| run(flags).stdout.lines().filter(|line| line.starts_with("  ")).count() - 1;
    assert_eq!(rows(&["--all"]), 24);
    assert_eq!(rows(&["--top", "1"]), 7);
    assert_eq!(rows(&["--category", "population", "--category", "OTHER", "--top", "1"]), 2);
    let check = |flags: &[&str], expected: &[&str]| {
        let ended = run(flags);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{flags:?}: {ended:?}");
        let all = expected.iter().all(|part| ended.stderr.contains(part));
        assert!(all, "{flags:?}: {expected:?} in {}", ended.stderr);
    };
    check(&["--category", "health", "--format", "csv"], &["--category", "--format csv"]);
    check(&["--bom"], &["--bom", "--format table"]);
    check(&["--all", "--top", "3"], &["--all", "--top"]);
    check(&["--category", "WEALTH"], &["--category", "HEALTH", "UNMATCHED"]);
    let csv = run(&["--bom", "--format", "csv"]);
    assert!(csv.stdout.starts_with("\u{feff}id,agency_id,"), "{csv:?}");
}

#[test]
fn a_mistake_names_its_flag_and_the_next_step() {
    let check = |code: i32, arguments: &[&str], expected: &[&str]| {
        let ended = binary::run(&[&["analyze"], arguments].concat());
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        let all = expected.iter().all(|part| ended.stderr.contains(part));
        assert!(all, "{arguments:?}: {expected:?} in {}", ended.stderr);
    };
    let example = example();
    let example = example.as_str();
    check(
        1,
        &["https://example.org/dataflow"],
        &["https://example.org/dataflow is a URL", "curl -sL", "analyze -"],
    );
    check(1, &[example, "--out", "/none/x"], &["--out /none/x", "no folder /none"]);
    check(2, &[example, "--rules", "defualt"], &["--rules defualt", "default or legacy", "file of rules"]);
    check(3, &[example, "--max-document-bytes", "1KB"], &["more than 1000 bytes", "--max-document-bytes"]);
    check(2, &[example, "--parsers", "0"], &["--parsers", "at least 1"]);
}

#[test]
fn json_output_is_the_reply_of_the_contract() {
    let ended = binary::run(&["analyze", &example(), "--format", "json"]);
    let reply = json(&ended);
    assert_eq!(reply["provider"], "IT1");
    assert_eq!(reply["total"], 24);
    assert_eq!(reply["rulesRevision"], "1", "int64 is a string");
    assert_eq!(reply["cached"], false);
    assert_eq!(reply["degraded"], Value::Array(Vec::new()));
    assert_eq!(reply["counts"].as_object().unwrap().len(), 7);
    let counted: i64 =
        reply["counts"].as_object().unwrap().values().map(|count| count.as_i64().unwrap()).sum();
    assert_eq!(counted, 24);

    let dataflows = reply["dataflows"].as_array().unwrap();
    let flow = |id: &str| dataflows.iter().find(|flow| flow["id"] == id).unwrap();
    let population = flow("22_289");
    assert_eq!(population["category"], "POPULATION");
    assert_eq!(population["structure"]["id"], "DCIS_POPRES1");
    assert_eq!(population["flags"], Value::Array(Vec::new()));
    assert!(population["names"]["it"].is_string() && population["names"]["en"].is_string());
    let rule = &population["evidence"][0]["rule"];
    assert!(rule["id"].is_string() && rule["keyword"].is_string() && rule["offset"].is_number(), "{rule}");
    assert!(rule["field"].as_str().unwrap().starts_with("name."));
    let flagged =
        dataflows.iter().filter(|flow| flow["flags"].as_array().is_some_and(|flags| !flags.is_empty()));
    assert!(flagged.count() >= 2, "the example shows flags");
    assert!(dataflows.iter().any(|flow| flow["lastUpdate"].is_string()), "the example shows freshness");
}

#[test]
fn every_format_contains_every_dataflow() {
    let run = |format| binary::run(&["analyze", &example(), "--format", format]);
    let lines = run("ndjson").stdout;
    assert_eq!(lines.lines().count(), 24);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let rows = run("csv").stdout;
    assert_eq!(rows.lines().count(), 25);
    assert!(rows.starts_with("id,agency_id,version,name,category,score,confidence,"), "{rows:.100}");
}

#[test]
fn legacy_rules_carry_the_predecessors_fields() {
    let ended = binary::run(&["analyze", &example(), "--rules", "legacy", "--format", "json"]);
    let reply = json(&ended);
    assert_eq!(reply["ruleset"], "legacy");
    let population =
        reply["dataflows"].as_array().unwrap().iter().find(|flow| flow["id"] == "22_289").unwrap();
    assert_eq!(population["legacy"]["displayName"], population["names"]["it"]);
}

#[test]
fn rules_can_come_from_a_file() {
    let text =
        "ruleset: mine\nmode: WORDS\nrules:\n- {ruleId: all, category: HEALTH, keywords: [popolazione]}\n";
    let (_directory, path) = temporary("rules.yaml", text);
    let ended = binary::run(&["analyze", &example(), "--rules", path.to_str().unwrap(), "--format", "json"]);
    let reply = json(&ended);
    assert_eq!((&reply["ruleset"], &reply["counts"]["POPULATION"]), (&"mine".into(), &0.into()));
    assert!(reply["counts"]["HEALTH"].as_i64().unwrap() > 0);

    let broken = text.replace("HEALTH", "WEALTH");
    let (_directory, path) = temporary("rules.yaml", &broken);
    let ended = binary::run(&["analyze", &example(), "--rules", path.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.lines().count()), (2, 1), "{ended:?}");
    for once in ["WEALTH", "rules.yaml", "line 4"] {
        assert_eq!(ended.stderr.matches(once).count(), 1, "{once} in {}", ended.stderr);
    }
    assert_eq!(binary::run(&["analyze", &example(), "--rules", "no-such-file"]).code, 2);
}

#[test]
fn standard_input_and_gzip_are_accepted() {
    let document = std::fs::read(example()).unwrap();
    let plain = binary::run_with(&["analyze", "-", "--format", "csv"], Cursor::new(document.clone()));
    assert_eq!(plain.stdout, binary::run(&["analyze", &example(), "--format", "csv"]).stdout);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&document).unwrap();
    let zipped = binary::run_with(&["analyze", "-", "--format", "csv"], Cursor::new(gzip.finish().unwrap()));
    assert_eq!(zipped.stdout, plain.stdout);
}

#[test]
fn themes_of_further_files_decide() {
    let themes = in_repository("examples/istat-themes.xml");
    let themes = themes.to_str().unwrap();
    let analyze = |flags: &[&str]| binary::run(&[&["analyze", &example()], flags].concat());
    let alone = analyze(&["--themes", themes]);
    assert_eq!(alone.code, 0, "{alone:?}");
    for expected in ["decided by theme 2 (8.3%), rules", "theme  theme Resident", "OTHER"] {
        assert!(alone.stdout.contains(expected), "{expected}: {}", alone.stdout);
    }
    let up = Service::start("up", &[]);
    let endpoint = format!("http://{}", up.address);
    let csv = ["--themes", themes, "--format", "csv"];
    let by_mesh = analyze(&[&csv[..], &["--endpoint", &endpoint]].concat());
    assert_eq!(by_mesh.stdout, analyze(&csv).stdout, "{by_mesh:?}");
    assert_eq!(by_mesh.stdout.matches(",THEME,").count(), 2, "{}", by_mesh.stdout);
    assert_eq!(up.stop().0, 0);

    let twice = analyze(&["--themes", themes, "--themes", themes]);
    assert_eq!(twice.code, 0, "{twice:?}");
    let unused = analyze(&["--themes", &example()]);
    assert!(unused.stdout.contains("further document 1, byte"), "{}", unused.stdout);
}

#[test]
fn structures_of_further_files_tell_the_size() {
    let structures = in_repository("examples/istat-structures.xml");
    let structures = structures.to_str().unwrap();
    let analyze = |flags: &[&str]| binary::run(&[&["analyze", &example()], flags].concat());
    let known = json(&analyze(&["--structures", structures, "--format", "json"]));
    let residents = &known["dataflows"][0];
    assert_eq!(
        (&residents["observationCount"], &residents["size"]["method"]),
        (&"280".into(), &"CONSTRAINT".into())
    );
    assert_eq!(residents["freshness"]["overdue"], true);
    assert_eq!(known["dataStructures"][0]["dimensions"][2]["codeCount"], "3");
    let csv = analyze(&["--structures", structures, "--format", "csv"]);
    assert!(csv.stdout.contains(",CONSTRAINT,280,280,280,15400,"), "{}", csv.stdout);
    assert!(csv.stdout.contains(",CUBE,2,9,20,495,"), "{}", csv.stdout);
    // Both flags send further documents.
    assert_eq!(analyze(&["--themes", structures, "--format", "csv"]).stdout, csv.stdout);
}

#[test]
fn a_mistake_in_the_themes_names_their_file() {
    let check = |code: i32, arguments: &[&str], input: &str, expected: &str| {
        let ended = binary::run_with(&[&["analyze"], arguments].concat(), Cursor::new(input.to_owned()));
        assert_eq!(ended.code, code, "{arguments:?} {input:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{expected:?}: {}", ended.stderr);
    };
    let (_directory, path) = temporary("themes.xml", "prose");
    let path = path.to_str().unwrap();
    check(3, &[&example(), "--themes", path], "", "themes.xml");
    check(3, &[&example(), "--themes", "-"], "prose", "standard input");
    check(3, &["-", "--themes", path], "prose", "standard input");
    check(1, &[&example(), "--themes", "no-such-file"], "", "no-such-file");
    check(2, &["-", "--themes", "-"], "", "twice");
    check(1, &[&example(), "--themes", path, "--max-documents", "1"], "", "--max-documents");
    check(2, &[&example(), "--max-documents", "0"], "", "--max-documents");
}

#[test]
fn exit_statuses_state_the_result() {
    let unread = "<Structure><Dataflows><Dataflow/><Dataflow id='A'/></Dataflows></Structure>";
    let regular =
        "<Structure><Dataflows><Dataflow id='A'><Name>Population</Name></Dataflow></Dataflows></Structure>";
    let check = |code: i32, arguments: &[&str], input: &str| {
        let ended = binary::run_with(&[&["analyze"], arguments].concat(), Cursor::new(input.to_owned()));
        assert_eq!(ended.code, code, "{arguments:?} {input:?}: {ended:?}");
        ended
    };
    check(0, &["-"], "<Structure/>");
    check(1, &["no-such-file.xml"], "");
    check(1, &["."], "");
    check(2, &[], "");
    check(2, &["-", "--format", "yaml"], "<Structure/>");
    check(3, &["-"], "prose");
    check(5, &["-", "--max-diagnostics", "0"], unread);
    check(0, &["-", "--max-diagnostics", "0"], regular);
    let incomplete = check(5, &["-"], unread);
    assert!(incomplete.stdout.contains("DATAFLOW_WITHOUT_ID"), "{incomplete:?}");
    let too_long = check(3, &["-", "--max-event-bytes", "10B"], unread);
    assert!(too_long.stderr.contains("10 bytes"), "{too_long:?}");
}

#[test]
fn the_result_can_be_written_to_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.csv");
    let arguments = ["analyze", &example(), "--format", "csv", "--out", path.to_str().unwrap()];
    let ended = binary::run(&arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 25);
    let nowhere = directory.path().join("no/such/place");
    assert_eq!(binary::run(&["analyze", &example(), "--out", nowhere.to_str().unwrap()]).code, 1);
}

#[test]
fn a_broken_pipe_is_not_a_failure() {
    for arguments in [&["analyze", &example(), "--format", "json"][..], &["completions", "bash"]] {
        let mut child = binary::command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn sigint_while_reading_exits_with_130() {
    let mut child =
        binary::command(&["analyze", "-", "--log", "info"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut log = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    // When analysis serves, the command waits for a document that never arrives.
    assert!(log.any(|line| line.unwrap().contains("serving role=\"analysis\"")));
    binary::signal(&child, Signal::SIGINT);
    assert_eq!(binary::wait(&mut child).code(), Some(130), "an exit status, not termination by the signal");
}

#[test]
fn sigint_while_the_output_pipe_is_full_exits_with_130() {
    let mut document = String::new();
    let catalogue = generator::Catalogue { flows: 500, bytes: 1_000_000, seed: 1 };
    catalogue.reader().read_to_string(&mut document).unwrap();
    let (_directory, path) = temporary("catalogue.xml", &document);
    let arguments = ["analyze", path.to_str().unwrap(), "--format", "json"];
    let mut child = binary::command(&arguments).spawn().unwrap();
    // It is printing, and the output is larger than the pipe's buffer.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    binary::signal(&child, Signal::SIGINT);
    assert_eq!(binary::wait(&mut child).code(), Some(130));
}

#[test]
fn variables_of_services_do_not_affect_the_command() {
    let mut command = binary::command(&["analyze", &example(), "--format", "json"]);
    let environment = [
        ("DATAFLOW_DRAIN_DELAY", "10m"),
        ("DATAFLOW_MAX_MESSAGE_BYTES", "1KiB"),
        ("DATAFLOW_MAX_ENTRY_BYTES", "1B"),
        ("DATAFLOW_LISTEN", "nowhere"),
        // Flags of one-off commands have no variables.
        ("DATAFLOW_FORMAT", "csv"),
        ("DATAFLOW_CATEGORY", "HEALTH"),
        ("DATAFLOW_TOP", "1"),
        ("DATAFLOW_ALL", "true"),
        ("DATAFLOW_BOM", "true"),
        ("DATAFLOW_LANG", "it"),
        ("DATAFLOW_RULES", "legacy"),
        ("DATAFLOW_OUT", "/dev/null"),
    ];
    let began = Instant::now();
    let output = command.envs(environment).output().unwrap();
    assert!(output.status.success() && began.elapsed() < 2 * TIMEOUT, "{output:?}");
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reply["ruleset"], "default");
    assert_eq!(reply["degraded"], Value::Array(Vec::new()));
}

#[test]
fn a_boolean_variable_accepts_the_usual_words() {
    let check = |value: &str| {
        let mut command = binary::command(&["gateway", "--show-config"]);
        let output = command.env("DATAFLOW_ALLOW_ANONYMOUS", value).output().unwrap();
        assert!(output.status.success(), "{value:?}: {output:?}");
    };
    ["1", "yes", "true", "0", "no", "false", ""].into_iter().for_each(check);
}
