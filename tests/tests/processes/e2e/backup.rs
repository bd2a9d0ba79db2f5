//! A backup of the rules, restored in another mesh: `dataflow rules export` and `import`.

use std::path::Path;

use dataflow_tests::binary::{self, Ended, Service};
use serde_json::Value;
use tempfile::TempDir;

fn run(mesh: &Service, arguments: &[&str]) -> Ended {
    let endpoint = format!("http://{}", mesh.address);
    binary::run(&[arguments, &["--endpoint", &endpoint]].concat())
}

fn shown(mesh: &Service, arguments: &[&str]) -> String {
    let ended = run(mesh, arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}: {ended:?}");
    ended.stdout
}

fn save(directory: &TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_export_is_restored_in_another_mesh() {
    let (directory, lost) = (TempDir::new().unwrap(), Service::start("up", &[]));
    let set =
        ["rules", "set", "mine", "--category", "HEALTH", "--keyword", "zzz: #1", "--weight", "zzz: #1=3"];
    shown(
        &lost,
        &[&set[..], &["--language", "it", "--description", "yes: \"'\u{e8}\nß", "--disabled"]].concat(),
    );
    shown(&lost, &["rules", "set", "health.it", "--priority", "77"]);
    shown(&lost, &["rules", "delete", "population.context"]);
    let exports = ["default", "legacy"].map(|ruleset| {
        let text = shown(&lost, &["rules", "export", "--ruleset", ruleset]);
        (ruleset, save(&directory, ruleset, &text), text)
    });
    let list = |mesh: &Service| {
        let listed = shown(mesh, &["rules", "list", "--format", "json"]);
        let mut listed: Value = serde_json::from_str(&listed).unwrap();
        let rules = listed["rules"].as_array_mut().unwrap();
        for rule in rules.iter_mut() {
            for version in ["etag", "createTime", "updateTime"] {
                rule.as_object_mut().unwrap().remove(version);
            }
        }
        std::mem::take(rules)
    };
    let rules = list(&lost);
    lost.stop();

    let restored = Service::start("up", &[]);
    for (ruleset, file, text) in &exports {
        let import = ["rules", "import", file, "--reason", "restore"];
        let revision = if *ruleset == "default" { 2 } else { 1 };
        for _ in 0..2 {
            // The second time, and where nothing had been changed, there is no new revision.
            assert!(
                shown(&restored, &import).starts_with(&format!("{ruleset} is at revision {revision}, with "))
            );
        }
        assert_eq!(shown(&restored, &["rules", "export", "--ruleset", ruleset]), *text);
    }
    assert_eq!(list(&restored), rules);
    let changes = shown(&restored, &["rules", "diff", "1", "2"]);
    for expected in ["restore", "mine", "population.context"] {
        assert!(changes.contains(expected), "{expected} in {changes}");
    }
    // The way back is the same as for any other change.
    shown(&restored, &["rules", "rollback", "1", "--ruleset", "default"]);
    assert_ne!(list(&restored), rules);
}

#[test]
fn an_import_changes_all_rules_or_none() {
    let (directory, mesh) = (TempDir::new().unwrap(), Service::start("up", &[]));
    let before = shown(&mesh, &["rules", "export"]);
    let check = |code: i32, text: &str, expected: &str| {
        let file = save(&directory, "changed", text);
        let ended = run(&mesh, &["rules", "import", &file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{expected:?} in {ended:?}");
        assert_eq!(shown(&mesh, &["rules", "export"]), before);
    };
    check(2, &before.replacen("ruleset: default", "ruleset: unheard-of", 1), "unheard-of");
    check(2, &before.replacen("mode: WORDS", "mode: SUBSTRING", 1), "mode");
    check(2, &before.replacen("category: HEALTH", "category: WEALTH", 1), "WEALTH");
    check(2, &format!("{before}  - ["), "the rule file");
    let file = save(&directory, "stale", &before.replacen("category: HEALTH", "category: LABOUR", 1));
    let ended = run(&mesh, &["rules", "import", &file, "--etag", "ffff-0"]);
    assert!(ended.code == 1 && ended.stderr.contains("etag"), "{ended:?}");
    assert_eq!(shown(&mesh, &["rules", "export"]), before);
    let listed = shown(&mesh, &["rules", "list"]);
    let etag = listed.lines().next().and_then(|line| line.rsplit_once("etag ")).unwrap().1;
    shown(&mesh, &["rules", "import", &file, "--etag", etag]);
    assert_ne!(shown(&mesh, &["rules", "export"]), before);
    let missing = directory.path().join("missing");
    let ended = run(&mesh, &["rules", "import", missing.to_str().unwrap()]);
    assert!(ended.code == 2 && ended.stderr.contains("missing"), "{ended:?}");
    let ended = run(&mesh, &["rules", "export", "--ruleset", "unheard-of"]);
    assert!(ended.code == 2 && ended.stderr.contains("unheard-of"), "{ended:?}");
}

#[test]
fn the_built_in_sets_are_what_an_export_of_them_reads() {
    let mesh = Service::start("up", &[]);
    for ruleset in ["default", "legacy"] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../services/rules/sets/{ruleset}.yaml"));
        let built_in = dataflow_rules::file::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let exported = shown(&mesh, &["rules", "export", "--ruleset", ruleset]);
        assert_eq!(dataflow_rules::file::parse(&exported).unwrap(), built_in);
    }
}
