//! Columns, cells that programs split, and cells that spreadsheets do not execute.

use std::fs;

use serde_json::Value;

use super::*;
use crate::Format;
use crate::tests::{rendered, sample};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/output.md");

fn written(dataflows: &[pb::Dataflow], options: &Options) -> String {
    let analysis = pb::Analysis { dataflows: dataflows.to_vec(), ..Default::default() };
    rendered(analysis, Format::Csv, options)
}

/// The rows as a reader of CSV has them, by the names of their columns.
fn read(text: &str) -> Vec<BTreeMap<String, String>> {
    ::csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
}

fn named(names: &[(&str, &str)]) -> pb::Dataflow {
    let names = names.iter().map(|&(tag, name)| (tag.to_owned(), name.to_owned())).collect();
    pb::Dataflow { names, ..Default::default() }
}

#[test]
fn a_row_has_every_known_value() {
    let text = written(&sample().dataflows, &Options::plain("en"));
    assert_eq!(text.lines().count(), 4, "one line per row:\n{text}");
    let rows = read(&text);
    let expected = [
        ("id", "22_289"),
        ("agency_id", "IT1"),
        ("version", "1.0"),
        ("name", "Resident population on 1st January"),
        ("category", "POPULATION"),
        ("score", "20"),
        ("confidence", "0.53"),
        ("flags", r#"["HIDDEN","FILE_ONLY"]"#),
        ("last_update", "2026-07-22T08:34:26.801Z"),
        ("observation_count", "435951"),
        ("structure", "IT1:DCIS_POPRES1(1.0)"),
        ("decided_by", "THEME"),
        ("reference", "IT1:22_289(1.0)"),
        ("description", "By sex and age"),
        ("observation_method", "CONSTRAINT"),
        ("observations_low", "435951"),
        ("observations_likely", "435951"),
        ("observations_high", "435951"),
        ("csv_bytes", "23977305"),
        ("frequencies", r#"["A","Q"]"#),
        ("first_period", "2001"),
        ("last_period", "2018-Q4"),
        ("update_due", "2027-01-22T08:34:26.801Z"),
        ("overdue", "false"),
        ("quality_flags", r#"["WITHOUT_DESCRIPTION","NOT_FINAL"]"#),
        ("name_de", "Wohnbevölkerung am 1. Januar"),
        ("name_en", "Resident population on 1st January"),
        ("name_fr", "Population résidente au 1er janvier"),
        ("name_it", "Popolazione residente al 1° gennaio"),
    ];
    for (column, expected) in expected {
        assert_eq!(rows[0][column], expected, "{column}");
    }
    assert_eq!(rows[0].len(), expected.len() + 1, "and the evidence");
    for list in ["flags", "evidence", "frequencies", "quality_flags"] {
        assert_eq!(rows[2][list], "[]", "{list}");
    }
    for number in ["observations_likely", "csv_bytes", "overdue"] {
        assert_eq!(rows[2][number], "", "{number}");
    }
    assert_eq!((rows[1]["name"].as_str(), rows[1]["name_en"].as_str()), ("Nati vivi", ""));
}

#[test]
fn evidence_is_the_same_json_as_in_the_other_formats() {
    let mut flow = sample().dataflows.remove(0);
    // Whatever separates fields elsewhere.
    if let Some(pb::evidence::Kind::Rule(rule)) = &mut flow.evidence[1].kind {
        rule.keyword = "a:b@c; \"d\", e\nf".to_owned();
    }
    let text = written(&[flow.clone()], &Options::plain("en"));
    let evidence: Value = serde_json::from_str(&read(&text)[0]["evidence"]).unwrap();
    let analysis = pb::Analysis { dataflows: vec![flow], ..Default::default() };
    let line: Value =
        serde_json::from_str(&rendered(analysis, Format::Ndjson, &Options::plain("en"))).unwrap();
    assert_eq!(evidence, line["evidence"]);
    assert_eq!(evidence[1]["rule"]["keyword"], "a:b@c; \"d\", e\nf");
}

#[test]
fn no_cell_starts_a_formula() {
    let check = |name: &str, expected: &str| {
        let text = written(&[named(&[("en", name)])], &Options::plain("en"));
        let rows = read(&text);
        assert_eq!((rows[0]["name"].as_str(), rows[0]["name_en"].as_str()), (expected, expected));
        let flow = pb::Dataflow {
            descriptions: named(&[("en", name)]).names,
            version: name.to_owned(),
            agency_id: name.to_owned(),
            ..Default::default()
        };
        let rows = read(&written(&[flow], &Options::plain("en")));
        assert_eq!(rows[0]["description"], expected);
        for column in ["version", "agency_id", "reference"] {
            assert!(
                !rows[0][column].trim_start().starts_with(['=', '+', '-', '@', '＝']),
                "{column}: {rows:?}"
            );
        }
    };
    check("=HYPERLINK(\"http://x\",\"y\")", "'=HYPERLINK(\"http://x\",\"y\")");
    check("+1", "'+1");
    check("-1", "'-1");
    check("@SUM(A1)", "'@SUM(A1)");
    check("＝1", "'＝1");
    check("\t=1", "'=1");
    check("\r=1", "'=1");
    check("1-1", "1-1");
    check("a\r\nb", "a  b");
    let id = pb::Dataflow { id: "\t=1".to_owned(), ..Default::default() };
    assert_eq!(read(&written(&[id], &Options::plain("en")))[0]["id"], "' =1");
}

#[test]
fn each_language_has_a_column() {
    let check = |flows: &[pb::Dataflow], expected: &[&str]| {
        let text = written(flows, &Options::plain("it"));
        let header: Vec<_> = text.lines().next().unwrap().split(',').skip(HEADER.len()).collect();
        assert_eq!(header, expected);
        text
    };
    check(&[], &[]);
    check(
        &[named(&[("it", "Nati")]), named(&[("en", "Births"), ("und", "x")])],
        &["name_en", "name_it", "name_und"],
    );
    // Readers of CSV may ignore case in the names of columns.
    let text = check(&[named(&[("en-GB", "British")]), named(&[("EN-gb", "english")])], &["name_en-gb"]);
    let names: Vec<_> = read(&text).into_iter().map(|row| row["name_en-gb"].clone()).collect();
    assert_eq!(names, ["British", "english"]);
}

#[test]
fn the_columns_of_languages_are_bounded() {
    let many = |count: usize| -> Vec<_> {
        let flows = (0..count).map(|number| named(&[(&format!("x{number:03}"), "name")]));
        flows.chain([named(&[("it", "Nati")]), named(&[("it", "Morti")])]).collect()
    };
    for (count, columns) in
        [(MAX_LANGUAGES - 1, MAX_LANGUAGES), (MAX_LANGUAGES, MAX_LANGUAGES), (500, MAX_LANGUAGES)]
    {
        let languages = languages(&many(count));
        assert_eq!(languages.len(), columns);
        assert!(languages.contains(&"it".to_owned()), "the most frequent ones have a column: {languages:?}");
    }
    assert_eq!(languages(&many(3)).len(), 4);
}

#[test]
fn a_byte_order_mark_is_written_only_if_it_is_asked_for() {
    let with = written(&sample().dataflows, &Options { bom: true, ..Options::plain("en") });
    let without = written(&sample().dataflows, &Options::plain("en"));
    assert_eq!(with, format!("\u{feff}{without}"));
    assert!(without.starts_with("id,"));
}

#[test]
fn the_page_describes_every_column() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (_, section) = page.split_once("\n## CSV\n").expect("docs/output.md has a section `CSV`");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let described: Vec<_> = rows.collect();
    let expected: Vec<_> = HEADER.into_iter().chain(["name_LANG"]).collect();
    assert_eq!(described, expected, "docs/output.md: the table of the section `CSV`");
    assert!(section.contains(&format!("at most {MAX_LANGUAGES} languages")), "the bound");
}
