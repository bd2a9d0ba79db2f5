//! Properties of every format, and the small analysis that the tests of each format render.

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, UNIX_EPOCH};

use dataflow_proto::analysis::v1::{self as pb, dataflow::DecidedBy, evidence::Kind};
use dataflow_proto::r#type::v1::Category;
use proptest::prelude::*;

use super::*;

const FORMATS: [Format; 4] = [Format::Table, Format::Json, Format::Ndjson, Format::Csv];

/// A keyword that matches a field.
pub(super) fn rule(id: &str, keyword: &str, field: &str) -> pb::Evidence {
    let (id, keyword, field) = (id.into(), keyword.into(), field.into());
    pb::Evidence { kind: Some(Kind::Rule(pb::RuleEvidence { id, keyword, field, offset: 0 })) }
}

fn theme(scheme: &str, path: &[&str]) -> pb::Evidence {
    let path = path.iter().map(|&id| id.into()).collect();
    let category = Category::Population.into();
    let theme = pb::ThemeEvidence { scheme: scheme.into(), path, category, ..Default::default() };
    pb::Evidence { kind: Some(Kind::Theme(theme)) }
}

fn names(names: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    names.iter().map(|&(tag, name)| (tag.into(), name.into())).collect()
}

/// Three dataflows in two categories, two diagnostics, and a value in every field.
pub(super) fn sample() -> pb::Analysis {
    let structure =
        pb::StructureReference { agency_id: "IT1".into(), id: "DCIS_POPRES1".into(), version: "1.0".into() };
    let residents = pb::Dataflow {
        id: "22_289".into(),
        agency_id: "IT1".into(),
        version: "1.0".into(),
        names: names(&[
            ("it", "Popolazione residente al 1° gennaio"),
            ("fr", "Population résidente au 1er janvier"),
            ("en", "Resident population on 1st January"),
            ("de", "Wohnbevölkerung am 1. Januar"),
        ]),
        descriptions: names(&[("it", "Per sesso ed età"), ("en", "By sex and age")]),
        structure: Some(structure),
        category: Category::Population.into(),
        score: 20,
        confidence: 0.53,
        evidence: vec![theme("IT1:Z1(1.0)", &["POP", "RES"]), rule("pop_rule", "popolazione", "name.it")],
        flags: vec![pb::dataflow::Flag::Hidden.into(), pb::dataflow::Flag::FileOnly.into()],
        last_update: Some((UNIX_EPOCH + Duration::from_millis(1_784_709_266_801)).into()),
        observation_count: Some(435_951),
        is_final: Some(false),
        quality_flags: [pb::dataflow::QualityFlag::WithoutDescription, pb::dataflow::QualityFlag::NotFinal]
            .map(Into::into)
            .into(),
        contents: Some(pb::Contents {
            first_period: "2001".into(),
            last_period: "2018-Q4".into(),
            frequencies: vec!["A".into(), "Q".into()],
            series_count: Some(7),
            value_counts: [("ITTER107".into(), 8541)].into(),
            constraint: "IT1:CC(1.0)".into(),
        }),
        size: Some(pb::Size {
            method: pb::size::Method::Constraint.into(),
            source: "IT1:CC(1.0)".into(),
            observations: Some(pb::Estimate { low: 435_951, likely: Some(435_951), high: 435_951 }),
            csv_bytes: Some(pb::Estimate { low: 1, likely: Some(23_977_305), high: 2 }),
            ..Default::default()
        }),
        freshness: Some(pb::Freshness {
            frequency: "Q".into(),
            due_time: Some((UNIX_EPOCH + Duration::from_millis(1_800_606_866_801)).into()),
            overdue: Some(false),
        }),
        decided_by: DecidedBy::Theme.into(),
        ..Default::default()
    };
    let births = pb::Dataflow {
        id: "25_74".into(),
        names: names(&[("it", "Nati vivi")]),
        category: Category::Population.into(),
        score: 35,
        confidence: 1.0,
        evidence: vec![rule("births", "nati", "name.it")],
        decided_by: DecidedBy::Rules.into(),
        ..Default::default()
    };
    let unmatched = pb::Dataflow {
        id: "X".into(),
        category: Category::Other.into(),
        decided_by: DecidedBy::Nothing.into(),
        ..Default::default()
    };
    let diagnostic = |severity: pb::diagnostic::Severity, reason: &str, offset, line, message: &str| {
        let (reason, message) = (reason.into(), message.into());
        pb::Diagnostic { severity: severity.into(), reason, offset, line, message, document: 0 }
    };
    pb::Analysis {
        analysis: "a-0123456789abcdef0123456789abcdef".into(),
        provider: "IT1".into(),
        total: 3,
        counts: [("POPULATION", 2), ("ECONOMY", 0), ("OTHER", 1)]
            .map(|(name, count)| (name.into(), count))
            .into(),
        coverage: [("THEME", 1), ("RULES", 1), ("FAMILY", 0), ("NOTHING", 1)]
            .map(|(name, count)| (name.into(), count))
            .into(),
        rules_revision: 7,
        overlay_revision: 0,
        themes_revision: 0,
        themes_overlay_revision: 0,
        cached: true,
        degraded: vec![pb::analysis::Degradation::CacheUnavailable.into()],
        dataflows: vec![residents, births, unmatched],
        diagnostics: vec![
            diagnostic(
                pb::diagnostic::Severity::Info,
                "DATAFLOW_WITHOUT_NAME",
                812,
                31,
                "dataflow X has no name",
            ),
            diagnostic(
                pb::diagnostic::Severity::Warning,
                "INVALID_BOOLEAN",
                1234,
                40,
                "\"perhaps\" is neither",
            ),
        ],
        diagnostics_omitted: 3,
        ruleset: "default".into(),
        prepare_time: Some((UNIX_EPOCH + Duration::from_secs(1_784_800_000)).into()),
        data_structures: vec![pb::DataStructure { id: "DCIS_POPRES1".into(), ..Default::default() }],
        flag_counts: [("HIDDEN".into(), 1)].into(),
    }
}

