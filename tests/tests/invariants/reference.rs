//! Compares the reference pages in `docs` with the code: a reason, a metric or a limit that is only on one side is a
//! failure. The page of flags is tested in the binary's crate.

mod metrics;
mod reasons;
mod rules;

use std::fs;
use std::path::Path;

/// Reads a file of the repository.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate of the tests is in the repository")
}

/// The section below a heading such as `## Limits`, up to the next heading of the same or a higher level.
#[track_caller]
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let start = page.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading:?}"));
    let below = &page[start + heading.len() + 2..];
    let ends = (1..=level).filter_map(|level| below.find(&format!("\n{} ", "#".repeat(level))));
    &below[..ends.min().unwrap_or(below.len())]
}

/// The rows of all tables in a text with this heading, as cells without backticks.
pub(crate) fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut lines = text.lines();
    while lines.by_ref().any(|line| line == heading) {
        let table = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
        rows.extend(table.map(cells));
    }
    rows
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim_matches('|').replace("\\|", "\0");
    row.split('|').map(|cell| cell.trim().trim_matches('`').replace('\0', "|")).collect()
}

#[test]
fn sections_and_tables_are_found_by_their_headings() {
    let page = "# P\n## A\n| a | b |\n|---|---|\n| `x` | y z |\n\n### B\n| a | b |\n|---|---|\n| \\| |  |\n## C\n| a |\n";
    assert_eq!(rows(section(page, "## A"), "| a | b |"), [["x", "y z"], ["|", ""]]);
    assert_eq!(rows(section(page, "### B"), "| a | b |"), [["|", ""]]);
    assert_eq!(rows(section(page, "## C"), "| a | b |"), [[""; 0]; 0]);
}
