//! Tables of the formats that providers write.

use super::*;
use crate::{Limits, StructureReader};

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
