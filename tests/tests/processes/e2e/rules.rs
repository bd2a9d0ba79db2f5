//! `dataflow rules` and `dataflow providers` on a running mesh, as people and scripts use them.

use std::path::Path;
use std::process::Stdio;

use dataflow_tests::binary::{self, Ended, Service};
use dataflow_tests::example;
use serde_json::Value;

/// A running mesh.
struct Mesh {
    up: Service,
}

impl Mesh {
    fn start() -> Self {
        Self { up: Service::start("up", &[]) }
    }

    /// Runs a client command on the mesh.
    fn run(&self, arguments: &[&str]) -> Ended {
        let endpoint = format!("http://{}", self.up.address);
        binary::run(&[arguments, &["--endpoint", &endpoint]].concat())
    }

    /// The output of a command that succeeds.
    fn shown(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}: {ended:?}");
        ended.stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.shown(&[arguments, &["--format", "json"]].concat())).unwrap()
    }
}

#[test]
fn a_rule_is_created_changed_field_by_field_and_deleted() {
    let mesh = Mesh::start();
    let before = mesh.json(&["rules", "list"]);
    assert!(before["rules"].as_array().unwrap().len() > 50 && before["revision"] == "1", "{before}");

    let set = ["rules", "set", "mine"];
    let made = mesh.json(
        &[&set[..], &["--category", "health", "--keyword", "zzz", "--keyword", "yy*", "--weight", "yy*=3"]]
            .concat(),
    );
    let known = |rule: &Value| {
        let fields = ["category", "priority", "keywords", "weights", "languages", "disabled", "description"];
        Value::from_iter(fields.map(|field| (field.to_owned(), rule[field].clone())))
    };
    let expected = serde_json::json!({
        "category": "HEALTH", "priority": 5, "keywords": ["zzz", "yy*"], "weights": {"yy*": 3}, "languages": [],
        "disabled": false, "description": ""
    });
    assert_eq!(known(&made), expected);

    let mut expected = expected;
    let mut check = |flags: &[&str], field: &str, value: Value| {
        expected[field] = value;
        let changed = mesh.json(&[&set[..], flags, &["--reason", "why not"]].concat());
        assert_eq!(known(&changed), expected, "{flags:?}");
        assert_ne!(changed["etag"], made["etag"]);
    };
    check(&["--priority", "7"], "priority", 7.into());
    check(&["--disabled"], "disabled", true.into());
    check(&["--disabled=false"], "disabled", false.into());
    check(&["--language", "it", "--language", "en"], "languages", vec!["it", "en"].into());
    check(&["--language", ""], "languages", Value::Array(Vec::new()));
    check(&["--weight", ""], "weights", serde_json::json!({}));
    check(&["--description", "for show"], "description", "for show".into());

    let shown = mesh.shown(&["rules", "get", "mine"]);
    for expected in ["category     HEALTH\n", "priority     7\n", "keywords     zzz\n             yy*\n"] {
        assert!(shown.contains(expected), "{expected:?} in {shown}");
    }
    let listed = mesh.shown(&["rules", "list", "--category", "HEALTH"]);
    assert!(listed.contains("\nmine ") && !listed.contains("ECONOMY"), "{listed}");

    let etag = made["etag"].as_str().unwrap();
    for late in [&["set", "mine", "--priority", "9"][..], &["delete", "mine"]] {
        let ended = mesh.run(&[&["rules"], late, &["--etag", etag]].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{late:?}: {ended:?}");
    }
    let removed = mesh.shown(&["rules", "delete", "mine", "--reason", "enough"]);
    assert_eq!(removed, "mine is removed: default is at revision 10\n");
    assert_eq!(mesh.run(&["rules", "get", "mine"]).code, 1);
}

#[test]
fn revisions_are_compared_and_restored() {
    let mesh = Mesh::start();
    mesh.shown(&["rules", "set", "mine", "--category", "HEALTH", "--keyword", "zzz", "--reason", "a start"]);
    mesh.shown(&["rules", "set", "mine", "--priority", "7"]);

    let check = |range: &[&str], expected: &[&[&str]]| {
        let shown = mesh.shown(&[&["rules", "diff"], range].concat());
        let rows: Vec<_> = shown.lines().skip(1).collect();
        assert_eq!(rows.len(), expected.len(), "{range:?}: {shown}");
        for (row, words) in rows.iter().zip(expected) {
            assert!(words.iter().all(|word| row.contains(word)), "{words:?} in {row}");
        }
    };
    let (added, changed) =
        (&["2 ", "mine", "ADDED", "a start"][..], &["3 ", "mine", "CHANGED", "priority"][..]);
    check(&[], &[changed]);
    check(&["2"], &[changed]);
    check(&["1"], &[added, changed]);
    check(&["1", "2"], &[added]);
    check(&["1", "3"], &[added, changed]);
    let json = mesh.json(&["rules", "diff", "1"]);
    assert_eq!(
        (&json["revisions"][0]["revision"], &json["revisions"][1]["revision"]),
        (&"2".into(), &"3".into())
    );

    let back = mesh.shown(&["rules", "rollback", "1", "--ruleset", "default", "--reason", "no good"]);
    assert_eq!(back, "default is at revision 4, with the rules of revision 1\n");
    check(&[], &[&["4 ", "mine", "REMOVED", "no good"]]);
    for (wrong, code) in [(&["3", "3"], 2), (&["3", "2"], 2), (&["3", "9"], 1), (&["8", "9"], 1)] {
        assert_eq!(mesh.run(&[&["rules", "diff"], &wrong[..]].concat()).code, code, "{wrong:?}");
    }
}

#[test]
fn proposed_rules_are_evaluated_on_a_catalogue() {
    let mesh = Mesh::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yaml");
    let text =
        "ruleset: mine\nmode: WORDS\nrules:\n- {ruleId: all, category: HEALTH, keywords: [popolazione]}\n";
    std::fs::write(&path, text).unwrap();
    let rules = path.to_str().unwrap();

    let evaluation = mesh.json(&["rules", "evaluate", &example(), "--rules", rules]);
    assert_eq!((&evaluation["total"], &evaluation["ruleset"]), (&24.into(), &"default".into()));
    let moves = evaluation["moves"].as_array().unwrap();
    let moved = moves.iter().find(|moved| moved["id"] == "22_289").unwrap();
    assert_eq!(
        (&moved["before"]["category"], &moved["after"]["category"]),
        (&"POPULATION".into(), &"HEALTH".into())
    );
    assert_eq!(moved["after"]["evidence"][0]["rule"]["keyword"], "popolazione");

    let shown = mesh.shown(&["rules", "evaluate", &example(), "--rules", rules, "--category-only"]);
    for expected in ["24 dataflows, of which ", "22_289", "popolazione in name.it", "Resident population"] {
        assert!(shown.contains(expected), "{expected:?} in {shown}");
    }
    // The current rules move nothing.
    let same = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/rules/sets/default.yaml");
    let none = mesh.json(&["rules", "evaluate", &example(), "--rules", same.to_str().unwrap()]);
    assert_eq!((&none["moves"], &none["recategorized"]), (&Value::Array(Vec::new()), &0.into()));

    let check = |code: i32, arguments: &[&str]| {
        let ended = mesh.run(&[&["rules", "evaluate"], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}: {ended:?}");
    };
    check(1, &["no-such-file.xml", "--rules", rules]);
    check(2, &[&example(), "--rules", "no-such-file.yaml"]);
    check(2, &[&example(), "--rules", &example()]);
    check(2, &[&example()]);
    check(2, &[&example(), "--rules", rules, "--ruleset", "unheard-of"]);
    check(3, &[rules, "--rules", rules]);
}

#[test]
fn exit_statuses_distinguish_rejected_calls_from_an_unreachable_mesh() {
    let mesh = Mesh::start();
    let check = |code: i32, arguments: &[&str], expected: &str| {
        let ended = mesh.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{expected:?} in {ended:?}");
    };
    check(1, &["rules", "get", "nope"], "nope");
    check(1, &["rules", "delete", "nope"], "nope");
    check(1, &["rules", "rollback", "99", "--ruleset", "default"], "99");
    check(2, &["rules", "rollback", "1"], "--ruleset");
    check(2, &["rules", "list", "--ruleset", "unheard-of"], "unheard-of");
    check(2, &["rules", "list", "--category", "WEALTH"], "WEALTH");
    check(2, &["rules", "set", "nope"], "nothing to set");
    check(2, &["rules", "set", "nope", "--priority", "3"], "--category and --keyword");
    check(1, &["rules", "set", "nope", "--priority", "3", "--etag", "1"], "nope");
    check(2, &["rules", "set", "nope", "--category", "HEALTH", "--keyword", "*"], "keywords[0]");
    check(2, &["rules", "set", "nope", "--weight", "x"], "--weight");

    let providers = mesh.shown(&["providers", "list"]);
    assert!(providers.contains("\nIT1 ") && providers.contains("https://"), "{providers}");
    assert!(mesh.json(&["providers", "list"])["providers"].as_array().unwrap().len() > 3);

    let unreachable = ["--endpoint", "http://127.0.0.1:1"];
    for command in [&["rules", "list"][..], &["rules", "set", "a", "--priority", "1"], &["providers", "list"]]
    {
        let ended = binary::run(&[command, &unreachable].concat());
        assert_eq!(ended.code, 4, "{command:?}: {ended:?}");
        assert!(ended.stderr.contains("http://127.0.0.1:1/ is unreachable"), "{ended:?}");
    }
}

#[test]
fn only_the_endpoint_comes_from_the_environment() {
    let mesh = Mesh::start();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = binary::command(arguments);
        let endpoint = format!("http://{}", mesh.up.address);
        let output = command.env("DATAFLOW_ENDPOINT", endpoint).envs(variables.iter().copied());
        output.stderr(Stdio::inherit()).output().unwrap()
    };
    let set = ["rules", "set", "mine", "--category", "LABOUR", "--keyword", "zzz", "--format", "json"];
    assert!(run(&[], &set).status.success());
    // A variable with another purpose must not change the rule.
    let stray = [("DATAFLOW_CATEGORY", "HEALTH"), ("DATAFLOW_DISABLED", "true"), ("DATAFLOW_FORMAT", "csv")];
    let output = run(&stray, &["rules", "set", "mine", "--priority", "7", "--format", "json"]);
    let rule: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&rule["category"], &rule["priority"]), (&"LABOUR".into(), &7.into()), "{rule}");
    assert!(rule.get("disabled").is_none_or(|disabled| !disabled.as_bool().unwrap()), "{rule}");
    let output = run(&[&stray[..], &[("DATAFLOW_RULESET", "legacy")]].concat(), &["rules", "list"]);
    assert!(output.stdout.starts_with(b"default: "), "{output:?}");
}

#[test]
fn a_change_can_be_validated_without_being_made() {
    let mesh = Mesh::start();
    let before = mesh.json(&["rules", "list"]);
    let only = ["--validate-only"];
    let set = ["rules", "set", "mine", "--category", "health", "--keyword", "zzz"];
    assert_eq!(mesh.json(&[&set[..], &only].concat())["ruleId"], "mine");
    let first = before["rules"][0]["ruleId"].as_str().unwrap();
    let deleted = mesh.shown(&["rules", "delete", first, "--validate-only"]);
    assert!(deleted.starts_with("validated only, nothing is stored: "), "{deleted}");
    assert_eq!(mesh.json(&["rules", "list"]), before);
    let refused = mesh.run(&["rules", "delete", "lost", "--validate-only"]);
    assert!(refused.code != 0 && refused.stderr.contains("lost"), "{refused:?}");
}
