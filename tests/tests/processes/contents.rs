//! Structures in further documents of a call: what they tell about the data, and the flags that bound them. Published
//! constraints and annotations tell the numbers that are known of these data.

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::dataflow::QualityFlag;
use dataflow_proto::analysis::v1::dimension::Role;
use dataflow_proto::analysis::v1::size::Method;
use dataflow_tests::{corpus, example, in_repository, services};

use crate::accuracy;
use crate::themes::{analyze, read};

/// The catalogue of the examples, and its structures.
fn examples() -> [String; 2] {
    [read(example()), read(in_repository("examples/istat-structures.xml"))]
}

fn flow<'a>(analysis: &'a pb::Analysis, id: &str) -> &'a pb::Dataflow {
    analysis.dataflows.iter().find(|flow| flow.id == id).unwrap_or_else(|| panic!("{id}"))
}

/// The method, and the least, the most plausible and the greatest number.
fn size(flow: &pb::Dataflow) -> (Method, [i64; 3]) {
    let size = flow.size.as_ref().unwrap();
    let pb::Estimate { low, likely, high } = size.observations.unwrap();
    (size.method(), [low, likely.unwrap(), high])
}

fn seconds(rfc3339: &str) -> Option<prost_types::Timestamp> {
    Some(rfc3339.parse().unwrap())
}

#[tokio::test]
async fn structures_in_a_further_document_tell_the_contents() {
    let service = services::analysis(&[]).await;
    let [catalogue, structures] = examples();
    let analysis = analyze(&service, &[&catalogue, &structures]).await.unwrap();
    assert!(analysis.diagnostics.is_empty(), "{:?}", analysis.diagnostics);
    assert_eq!(analysis.prepare_time, seconds("2026-11-01T08:00:00Z"));

    let residents = flow(&analysis, "22_289");
    assert_eq!(size(residents), (Method::Constraint, [280; 3]));
    assert_eq!(residents.observation_count, Some(280));
    let contents = residents.contents.as_ref().unwrap();
    assert_eq!((contents.first_period.as_str(), contents.last_period.as_str()), ("2001", "2019"));
    assert_eq!((&contents.frequencies[..], contents.series_count), (&["A".to_owned()][..], Some(15)));
    assert_eq!(contents.value_counts["ITTER107"], 5);
    assert_eq!(contents.constraint, "IT1:CC_22_289(1.0)");
    let freshness = residents.freshness.as_ref().unwrap();
    assert_eq!((freshness.due_time, freshness.overdue), (seconds("2022-04-30T10:00:00Z"), Some(true)));
    assert_eq!(size(flow(&analysis, "24_447")), (Method::Cube, [2, 9, 20]));

    let [found] = &analysis.data_structures[..] else { panic!("{:?}", analysis.data_structures) };
    let dimensions: Vec<_> = found.dimensions.iter().map(|found| (found.id.as_str(), found.role())).collect();
    let expected = [
        ("FREQ", Role::Frequency),
        ("ITTER107", Role::Geography),
        ("SESSO", Role::Other),
        ("TIME_PERIOD", Role::Time),
    ];
    assert_eq!(dimensions, expected);
    let sex = &found.dimensions[2];
    assert_eq!((sex.codelist.as_str(), sex.code_count), ("IT1:CL_SEXISTAT1(1.0)", Some(3)));

    let alone = analyze(&service, &[&catalogue]).await.unwrap();
    assert_eq!((alone.data_structures.len(), &flow(&alone, "22_289").size), (0, &None));
    assert_eq!(alone.flag_counts, analysis.flag_counts);
    assert_eq!((analysis.flag_counts["HIDDEN"], analysis.flag_counts["STRUCTURE_MISSING"]), (1, 0));
}

#[tokio::test]
async fn the_cache_keeps_what_is_known() {
    let cache = services::cache().await;
    let service = services::analysis(&["--cache-url", &cache.upstream.to_string()]).await;
    let [catalogue, structures] = examples();
    let first = analyze(&service, &[&catalogue, &structures]).await.unwrap();
    let second = analyze(&service, &[&catalogue, &structures]).await.unwrap();
    assert_eq!((first.cached, second.cached), (false, true));
    assert_eq!(pb::Analysis { cached: false, ..second }, first);
}

