//! Files that a page names exist: the code map, the life of a request, the tests that hold a row.

use std::collections::BTreeSet;

use crate::expect_none;
use crate::source::{TREE, read};

/// Pages that lead a reader through the code.
const PAGES: [&str; 4] = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/glossary.md", "mesh/README.md"];

/// What the life of a request must name at least: where the bytes of `POST /v1/catalogues:analyze` pass.
const PATH: [&str; 10] = [
    "mesh/src/serve/connection.rs",
    "gateway/src/frontend.rs",
    "mesh/src/inbound.rs",
    "gateway/src/forward.rs",
    "mesh/src/outbound.rs",
    "services/analysis/src/grpc.rs",
    "services/uploads/src/document.rs",
    "services/uploads/src/uploads.rs",
    "services/sdmx/src/reader.rs",
    "services/analysis/src/convert.rs",
];

#[test]
fn every_file_that_a_page_names_exists() {
    let exists: BTreeSet<_> = TREE.iter().map(|entry| entry.path.as_str()).collect();
    let missing = |page: &str, text: &str| -> Vec<String> {
        let named = named(text).into_iter().filter(|path| !exists.contains(path.trim_end_matches('/')));
        named.map(|path| format!("{page} names {path}")).collect()
    };
    assert_eq!(
        missing("a.md", "See `mesh/src/lost.rs` and `mesh/src/lib.rs`."),
        ["a.md names mesh/src/lost.rs"]
    );
    let found: Vec<_> = PAGES.iter().flat_map(|page| missing(page, &read(page))).collect();
    expect_none(&found, "name the file where it is now, as a path from the repository's root.");
}

#[test]
fn every_promise_under_load_names_its_tests() {
    const TABLE: &str = "| a caller that | meets | test |\n|---|---|---|\n";
    let page = read("SECURITY.md");
    let table =
        page.split_once(TABLE).and_then(|(_, after)| after.split_once("\n\n")).expect("it has a table");
    let rows: Vec<_> = table.0.lines().collect();
    assert!(rows.len() > 12, "{rows:?}");
    let untested = rows.iter().filter(|row| {
        let cell = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        !quoted(cell).any(|name| name.ends_with(".rs"))
    });
    expect_none(
        &untested.map(|row| (*row).to_owned()).collect::<Vec<_>>(),
        "SECURITY.md: name the test that keeps the promise.",
    );
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let is_test =
        |text: &str| ["#[test]", "#[tokio::test", "proptest!"].iter().any(|mark| text.contains(mark));
    let exists: BTreeSet<_> = TREE.iter().map(|entry| entry.path.as_str()).collect();
    let page = read("SECURITY.md");
    let names: BTreeSet<_> = quoted(&page).filter(|name| name.ends_with(".rs")).collect();
    assert!(names.len() > 20, "{names:?}");
    let problem = |name: &&str| {
        // From the root, or from the folder of the stages.
        let stage = format!("tests/tests/{name}");
        match [*name, &stage].into_iter().find(|path| exists.contains(path)) {
            None => Some(format!("{name} does not exist")),
            Some(path) if path == stage && !is_test(&read(path)) => Some(format!("{name} has no test")),
            Some(_) => None,
        }
    };
    let found: Vec<_> = names.iter().filter_map(problem).collect();
    expect_none(&found, "SECURITY.md should name files with tests, from the root or from tests/tests.");
    assert!(problem(&"hostile/lost.rs").is_some() && problem(&"hostile/main.rs").is_some());
}

#[test]
fn the_life_of_a_request_names_each_file_that_its_bytes_pass() {
    let page = read("ARCHITECTURE.md");
    let named: BTreeSet<_> = named(&page).into_iter().collect();
    let missing = PATH.iter().filter(|path| !named.contains(**path));
    expect_none(
        &missing.map(|path| (*path).to_owned()).collect::<Vec<_>>(),
        "ARCHITECTURE.md, \"The life of a request\", should lead through this file.",
    );
}

#[test]
fn the_page_of_the_mesh_lists_every_file_of_policies() {
    const TABLE: &str = "| file | content |";
    let page = read("mesh/README.md");
    let table =
        page.split_once(TABLE).and_then(|(_, after)| after.split_once("\n\n")).expect("it has a table").0;
    let listed: BTreeSet<_> = table.split('`').skip(1).step_by(2).collect();
    let is_policy =
        |path: &&str| ["istio/", "linkerd/", "canary/"].iter().any(|folder| path.starts_with(folder));
    let files =
        TREE.iter().filter(|entry| !entry.is_folder).filter_map(|entry| entry.path.strip_prefix("mesh/"));
    let files: Vec<_> =
        files.filter(is_policy).filter(|path| !path.ends_with("/kustomization.yaml")).collect();
    assert!(files.len() > 12, "{files:?}");
    let is_listed = |path: &&&str| {
        let folder = path.rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
        listed.contains(**path) || folder.is_some_and(|folder| listed.contains(folder.as_str()))
    };
    let missing: Vec<_> =
        files.iter().filter(|path| !is_listed(path)).map(|path| (*path).to_owned()).collect();
    expect_none(&missing, "mesh/README.md, \"Files\", should say what it is for.");
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What stands in backticks and is a path below one of the repository's folders.
fn named(text: &str) -> Vec<&str> {
    let roots = ["proto/", "mesh/", "gateway/", "services/", "tests/", "k8s/", "docs/", "examples/", ".ci/"];
    let paths = quoted(text).filter(|path| roots.iter().any(|root| path.starts_with(root)));
    paths.filter(|path| !path.contains([' ', '*', '<', '{'])).collect()
}
