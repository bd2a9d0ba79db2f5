//! Rules for files: their names, their place and their size.

use crate::habits::WAITS;
use crate::layers::EDGE;
use crate::source::{Entry, TREE};
use crate::{Rule, expect_none};

/// The maximum number of lines of a file. Aim at 300; the rest leaves room for another test.
const MOST_LINES: usize = 350;

/// Files that may be longer, with the reason why splitting them would not help.
const LONG: [(&str, &str); 0] = [];

/// The entries of the root: the folders of the architecture, then the usual files of a repository.
const ROOT: [&str; 28] = [
    "proto",
    "mesh",
    "gateway",
    "services",
    "k8s",
    "tests",
    "docs",
    "examples",
    "buf.yaml",
    "Cargo.toml",
    "Cargo.lock",
    "clippy.toml",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "Makefile",
    "Dockerfile",
    ".ci",
    ".dockerignore",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
];

/// Names that do not describe their content, so that they collect everything.
const GENERIC_NAMES: [&str; 6] = ["common", "helper", "helpers", "misc", "util", "utils"];

#[test]
fn the_root_contains_only_known_entries() {
    let violations = |tree: &[Entry]| -> Vec<String> {
        let roots = tree.iter().map(|entry| entry.path.clone()).filter(|path| !path.contains('/'));
        roots.filter(|path| !ROOT.contains(&path.as_str())).collect()
    };
    assert_eq!(violations(&[folder("mesh"), folder("mesh/src"), folder("lib")]), ["lib"]);
    expect_none(
        &violations(&TREE),
        "move it below one of the folders of the architecture, add it to .gitignore if it is made by a tool, or, if a \
         reader would look for it at the root, add it to ROOT here.",
    );
}

#[test]
fn no_name_is_generic() {
    let violations = |tree: &[Entry]| -> Vec<String> {
        let is_empty = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name == "mod.rs" || GENERIC_NAMES.contains(&name.split('.').next().unwrap_or(name))
        };
        tree.iter().map(|entry| entry.path.clone()).filter(|path| is_empty(path)).collect()
    };
    assert_eq!(violations(&[file("a/src/utility.rs"), file("a/src/model.rs")]), [""; 0]);
    assert_eq!(violations(&[file("a/src/mod.rs"), folder("a/utils")]), ["a/src/mod.rs", "a/utils"]);
    expect_none(
        &violations(&TREE),
        "name it for what it holds, a noun of the field (`deadline`, `entries`); a module `foo` stands in `foo.rs`, its \
         children in `foo/`, and there is no `mod.rs`.",
    );
}

#[test]
fn every_file_begins_with_a_module_comment() {
    Rule {
        advice: "open the file with `//!`: what it is and why it is separate, in two or three sentences.",
        violations: &|file| {
            if file.text.starts_with("//! ") { Vec::new() } else { vec![file.at(0, "opens without `//! `")] }
        },
        right: &[("a/src/lib.rs", "//! What a is.\n")],
        wrong: &[
            ("a/src/lib.rs", "use b;\n\n//! What a is.\n"),
            ("a/src/lib.rs", "// What a is.\n"),
            ("a/src/lib.rs", ""),
        ],
    }
    .check();
}

#[test]
fn no_file_exceeds_the_maximum_length() {
    let long = "//!\n".repeat(MOST_LINES + 1);
    Rule {
        advice: "move its second subject to a separate file (`foo/bar.rs`; long tests to `foo/tests.rs`). If splitting \
                 would make it harder to read, add it to LONG with the reason.",
        violations: &|file| {
            let lines = file.text.lines().count();
            let excused = LONG.iter().any(|(path, _)| *path == file.path);
            let found = match (lines > MOST_LINES, excused) {
                (true, false) => format!("{lines} lines, more than {MOST_LINES}"),
                (false, true) => "is listed in LONG, but no longer exceeds the limit".to_owned(),
                (true, true) | (false, false) => return Vec::new(),
            };
            vec![file.at(0, &found)]
        },
        right: &[("a/src/lib.rs", &long[4..])],
        wrong: &[("a/src/lib.rs", &long)],
    }
    .check();
}

#[test]
fn no_table_lists_a_file_that_does_not_exist() {
    let is_gone = |path: &&str| !TREE.iter().any(|entry| entry.path == *path);
    assert!(is_gone(&"mesh/src/lost.rs"));
    let named = LONG.iter().chain(&EDGE).map(|(path, _)| *path).chain([WAITS]);
    expect_none(
        &named.filter(is_gone).map(str::to_owned).collect::<Vec<_>>(),
        "remove it from the table of exceptions: LONG in files.rs, EDGE in layers.rs or WAITS in habits.rs.",
    );
}

fn file(path: &str) -> Entry {
    Entry { path: path.to_owned(), is_folder: false }
}

fn folder(path: &str) -> Entry {
    Entry { path: path.to_owned(), is_folder: true }
}