#[tokio::test]
async fn limits_of_structures_are_flags() {
    let [catalogue, structures] = examples();
    let check = async |flag: &str, enough: &str, less: &str| {
        for (limit, reasons) in [(enough, vec![]), (less, vec!["STRUCTURES_CUT_SHORT"])] {
            let service = services::analysis(&[flag, limit]).await;
            let analysis = analyze(&service, &[&catalogue, &structures]).await.unwrap();
            let found: Vec<_> = analysis.diagnostics.iter().map(|found| found.reason.as_str()).collect();
            assert_eq!(found, reasons, "{flag} {limit}");
            let is_whole = flow(&analysis, "24_447").size.is_some();
            assert_eq!(is_whole, reasons.is_empty(), "the last constraint: {flag} {limit}");
        }
    };
    // A code list, a data structure and two constraints.
    check("--max-structures", "4", "3").await;
    check("--max-structure-bytes", "8KiB", "2KiB").await;
}

/// ISTAT's constraint of what dataflow 41_983 has: eighteen years, 435,951 observations.
#[tokio::test]
async fn istats_constraint_tells_what_its_dataflow_has() {
    let Some(corpus) = corpus::directory("ISTAT's constraint is not read") else { return };
    let [catalogue, constraint, structure] = [
        accuracy::CATALOGUE,
        "structures/istat_availableconstraint_41_983.xml",
        "structures/istat_dsd_DCIS_POPRES1.xml",
    ]
    .map(|name| read(corpus.join(name)));
    let service = services::analysis(&["--max-message-bytes", "64MiB"]).await;
    for further in [[&constraint, &structure], [&structure, &constraint]] {
        let analysis = analyze(&service, &[&catalogue, further[0], further[1]]).await.unwrap();
        assert!(analysis.diagnostics.iter().all(|found| found.document == 0), "{:?}", analysis.diagnostics);
        let incidents = flow(&analysis, "41_983");
        assert_eq!(size(incidents), (Method::Constraint, [435_951; 3]));
        let contents = incidents.contents.as_ref().unwrap();
        assert_eq!(contents.first_period[..4], *"2001");
        assert_eq!(contents.last_period[..4], *"2018");
        assert_eq!(
            (contents.frequencies.join(" "), contents.value_counts["ITTER107"]),
            ("A".to_owned(), 8541)
        );
        // The published reply in the generic format has 53 MB for them.
        let generic = incidents.size.as_ref().unwrap().generic_bytes.unwrap();
        assert!((generic.low..=generic.high).contains(&53_000_000), "{generic:?}");

        let known = analysis.dataflows.iter().filter(|flow| flow.contents.is_some()).count();
        assert_eq!((analysis.total, known), (456, 1), "others have no constraint");
        let [structure] = &analysis.data_structures[..] else { panic!("{:?}", analysis.data_structures) };
        let roles: Vec<_> = structure.dimensions.iter().map(pb::Dimension::role).collect();
        assert_eq!((roles[0], roles[2], roles[6]), (Role::Frequency, Role::Geography, Role::Time));
        assert_eq!((structure.id.as_str(), roles.len()), ("DCIS_POPRES1", 7));
    }
}

/// Eurostat's annotations: the number of observations, their periods and their last change.
#[tokio::test]
async fn eurostats_annotations_tell_size_and_freshness() {
    let Some(corpus) = corpus::directory("Eurostat's annotations are not read") else { return };
    let service = services::analysis(&[]).await;
    let check = async |name: &str, count: i64, periods: [&str; 2], update: &str, due: &str| {
        let analysis = analyze(&service, &[&read(corpus.join(name))]).await.unwrap();
        let [flow] = &analysis.dataflows[..] else { panic!("{name}: {} dataflows", analysis.total) };
        assert_eq!(size(flow), (Method::Stated, [count; 3]), "{name}");
        let contents = flow.contents.as_ref().unwrap();
        assert_eq!([contents.first_period.as_str(), &contents.last_period], periods, "{name}");
        assert_eq!(flow.last_update, seconds(update), "{name}");
        let freshness = flow.freshness.as_ref().unwrap();
        assert_eq!((freshness.due_time, freshness.overdue), (seconds(due), Some(false)), "{name}");
        assert!(flow.quality_flags().any(|flag| flag == QualityFlag::WithoutDescription), "{name}");
        // All code lists are in the message.
        let dimensions = analysis.data_structures[0].dimensions.iter();
        let mut dimensions = dimensions.filter(|dimension| dimension.role() != Role::Time);
        assert!(dimensions.all(|dimension| dimension.code_count.is_some()), "{name}");
    };
    check(
        "structures/pysdmx__estat_metadata.xml",
        2_763_024,
        ["1990", "2023"],
        "2024-12-16T22:00:00Z",
        "2026-12-18T22:00:00Z",
    )
    .await;
    check(
        "structures/sdmxthon__estat_18e0f9.xml",
        18_676,
        ["1980", "2019"],
        "2020-07-10T09:00:00Z",
        "2022-07-12T09:00:00Z",
    )
    .await;
}
