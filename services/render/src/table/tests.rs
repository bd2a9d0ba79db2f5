//! The output of the table, line by line, at every width.

use dataflow_proto::analysis::v1::evidence::Kind;

use super::*;
use crate::Format;
use crate::tests::{rendered, rule, sample};
use crate::text;

mod sized;

fn table(analysis: pb::Analysis, options: &Options) -> String {
    rendered(analysis, Format::Table, options)
}

fn flow(id: &str, name: &str) -> pb::Dataflow {
    let names = [("en".to_owned(), name.to_owned())].into();
    pb::Dataflow { id: id.into(), names, ..Default::default() }
}

/// The header and the rows of dataflows that are decided by the keyword `labour force`, in columns of this width.
fn columns(flows: &[pb::Dataflow], width: Option<u16>) -> String {
    let decided = flows.iter().map(|flow| pb::Dataflow {
        category: 3,
        score: 20,
        confidence: 0.87,
        decided_by: DecidedBy::Rules.into(),
        evidence: vec![rule("r", "labour force", "name.en")],
        ..flow.clone()
    });
    let analysis = pb::Analysis { dataflows: decided.collect(), ..Default::default() };
    let text = table(analysis, &Options { terminal: width, ..Options::plain("en") });
    let from = text.find("  ID").unwrap();
    text[from..].lines().filter(|line| line.starts_with(' ')).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_pipe_gets_plain_columns() {
    let expected = "\
IT1: 3 dataflows, rule set default at revision 7, served from the cache
analysis a-0123456789abcdef0123456789abcdef (same documents, rules and limits: same name)
degraded: cache unavailable: this result is not stored

POPULATION       2  66.7%
ECONOMY          0   0.0%
LABOUR           0   0.0%
TERRITORY        0   0.0%
EDUCATION        0   0.0%
HEALTH           0   0.0%
OTHER            0   0.0%
UNMATCHED        1  33.3%
decided by theme 1 (33.3%), rules 1 (33.3%), nothing 1 (33.3%)

  ID      NAME                                    OBS  UPDATED     SCORE  CONF  BY       WHY
POPULATION 2 of 2
  25_74   Nati vivi                                 -  -              35  1.00  rules    nati in name
  22_289  Popolazione residente al 1° gennaio  435951  2026-07-22     20  0.53  theme    theme POP/RES
UNMATCHED 1 of 1
  X       X                                         -  -               0  0.00  nothing  -

Diagnostics: 5, 3 of them omitted by the service
     1  DATAFLOW_WITHOUT_NAME
     1  INVALID_BOOLEAN
  byte  812, line 31: dataflow X has no name
  byte 1234, line 40: \"perhaps\" is neither
";
    assert_eq!(table(sample(), &Options::plain("it")), expected);
}

#[test]
fn a_terminal_gets_bars_and_colors() {
    let options = Options { terminal: Some(60), color: true, top: Some(1), ..Options::plain("en") };
    let analysis = pb::Analysis { diagnostics: vec![], diagnostics_omitted: 0, ..sample() };
    let text = table(analysis, &options).replace('\u{1b}', "^");
    let check = |line: &str| assert!(text.lines().any(|written| written == line), "{line:?} in\n{text}");
    check("^[1mIT1: 3 dataflows^[0m, rule set default at revision 7, served");
    check("^[35mdegraded: cache unavailable: this result is not stored^[0m");
    check("POPULATION       2  66.7%  ^[32m████████████████████████████████^[0m");
    check("^[2mLABOUR           0   0.0%^[0m");
    check("UNMATCHED        1  33.3%  ^[32m████████████████^[0m");
    check("^[1mPOPULATION^[0m^[2m 1 of 2^[0m");
    check("  25_74  Nati vivi     35  1.00  rules    nati in name");
    check("^[2mmore: --top N lists N under each heading, --all every^[0m");
}

#[test]
fn a_narrow_terminal_gets_whole_sentences_and_shorter_bars() {
    let text = table(sample(), &Options { terminal: Some(40), ..Options::plain("it") });
    let expected = "\
IT1: 3 dataflows, rule set default at
revision 7, served from the cache
analysis
a-0123456789abcdef0123456789abcdef (same
documents, rules and limits: same name)
degraded: cache unavailable: this result
is not stored

POPULATION       2  66.7%  █████████████
ECONOMY          0   0.0%
LABOUR           0   0.0%
TERRITORY        0   0.0%
EDUCATION        0   0.0%
HEALTH           0   0.0%
OTHER            0   0.0%
UNMATCHED        1  33.3%  ██████▌
decided by theme 1 (33.3%), rules 1
(33.3%), nothing 1 (33.3%)

  ID      NAME                      CONF
POPULATION 2 of 2
  25_74   Nati vivi                 1.00
  22_289  Popolazione residente a…  0.53
UNMATCHED 1 of 1
  X       X                         0.00

Diagnostics: 5, 3 of them omitted by the
service
     1  DATAFLOW_WITHOUT_NAME
     1  INVALID_BOOLEAN
  byte  812, line 31: dataflow X has no
    name
  byte 1234, line 40: \"perhaps\" is
    neither
";
    assert_eq!(text, expected);
    let without_bars = table(sample(), &Options { terminal: Some(30), ..Options::plain("it") });
    assert!(without_bars.contains("POPULATION       2  66.7%\n"), "{without_bars}");
}

#[test]
fn absent_parts_are_omitted() {
    let analysis = pb::Analysis { total: 1, ruleset: "legacy".into(), ..Default::default() };
    let expected = "unnamed provider: 1 dataflow, rule set legacy as built in\n";
    assert_eq!(table(analysis, &Options::plain("it")), expected);
}

#[test]
fn names_are_shortened_before_reasons_and_columns_are_dropped() {
    let flows = [flow("22_289", "Employed and unemployed persons by sex, age and region of residence")];
    let check = |width: Option<u16>, expected: &str| {
        let text = columns(&flows, width);
        assert_eq!(text.lines().last().unwrap(), expected, "{width:?} of\n{text}");
    };
    let whole = "  22_289  Employed and unemployed persons by sex, age and region of residence     \
                 20  0.87  rules  labour force in name";
    check(None, whole);
    check(Some(200), whole);
    check(Some(130), whole);
    check(
        Some(100),
        "  22_289  Employed and unemployed persons by sex, age and…     20  0.87  rules  labour force in name",
    );
    check(Some(80), "  22_289  Employed and unemployed per…     20  0.87  rules  labour force in name");
    check(Some(72), "  22_289  Employed and unemployed pe…  0.87  rules  labour force in name");
    check(Some(64), "  22_289  Employed and unemployed p…  0.87  labour force in name");
    check(Some(60), "  22_289  Employed and unemploy…  0.87  labour force in name");
    check(Some(54), "  22_289  Employed and un…  0.87  labour force in name");
    check(Some(53), "  22_289  Employed and unemployed persons by s…  0.87");
    check(Some(40), "  22_289  Employed and unemployed…  0.87");
    check(Some(20), "  22_289  Employed…");
    let header = columns(&flows, Some(60));
    assert_eq!(header.lines().next(), Some("  ID      NAME                    CONF  WHY"));
}

#[test]
fn an_id_is_complete_however_long_it_is() {
    let long = "OECD.SDD.TPS@DSD_LFS@DF_IALFS_UNE_M_BY_AGE_AND_SEX";
    let flows = [flow(long, "Unemployment"), flow("A", "Employment")];
    let expected = "\
\x20 ID  NAME          SCORE  CONF  BY     WHY
  OECD.SDD.TPS@DSD_LFS@DF_IALFS_UNE_M_BY_AGE_AND_SEX
      Unemployment     20  0.87  rules  labour force in name
  A   Employment       20  0.87  rules  labour force in name";
    assert_eq!(columns(&flows, Some(80)), expected);
    assert!(columns(&flows, Some(20)).lines().any(|line| line == format!("  {long}")));
    assert!(columns(&flows, None).contains(&format!("  {long}  Unemployment  ")));
}

#[test]
fn letters_of_every_script_take_their_columns() {
    let check = |name: &str, expected: &str| {
        let text = columns(&[flow("A", name)], Some(44));
        assert_eq!(text.lines().last().unwrap(), expected, "{name}");
    };
    check("人口と世帯数人口と世帯数人口と世帯数人口", "  A   人口と世帯数人口と世帯数人口と…   0.87");
    check("cafe\u{301}", "  A   cafe\u{301}  0.87  labour force in name");
    check("السكان", "  A   \u{200e}السكان\u{200e}  0.87  labour force in name");
    check("a\u{1b}[31m\tb", "  A   a\u{fffd}[31m b  0.87  labour force in name");
    let wide = columns(&[flow("人", "x"), flow("abcd", "x")], None);
    assert!(wide.contains("\n  人    x "), "{wide}");
}

#[test]
fn in_a_pipe_columns_are_two_spaces_apart_and_a_long_name_shifts_only_its_row() {
    let long = "x".repeat(100);
    let text = columns(&[flow("A", &long), flow("B", "two  spaces\nand a line")], None);
    let cells: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(cells[1], ["A", &long, "20", "0.87", "rules", "labour force in name"]);
    assert_eq!(cells[2], ["B", "two spaces and a line", "20", "0.87", "rules", "labour force in name"]);
    let widths: Vec<_> = text.lines().map(str::len).collect();
    assert_eq!(widths[1] - widths[2], long.len() - 60, "{text}");
}

#[test]
fn dataflows_with_one_id_are_told_apart() {
    let of = |agency: &str, version: &str| pb::Dataflow {
        agency_id: agency.into(),
        version: version.into(),
        ..flow("A", "Name")
    };
    let check = |flows: &[pb::Dataflow], expected: &str| {
        let text = columns(flows, None);
        assert!(text.starts_with(expected), "{text}");
    };
    check(&[of("IT1", "1.0")], "  ID  NAME  SCORE");
    check(&[of("IT1", "1.0"), of("IT1", "1.10")], "  ID  VERSION  NAME  SCORE");
    check(&[of("IT1", "1.0"), of("ESTAT", "1.0")], "  ID  AGENCY  NAME  SCORE");
    let versions = columns(&[of("IT1", "1.1"), of("IT1", "1.10")], Some(40));
    assert!(versions.contains("\n  A   1.10     Name  0.87"), "{versions}");
}

#[test]
fn the_reader_chooses_what_is_listed() {
    let many = |category, count| {
        (0..count).map(move |number| pb::Dataflow {
            category,
            decided_by: DecidedBy::Rules.into(),
            ..flow(&format!("{category}_{number}"), "Name")
        })
    };
    let dataflows: Vec<_> = many(1, 7).chain(many(7, 2)).collect();
    let listed = |options: &Options| -> (usize, bool) {
        let text = table(pb::Analysis { dataflows: dataflows.clone(), ..Default::default() }, options);
        (text.lines().filter(|line| line.contains("  Name  ")).count(), text.contains("\nmore: --top N"))
    };
    let check = |top, headings: &[Heading], expected| {
        let options = Options { top, headings: headings.to_vec(), ..Options::plain("en") };
        assert_eq!(listed(&options), expected, "{top:?} {headings:?}");
    };
    assert_eq!(listed(&Options::plain("en")), (7, true));
    check(Some(7), &[], (9, false));
    check(Some(6), &[], (8, true));
    check(Some(0), &[], (0, true));
    check(None, &[], (9, false));
    check(None, &[Heading::Other], (2, false));
    check(Some(1), &[Heading::Other, Heading::Population], (2, true));
    check(None, &[Heading::Health, Heading::Unmatched], (0, false));
}

#[test]
fn equal_scores_keep_the_order_of_the_document() {
    let flow = |id: &str, score| pb::Dataflow { id: id.into(), score, ..Default::default() };
    let flows = [flow("a", 1), flow("b", 2), flow("c", 1), flow("d", 2)];
    let rows = best(&flows.each_ref(), &Options { top: Some(3), ..Options::plain("it") });
    assert_eq!(rows, [&flows[1], &flows[3], &flows[0]]);
}

#[test]
fn bars_are_as_long_as_their_share() {
    let check = |count, most, longest, expected: &str| assert_eq!(blocks(count, most, longest), expected);
    check(8, 8, 32, &"█".repeat(32));
    check(1, 2, 32, &"█".repeat(16));
    check(1, 2, 5, "██▌");
    check(1, 8_000, 32, "▏");
    check(1, 64, 32, "▌");
}

#[test]
fn the_evidence_that_decided_is_shown() {
    let check = |decided_by: DecidedBy, evidence: &[pb::Evidence], expected: &str| {
        let (decided_by, evidence) = (decided_by.into(), evidence.to_vec());
        let flow = pb::Dataflow { decided_by, category: 1, evidence, ..flow("22", "Births") };
        assert_eq!(text::reason(&flow, "en"), expected);
    };
    let theme = |theme: &pb::ThemeEvidence| pb::Evidence { kind: Some(Kind::Theme(theme.clone())) };
    let unmapped = pb::ThemeEvidence { path: vec!["A".into(), "B".into()], ..Default::default() };
    let ended = pb::ThemeEvidence { category: 1, deprecated: true, ..unmapped.clone() };
    let names = [("en".to_owned(), "Births".to_owned()), ("it".to_owned(), "Nascite".to_owned())].into();
    let mapped = pb::ThemeEvidence { category: 1, names, ..unmapped.clone() };
    let inherited = pb::ThemeEvidence { inherited_from: "22".into(), ..mapped.clone() };
    let [unmapped, ended, mapped, inherited] = [unmapped, ended, mapped, inherited].each_ref().map(theme);
    let family = pb::FamilyEvidence { key: "22".into(), members: 31 };
    let family = pb::Evidence { kind: Some(Kind::Family(family)) };
    let (strong, weak) = (rule("r", "nascite", "name.it"), rule("r", "birth", "name.en-GB"));
    let all = [unmapped.clone(), ended.clone(), mapped, strong.clone(), weak.clone(), family.clone()];
    check(DecidedBy::Theme, &all, "theme Births");
    check(DecidedBy::Theme, &[unmapped.clone(), inherited, weak.clone()], "theme Births of 22");
    check(DecidedBy::Rules, &all, "birth in name");
    check(DecidedBy::Rules, &[strong.clone(), rule("r", "id:dem", "id"), weak.clone()], "id:dem in id");
    check(DecidedBy::Rules, &[strong.clone(), rule("r", "vital", "name")], "vital in name");
    check(DecidedBy::Rules, &[unmapped.clone(), strong.clone()], "nascite in name.it");
    check(DecidedBy::Family, &all, "family 22 of 31");
    check(DecidedBy::Family, std::slice::from_ref(&strong), "nascite in name.it");
    check(DecidedBy::Unspecified, &[unmapped.clone(), weak], "birth in name");
    assert_eq!(text::why(&ended, "en"), "theme A/B, ended");
    assert_eq!(text::why(&unmapped, "en"), "theme A/B");
}