pub(super) fn rendered(analysis: pb::Analysis, format: Format, options: &Options) -> String {
    let mut out = Vec::new();
    render(analysis, format, options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_closed_pipe_keeps_its_error_kind() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let long = pb::Analysis { dataflows: vec![sample().dataflows[0].clone(); 500], ..sample() };
    for format in FORMATS {
        for analysis in [sample(), long.clone()] {
            let error = render(analysis, format, &Options::plain("it"), &mut Closed).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{format:?}");
        }
    }
}

/// Texts with many characters that cause problems in terminals, spreadsheets and JSON parsers.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        '\0', '\u{7}', '\u{1b}', '\n', '\r', '\t', '\u{7f}', '\u{85}', '\u{9b}', '\u{202e}', '\u{2066}',
        '\u{2028}', '\u{301}', '人', 'é', '"', '\'', ',', ';', '=', '+', '-', '@', '[', 'm', '\u{200d}',
        '👩',
    ]);
    prop::collection::vec(prop_oneof![odd, any::<char>()], 0..40).prop_map(String::from_iter)
}

prop_compose! {
    fn hostile()(
        texts in prop::array::uniform6(text()),
        category in 0..9,
        score: i32,
        confidence: f64,
    ) -> pb::Analysis {
        let [id, name, keyword, path, reason, message] = texts;
        let flow = pb::Dataflow {
            id: id.clone(),
            agency_id: name.clone(),
            version: keyword.clone(),
            names: names(&[("it", &name)]),
            structure: Some(pb::StructureReference { agency_id: path.clone(), ..Default::default() }),
            evidence: vec![rule(&id, &keyword, &name), theme(&name, &[&path])],
            category,
            score,
            confidence,
            ..Default::default()
        };
        let mut other = flow.clone();
        other.evidence.reverse();
        let diagnostic = pb::Diagnostic { reason, message, ..Default::default() };
        let dataflows = vec![flow, other];
        pb::Analysis {
            analysis: id, provider: name, ruleset: keyword, dataflows, diagnostics: vec![diagnostic], ..sample()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_format_passes_a_control_character_through(analysis in hostile(), terminal in prop::option::of(0_u16..200)) {
        let options = Options { terminal, ..Options::plain("it") };
        for format in FORMATS {
            let text = rendered(analysis.clone(), format, &options);
            let control = text.chars().find(|&character| character != '\n' && text::controls_terminal(character));
            prop_assert_eq!(control, None, "{:?}: {:?}", format, text);
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_every_id_is_complete(analysis in hostile(), width in 20_u16..200) {
        let options = Options { terminal: Some(width), ..Options::plain("it") };
        let id = text::printable(&analysis.dataflows[0].id).into_owned();
        let text = rendered(analysis, Format::Table, &options);
        for line in text.lines() {
            // An identifier is never cut: it may be alone on a line that the terminal wraps.
            let is_long_id = line.trim() == id.trim();
            let columns = console::measure_text_width(line);
            prop_assert!(columns <= usize::from(width) || is_long_id, "{:?} in {:?}", line, text);
        }
        prop_assert!(text.contains(id.trim_end()), "{:?} in {:?}", id, text);
    }

    #[test]
    fn nothing_is_lost_in_a_pipe(analysis in hostile()) {
        let options = Options { top: None, ..Options::plain("it") };
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = squeezed(&rendered(analysis.clone(), Format::Table, &options));
        for flow in &analysis.dataflows {
            for cell in [text::printable(&flow.id), text::name(flow, "it"), text::reason(flow, "it")] {
                prop_assert!(text.contains(&squeezed(&cell)), "{:?} in {:?}", cell, text);
            }
        }
        let message = text::printable(&analysis.diagnostics[0].message).into_owned();
        prop_assert!(text.contains(&squeezed(&message)), "{:?} in {:?}", message, text);
    }

    #[test]
    fn every_csv_row_has_every_field(analysis in hostile()) {
        let text = rendered(analysis, Format::Csv, &Options::plain("it"));
        let mut rows = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let widths: Vec<usize> = rows.records().map(|row| row.unwrap().len()).collect();
        prop_assert_eq!(widths, [27; 3]);
    }

    #[test]
    fn json_keeps_every_character(analysis in hostile()) {
        let text = rendered(analysis.clone(), Format::Json, &Options::plain("it"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(value["dataflows"][0]["names"]["it"].as_str(), Some(analysis.provider.as_str()));
        prop_assert_eq!(value["diagnostics"][0]["message"].as_str(), Some(analysis.diagnostics[0].message.as_str()));
    }
}
