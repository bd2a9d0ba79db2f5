//! `dataflow snapshot`, `verify` and `diff`, with a running mesh and without.

use std::fs;
use std::path::PathBuf;

use dataflow_tests::binary::{self, Ended, Service};
use dataflow_tests::catalogues::catalogue;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two catalogues in files.
struct Files {
    base: PathBuf,
    head: PathBuf,
    folder: TempDir,
}

// === impl Files ===

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let [base, head] = ["base.xml", "head.xml"].map(|name| folder.path().join(name));
        let flows = [("A", "Population by age"), ("B", "Unemployment rate"), ("OLD", "Hospitals")];
        fs::write(&base, catalogue("1", "IT1", &flows)).unwrap();
        let flows = [("A", "Population by age and sex"), ("B", "Hospital beds"), ("NEW", "Hospitals")];
        fs::write(&head, catalogue("2", "IT1", &flows)).unwrap();
        Self { base, head, folder }
    }

    fn paths(&self) -> [&str; 2] {
        [self.base.to_str().unwrap(), self.head.to_str().unwrap()]
    }
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn two_files_are_compared_without_a_mesh() {
    let files = Files::new();
    let [base, head] = files.paths();
    let diff = json_of(&binary::run(&["diff", base, head, "--format", "json"]));
    let counts = diff["counts"].as_object().unwrap();
    assert_eq!(counts.len(), 12, "{counts:?}");
    for (kind, expected) in [
        ("ADDED", 1),
        ("REMOVED", 1),
        ("RENAMED", 2),
        ("SUCCEEDED", 1),
        ("CATEGORY_CHANGED", 1),
        ("HIDDEN", 0),
    ] {
        assert_eq!(counts[kind], expected, "{kind}: {counts:?}");
    }
    let changes = diff["changes"].as_array().unwrap();
    let of = |kind: &str| changes.iter().find(|change| change["kind"] == kind).unwrap();
    assert_eq!((&of("SUCCEEDED")["id"], &of("SUCCEEDED")["successor"]), (&json!("OLD"), &json!("NEW")));
    let category = json!([{"field": "category", "before": "LABOUR", "after": "HEALTH"}]);
    assert_eq!((&of("CATEGORY_CHANGED")["id"], &of("CATEGORY_CHANGED")["fields"]), (&json!("B"), &category));

    let table = binary::run(&["diff", base, head]);
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.stdout.starts_with("1 added, 1 removed, 2 renamed, 1 category changed, 1 succeeded\n"));
    assert!(
        table.stdout.contains("IT1:OLD(1.0)") && table.stdout.contains("by NEW (same name)"),
        "{table:?}"
    );
    let same = binary::run(&["diff", base, base]);
    assert_eq!((same.code, same.stdout.lines().next()), (0, Some("no differences")), "{same:?}");

    let broken = files.folder.path().join("broken.xml");
    fs::write(&broken, "<html/>").unwrap();
    let refused = binary::run(&["diff", base, broken.to_str().unwrap()]);
    assert!(refused.code == 3 && refused.stderr.contains("broken.xml"), "{refused:?}");
    let missing = binary::run(&["diff", base, "s-0123"]);
    assert!(missing.code == 1 && missing.stderr.contains("--provider"), "{missing:?}");
}

#[test]
fn a_file_becomes_a_snapshot_that_is_listed_verified_compared_and_removed() {
    let files = Files::new();
    let [base, head] = files.paths();
    let directory = files.folder.path().join("state");
    let flags = ["--data-dir", directory.to_str().unwrap()];
    let mut up = Service::start("up", &flags);
    let mut endpoint = format!("http://{}", up.address);
    let run = |endpoint: &str, arguments: &[&str]| {
        let mesh = ["--provider", "IT1", "--endpoint", endpoint];
        binary::run(&[arguments, &mesh].concat())
    };
    let stored = json_of(&run(&endpoint, &["snapshot", base, "--format", "json"]));
    let id = stored["snapshotId"].as_str().unwrap().to_owned();
    assert_eq!(stored["receipts"][0]["documents"][0]["source"], base);
    let known = run(&endpoint, &["snapshot", base]);
    assert!(known.stdout.starts_with(&format!("known {id}, 3 dataflows\n")), "{known:?}");
    // It survives the process.
    assert_eq!(up.stop().0, 0);
    up = Service::start("up", &flags);
    endpoint = format!("http://{}", up.address);
    let run = |arguments: &[&str]| run(&endpoint, arguments);
    assert!(run(&["snapshot", head]).stdout.starts_with("stored s-"));

    let list = json_of(&run(&["snapshot", "list", "--format", "json"]));
    let all = list["snapshots"].as_array().unwrap();
    assert!(all.len() == 2 && all[1]["snapshotId"] == *id, "{list}");
    let table = run(&["snapshot", "list"]);
    assert!(table.stdout.contains(&id) && table.stdout.contains("DATAFLOWS"), "{table:?}");
    let one = run(&["snapshot", "get", &id]);
    assert!(one.stdout.contains(&id) && one.stdout.contains("sha256:"), "{one:?}");

    let verified = run(&["verify", &id]);
    assert!(verified.code == 0 && verified.stdout.contains("is intact"), "{verified:?}");
    let verified = run(&["verify", &id, base]);
    assert!(verified.code == 0 && verified.stdout.contains("was received at"), "{verified:?}");
    let other = run(&["verify", &id, head]);
    assert!(other.code == 1 && other.stderr.contains("is in no receipt of"), "{other:?}");

    let by_mesh = json_of(&run(&["diff", &id, "latest", "--format", "json"]));
    let by_files = json_of(&binary::run(&["diff", base, head, "--format", "json"]));
    for part in ["counts", "changes", "notCompared"] {
        assert_eq!(by_mesh[part], by_files[part], "{part}");
    }
    assert_eq!(by_mesh["base"], *id);

    let refused = run(&["snapshot", "/none/x.xml"]);
    assert!(refused.code == 1 && refused.stderr.contains("/none/x.xml"), "{refused:?}");
    let of_another = binary::run(&["snapshot", base, "--provider", "ESTAT", "--endpoint", &endpoint]);
    assert!(of_another.code == 1 && of_another.stderr.contains("agency ESTAT"), "{of_another:?}");
    let deleted = run(&["snapshot", "delete", &id]);
    assert_eq!((deleted.code, deleted.stdout), (0, format!("deleted {id}\n")));
    let gone = run(&["snapshot", "get", &id]);
    assert!(gone.code == 1 && gone.stderr.contains(&id), "{gone:?}");
    assert_eq!(binary::run(&["snapshot"]).code, 2);
}
