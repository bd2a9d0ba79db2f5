//! The output of the table, line by line.

use dataflow_proto::analysis::v1::evidence::Kind;

use super::*;
use crate::Format;
use crate::tests::{rendered, sample};
use crate::text;

fn table(analysis: pb::Analysis, options: &Options) -> String {
    rendered(analysis, Format::Table, options)
}

#[test]
fn a_pipe_gets_plain_columns() {
    let expected = "\
IT1: 3 dataflows, rule set default at revision 7, served from the cache
a-0123456789abcdef0123456789abcdef
degraded: cache unavailable: this result is not stored

POPULATION       2  66.7%
ECONOMY          0   0.0%
LABOUR           0   0.0%
TERRITORY        0   0.0%
EDUCATION        0   0.0%
HEALTH           0   0.0%
OTHER            1  33.3%
decided by theme 1 (33.3%), rules 1 (33.3%), nothing 1 (33.3%)

  ID      NAME                                 SCORE  CONF  BY       WHY
POPULATION 2 of 2
  25_74   Nati vivi                               35  1.00  rules    nati in name.it
  22_289  Popolazione residente al 1° gennaio     20  0.53  theme    theme POP/RES
OTHER 1 of 1
  X       X                                        0  0.00  nothing  -

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
    let options = Options { terminal: Some(50), color: true, top: 1, ..Options::plain("en") };
    let analysis = pb::Analysis { diagnostics: vec![], diagnostics_omitted: 0, ..sample() };
    let text = table(analysis, &options).replace('\u{1b}', "^");
    let check = |line: &str| assert!(text.lines().any(|written| written == line), "{line:?} in\n{text}");
    check("^[1mIT1: 3 dataflows^[0m, rule set default at revision 7, served from the cache");
    check("^[35mdegraded: cache unavailable: this result is not stored^[0m");
    check("POPULATION       2  66.7%  ^[32m████████████████████████████████^[0m");
    check("^[2mLABOUR           0   0.0%^[0m");
    check("OTHER            1  33.3%  ^[32m████████████████^[0m");
    check("^[1mPOPULATION^[0m ^[2m1 of 2^[0m");
    check("  25_74  Nati vivi     35  1.00  rules    nati in…");
}

#[test]
fn absent_parts_are_omitted() {
    let analysis = pb::Analysis { total: 1, ruleset: "legacy".into(), ..Default::default() };
    let expected = "unnamed provider: 1 dataflow, rule set legacy as built in\n\n";
    assert_eq!(table(analysis, &Options::plain("it")), expected);
}

#[test]
fn equal_scores_keep_the_order_of_the_document() {
    let flow = |id: &str, score| pb::Dataflow { id: id.into(), score, ..Default::default() };
    let flows = [flow("a", 1), flow("b", 2), flow("c", 1), flow("d", 2)];
    let rows = best(&flows.each_ref(), &Options { top: 3, ..Options::plain("it") });
    let expected = [&flows[1], &flows[3], &flows[0]].map(|flow| Row::new(flow, "it"));
    assert_eq!(rows, expected);
}

#[test]
fn columns_share_the_width() {
    let check = |id: &str, name: &str, width, expected: &str| {
        let names = [("it".to_owned(), name.to_owned())].into();
        let flow = pb::Dataflow { id: id.into(), names, ..Default::default() };
        let row = Row::new(&flow, "it");
        assert_eq!(Columns::fit([&row].into_iter(), width).line(&row), expected);
    };
    check("22_289", "Nati", 50, "  22_289  Nati      0  0.00  -   -");
    check("22_289", "Popolazione residente per età", 50, "  22_289  Popolazione resid…      0  0.00  -   -");
    let prices = "DSD_PRICES@DF_PRICES_ALL";
    check(prices, "Prezzi", 60, "  DSD_PRICES@DF_PRICES_ALL  Prezzi      0  0.00  -   -");
    check(prices, "Prezzi al consumo", 50, "  DSD_PRICE…  Prezzi al con…      0  0.00  -   -");
    check("1", "人口と世帯数人口と世帯数人口", 50, "  1   人口と世帯数人口と世…      0  0.00  -   -");
}

#[test]
fn bars_are_as_long_as_their_share() {
    let check = |count, most, expected: &str| assert_eq!(blocks(count, most), expected);
    check(8, 8, &"█".repeat(BAR));
    check(1, 2, &"█".repeat(BAR / 2));
    check(1, 8_000, "▏");
    check(1, 64, "▌");
}

#[test]
fn the_evidence_that_decided_is_shown() {
    let check = |decided_by, themes: &[pb::ThemeEvidence], expected: &str| {
        let theme = |theme: &pb::ThemeEvidence| pb::Evidence { kind: Some(Kind::Theme(theme.clone())) };
        let rule =
            pb::RuleEvidence { keyword: "birth".into(), field: "name.en".into(), ..Default::default() };
        let rule = pb::Evidence { kind: Some(Kind::Rule(rule)) };
        let evidence = themes.iter().map(theme).chain([rule]).collect();
        let flow =
            pb::Dataflow { decided_by: i32::from(decided_by), category: 1, evidence, ..Default::default() };
        assert_eq!(text::why(text::decisive(&flow).unwrap(), "en"), expected);
    };
    let unmapped = pb::ThemeEvidence { path: vec!["A".into(), "B".into()], ..Default::default() };
    let ended = pb::ThemeEvidence { category: 1, deprecated: true, ..unmapped.clone() };
    let names = [("en".to_owned(), "Births".to_owned()), ("it".to_owned(), "Nascite".to_owned())].into();
    let mapped = pb::ThemeEvidence { category: 1, names, ..unmapped.clone() };
    let inherited = pb::ThemeEvidence { inherited_from: "22".into(), ..mapped.clone() };
    check(DecidedBy::Rules, std::slice::from_ref(&unmapped), "birth in name.en");
    check(DecidedBy::Theme, &[unmapped.clone(), ended.clone(), mapped], "theme Births");
    check(DecidedBy::Theme, &[unmapped.clone(), inherited], "theme Births of 22");
    check(DecidedBy::Unspecified, std::slice::from_ref(&unmapped), "birth in name.en");
    assert_eq!(text::why(&pb::Evidence { kind: Some(Kind::Theme(ended)) }, "en"), "theme A/B, ended");
    assert_eq!(text::why(&pb::Evidence { kind: Some(Kind::Theme(unmapped)) }, "en"), "theme A/B");
}
