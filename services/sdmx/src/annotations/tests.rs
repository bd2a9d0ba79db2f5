//! Tables of the formats that providers write.

use super::*;
use crate::{Limits, Reason, StructureReader};

#[test]
fn timestamps_of_every_shape() {
    let check = |value: &str, expected: Option<(i64, u32)>| {
        let found = timestamp(value).map(|time| (time.seconds, time.nanos));
        assert_eq!(found, expected, "{value:?}");
    };
    check("1970-01-01T00:00:00Z", Some((0, 0)));
    check("2026-07-22T08:34:26.801Z", Some((1_784_709_266, 801_000_000)));
    check("2026-04-16T23:00:00+0200", Some((1_776_373_200, 0)));
    check("2026-04-16T23:00:00+02:00", Some((1_776_373_200, 0)));
    check("2026-04-16T21:00:00", Some((1_776_373_200, 0)));
    check("2026-04-16 21:00:00", Some((1_776_373_200, 0)));
    check("2020-05-03T14:30:56.7239925+02:00", Some((1_588_509_056, 723_992_500)));
    check("2026-04-16", Some((1_776_297_600, 0)));
    check("16/04/2026 21:00:00", Some((1_776_373_200, 0)));
    check("16/04/2026", Some((1_776_297_600, 0)));
    check("5/4/2026", Some((1_775_347_200, 0)));
    // April cannot be the day here, since there is no month 16.
    check("04/16/2026 21:00:00", Some((1_776_373_200, 0)));
    check("1969-12-31T23:59:59.5Z", Some((-1, 500_000_000)));
    check("2026-02-30", None);
    check("31/02/2026", None);
    check("yesterday", None);
    check("", None);
    check("2026", None);
    check("1/1/26", None);
    check("01/01/0999", None);
    check("16/04/2026 21:00", Some((1_776_373_200, 0)));
}

fn facts_of(annotations: &str) -> Facts {
    let document = format!("<d><Dataflow id='a'><Annotations>{annotations}</Annotations></Dataflow></d>");
    let mut reader = StructureReader::new(document.as_bytes(), Limits::default());
    reader.next_dataflow().unwrap().unwrap().facts
}

fn note(kind: &str, title: &str) -> String {
    format!(
        "<Annotation><AnnotationTitle>{title}</AnnotationTitle><AnnotationType>{kind}</AnnotationType></Annotation>"
    )
}

#[test]
fn flags_are_sorted_and_unique() {
    let check = |annotations: &str, expected: &[Flag]| {
        assert_eq!(facts_of(annotations).flags, expected, "{annotations}");
    };
    check("", &[]);
    check(&note("DATAFLOW_HIDDEN", "true"), &[Flag::Hidden]);
    check(&note("DATAFLOW_HIDDEN", ""), &[Flag::Hidden]);
    check(&note("DATAFLOW_HIDDEN", "false"), &[]);
    check(&note("NonProductionDataflow", "true"), &[Flag::NonProduction]);
    check("<Annotation id='NonProductionDataflow'/>", &[Flag::NonProduction]);
    check(&note("DATAFLOW_CATALOG_TYPE", "ONLY_FILE"), &[Flag::FileOnly]);
    check(&note("DATAFLOW_CATALOG_TYPE", "DATA"), &[]);
    let all = ["NonProductionDataflow", "DATAFLOW_HIDDEN", "DATAFLOW_HIDDEN"]
        .map(|kind| note(kind, "true"))
        .concat();
    check(&all, &[Flag::Hidden, Flag::NonProduction]);
}

#[test]
fn a_stub_is_external() {
    let document = "<d><Dataflow id='a' isExternalReference='true'/></d>";
    let mut reader = StructureReader::new(document.as_bytes(), Limits::default());
    assert_eq!(reader.next_dataflow().unwrap().unwrap().facts.flags, [Flag::External]);
}

#[test]
fn the_most_reliable_update_wins_in_any_order() {
    let [data, shown, changed] = [
        note("UPDATE_DATA", "2026-01-03"),
        note("DISSEMINATION_TIMESTAMP_DATA", "2026-01-02"),
        note("LAST_UPDATE", "2026-01-01"),
    ];
    let check = |annotations: String, expected: &str| {
        assert_eq!(facts_of(&annotations).last_update, timestamp(expected), "{annotations}");
    };
    check(format!("{data}{shown}{changed}"), "2026-01-03");
    check(format!("{changed}{shown}{data}"), "2026-01-03");
    check(format!("{shown}{changed}"), "2026-01-01");
    check(shown.clone(), "2026-01-02");
    // An invalid one is skipped for the next.
    check(format!("{}{shown}", note("UPDATE_DATA", "soon")), "2026-01-02");
    check(note("UPDATE_STRUCTURE", "2026-01-01"), "never");
}

#[test]
fn observation_counts_are_non_negative_integers() {
    let check = |annotations: &str, expected: Option<i64>| {
        assert_eq!(facts_of(annotations).observation_count, expected, "{annotations}");
    };
    check(&note("OBS_COUNT", "2763024"), Some(2_763_024));
    check(&note("OBS_COUNT", "-1"), None);
    check(&note("OBS_COUNT", "many"), None);
    let metric = "<AnnotationTitle>12</AnnotationTitle><AnnotationType>sdmx_metrics</AnnotationType>";
    check(&format!("<Annotation id='obs_count'>{metric}</Annotation>"), Some(12));
    check(
        "<Annotation><AnnotationType>OBS_COUNT</AnnotationType><AnnotationValue>7</AnnotationValue></Annotation>",
        Some(7),
    );
}

