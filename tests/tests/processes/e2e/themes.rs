//! `dataflow themes` on a running mesh, as people and scripts use it.

use dataflow_tests::binary::{self, Ended, Service};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::{example, in_repository};
use serde_json::{Value, json};
use tempfile::TempDir;

fn run(mesh: &Service, arguments: &[&str]) -> Ended {
    let endpoint = format!("http://{}", mesh.address);
    binary::run(&[&["themes"], arguments, &["--endpoint", &endpoint]].concat())
}

/// The output of a command that succeeds.
fn shown(mesh: &Service, arguments: &[&str]) -> String {
    let ended = run(mesh, arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}: {ended:?}");
    ended.stdout
}

fn json_of(mesh: &Service, arguments: &[&str]) -> Value {
    serde_json::from_str(&shown(mesh, &[arguments, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn a_theme_is_created_changed_field_by_field_and_deleted() {
    let mesh = Service::start("up", &[]);
    let before = json_of(&mesh, &["list"]);
    assert!(before["themes"].as_array().unwrap().len() > 14 && before["revision"] == "0", "{before}");

    let incomplete = run(&mesh, &["set", "mine", "--category", "health"]);
    assert_eq!((incomplete.code, incomplete.stderr.contains("--scheme")), (2, true), "{incomplete:?}");
    let whole = ["--scheme", "A:*", "--path", "X", "--path", "Y", "--category", "health"];
    let made = json_of(&mesh, &[&["set", "mine"], &whole[..]].concat());
    let fields = [&made["scheme"], &made["path"], &made["category"]];
    assert_eq!(fields, [&json!("A:*"), &json!(["X", "Y"]), &json!("HEALTH")]);
    for (flag, value, field, expected) in [
        ("--scheme", "A:S", "scheme", json!("A:S")),
        ("--path", "Z", "path", json!(["Z"])),
        ("--category", "OTHER", "category", json!("OTHER")),
    ] {
        let changed = json_of(&mesh, &["set", "mine", flag, value, "--reason", "why not"]);
        assert_eq!((&changed[field], changed["etag"] != made["etag"]), (&expected, true));
    }
    let text = shown(&mesh, &["get", "mine"]);
    assert!(text.contains("scheme    A:S\n") && text.contains("path      Z\n"), "{text}");
    let listed = shown(&mesh, &["list", "--category", "OTHER"]);
    assert!(listed.contains("\nmine ") && !listed.contains("ECONOMY"), "{listed}");

    let etag = made["etag"].as_str().unwrap();
    for late in [&["set", "mine", "--path", "W"][..], &["delete", "mine"]] {
        let ended = run(&mesh, &[late, &["--etag", etag]].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{late:?}: {ended:?}");
    }
    for (wrong, code) in [
        (&["set", "mine"][..], 2),
        (&["set", "mine", "--scheme", "A"], 2),
        (&["restore", "mine"], 1),
        (&["rollback", "99"], 1),
    ] {
        assert_eq!(run(&mesh, wrong).code, code, "{wrong:?}");
    }
    assert_eq!(shown(&mesh, &["delete", "mine"]), "mine is removed: the mapping is at revision 6\n");
    assert_eq!(run(&mesh, &["get", "mine"]).code, 1);

    let revisions = shown(&mesh, &["revisions"]);
    let rows: Vec<_> = revisions.lines().skip(1).collect();
    for (row, words) in
        rows.iter().zip([&["6 ", "mine", "REMOVED"][..], &["5 ", "category", "why not"], &["4 ", "path"]])
    {
        assert!(words.iter().all(|word| row.contains(word)), "{words:?} in {row}");
    }
    let back = shown(&mesh, &["rollback", "2", "--reason", "again"]);
    assert_eq!(back, "the mapping is at revision 7, with the themes of revision 2\n");
    assert_eq!(json_of(&mesh, &["get", "mine"])["scheme"], "A:*");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_restored_in_another_mesh() {
    let (directory, lost) = (TempDir::new().unwrap(), Service::start("up", &[]));
    let built_in = shown(&lost, &["export"]);
    shown(&lost, &["set", "istat-population", "--category", "LABOUR"]);
    shown(&lost, &["set", "yes: #1", "--scheme", "A:S", "--path=- \"null\"", "--category", "HEALTH"]);
    shown(&lost, &["delete", "istat-prices"]);
    let exported = shown(&lost, &["export"]);
    lost.stop();
    let save = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (backup, first) = (save("backup", &exported), save("first", &built_in));

    let restored = Service::start("up", &[]);
    // What is the same already stores nothing.
    assert_eq!(shown(&restored, &["import", &first]), "the mapping is at revision 0, with 20 themes\n");
    for _ in 0..2 {
        let import = shown(&restored, &["import", &backup, "--reason", "restore"]);
        assert_eq!(import, "the mapping is at revision 2, with 20 themes\n");
    }
    assert_eq!(shown(&restored, &["export"]), exported);
    assert!(exported != built_in && shown(&restored, &["revisions"]).contains("restore"));

    let themes = in_repository("examples/istat-themes.xml");
    let endpoint = format!("http://{}", restored.address);
    let analyze = [&example(), "--themes", themes.to_str().unwrap(), "--format", "json"];
    let labour = async || {
        let analyzed = binary::run(&[&["analyze"], &analyze[..], &["--endpoint", &endpoint]].concat());
        let found: Value = serde_json::from_str(&analyzed.stdout).unwrap();
        let mut dataflows = found["dataflows"].as_array().unwrap().iter();
        dataflows.any(|flow| flow["id"] == "22_289" && flow["category"] == "LABOUR")
    };
    eventually(TIMEOUT, "the mapping of the file decides", labour).await;

    for (text, expected) in [
        ("themes: 1\n", "not a mapping of themes"),
        ("themes:\n- {themeId: a, scheme: 'A:*', path: [], category: HEALTH}\n", "themes[0].path"),
    ] {
        let ended = run(&restored, &["import", &save("wrong", text)]);
        assert!(ended.code == 2 && ended.stderr.contains(expected), "{ended:?}");
    }
    assert_eq!(run(&restored, &["import", "no-such-file"]).code, 2);
}