/// The facts of a dataflow with these annotations, and the messages of its diagnostics.
fn diagnosed(annotations: &str) -> (Facts, Vec<String>) {
    let document =
        format!("<d><Dataflow id='a'><Name>n</Name><Annotations>{annotations}</Annotations></Dataflow></d>");
    let mut reader = StructureReader::new(document.as_bytes(), Limits::default());
    let facts = reader.next_dataflow().unwrap().unwrap().facts;
    assert!(reader.diagnostics().kept().iter().all(|kept| kept.reason == Reason::InvalidAnnotation));
    (facts, reader.diagnostics().kept().iter().map(|kept| kept.message.clone()).collect())
}

/// An annotation with a value, a title and a text, each absent if empty.
fn texts(kind: &str, value: &str, title: &str, text: &str) -> String {
    let fields = [("Value", value), ("Title", title), ("Type", kind), ("Text", text)];
    let present = fields.into_iter().filter(|(_, text)| !text.is_empty());
    let fields = present.map(|(name, text)| format!("<Annotation{name}>{text}</Annotation{name}>"));
    format!("<Annotation>{}</Annotation>", fields.collect::<String>())
}

#[test]
fn the_first_text_that_is_a_value_counts() {
    let check = |annotation: String, expected: &str| {
        let (facts, messages) = diagnosed(&annotation);
        assert_eq!((facts.last_update, messages.len()), (timestamp(expected), 0), "{annotation}");
    };
    let [one, two] = ["2025-06-03T10:11:12Z", "2025-06-04T10:11:12Z"];
    check(texts("LAST_UPDATE", one, "Last update", ""), one);
    check(texts("LAST_UPDATE", one, two, ""), one);
    check(texts("LAST_UPDATE", "", two, one), two);
    check(texts("LAST_UPDATE", "see the title", one, ""), one);
    check(texts("LAST_UPDATE", "", "Last update", two), two);
    // What has no text states nothing.
    check(texts("LAST_UPDATE", "", "", ""), "never");

    let flags = |annotation: String| diagnosed(&annotation).0.flags;
    let label = "Non-production dataflow";
    assert_eq!(flags(texts("NonProductionDataflow", "", label, "false")), []);
    assert_eq!(flags(texts("NonProductionDataflow", "", label, "true")), [Flag::NonProduction]);
    assert_eq!(flags(texts("NonProductionDataflow", "", label, "")), [Flag::NonProduction]);
    assert_eq!(flags(texts("DATAFLOW_HIDDEN", "TRUE", "no", "")), [Flag::Hidden]);
    assert_eq!(flags(texts("DATAFLOW_CATALOG_TYPE", "", "Type", "ONLY_FILE")), [Flag::FileOnly]);
    let count = |annotation: String| diagnosed(&annotation).0.observation_count;
    assert_eq!(count(texts("OBS_COUNT", "1234", "Number of observations", "")), Some(1_234));
}

#[test]
fn a_date_that_may_be_another_one_is_marked() {
    let check = |value: &str, expected: &str, is_ambiguous: bool| {
        let (facts, messages) = diagnosed(&note("LAST_UPDATE", value));
        assert_eq!(facts.last_update, Some(timestamp(expected).unwrap()), "{value}");
        assert_eq!((facts.is_update_ambiguous, messages.len()), (is_ambiguous, 0), "{value}");
    };
    check("05/04/2026 21:00:00", "2026-04-05T21:00:00Z", true);
    check("5/4/2026 21:00", "2026-04-05T21:00:00Z", true);
    check("05/05/2026", "2026-05-05", false);
    check("13/04/2026", "2026-04-13", false);
    check("04/13/2026", "2026-04-13", false);
    check("2026-04-05", "2026-04-05", false);
    // The annotation that gives the time decides.
    let both = note("LAST_UPDATE", "05/04/2026") + &note("UPDATE_DATA", "2026-01-03");
    assert!(!facts_of(&both).is_update_ambiguous);
}

#[test]
fn a_value_of_another_kind_is_reported_and_absent() {
    let check = |annotations: String, expected: &[&str]| {
        let (facts, messages) = diagnosed(&annotations);
        assert_eq!(
            (facts, messages),
            (Facts::default(), expected.iter().map(|text| (*text).to_owned()).collect())
        );
    };
    check(note("LAST_UPDATE", "31/02/2024"), &["dataflow a: LAST_UPDATE is \"31/02/2024\""]);
    check(note("UPDATE_DATA", "0"), &["dataflow a: UPDATE_DATA is \"0\""]);
    check(note("OBS_COUNT", "-1"), &["dataflow a: OBS_COUNT is \"-1\""]);
    check(note("OBS_COUNT", "9223372036854775808"), &["dataflow a: OBS_COUNT is \"9223372036854775808\""]);
    check(note("OBS_PERIOD_OVERALL_LATEST", "now"), &["dataflow a: OBS_PERIOD_OVERALL_LATEST is \"now\""]);
    // One report for each dataflow.
    check(note("OBS_COUNT", "x") + &note("LAST_UPDATE", "y"), &["dataflow a: OBS_COUNT is \"x\""]);
    check(note("METADATA_URL", "x"), &[]);
}

#[test]
fn the_range_of_periods_is_read() {
    let oldest = note("OBS_PERIOD_OVERALL_OLDEST", "1980");
    let facts = facts_of(&(oldest + &note("OBS_PERIOD_OVERALL_LATEST", "2019-Q4")));
    let shown = [facts.periods.first, facts.periods.last].map(|period| period.unwrap().to_string());
    assert_eq!(shown, ["1980", "2019-Q4"]);
}
