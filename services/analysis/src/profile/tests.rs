//! Profiles of small catalogues with constraints and data structures, in one document or several.

use std::io::{self, Read};

use dataflow_rules::themes::{CompiledMapping, Mapping};
use dataflow_rules::{Compiled, built_in};
use dataflow_sdmx::{Limits, timestamp};

use super::*;
use crate::Error;
use crate::catalogue::{self, Catalogue};
use dataflow_uploads::budget::{Budget, Canceled};
use dataflow_uploads::document::Documents;

/// Documents in memory.
struct InMemory<'a>(Vec<&'a [u8]>);

impl Read for InMemory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0[0].read(buffer)
    }
}

impl Documents for InMemory<'_> {
    fn next_document(&mut self) -> io::Result<bool> {
        self.0.remove(0);
        Ok(!self.0.is_empty())
    }
}

fn analyze(documents: &[&str]) -> Catalogue {
    analyze_within(documents, &mut Budget::unlimited()).unwrap()
}

fn analyze_within(documents: &[&str], budget: &mut Budget) -> Result<Catalogue, Error> {
    // The profile does not depend on the rules: the small set is compiled in no time.
    let rules = Compiled::new(&built_in::rulesets()[1]).unwrap();
    let mut documents = InMemory(documents.iter().map(|document| document.as_bytes()).collect());
    let mapping = CompiledMapping::new(&Mapping::built_in());
    catalogue::analyze_all(&mut documents, &rules, &mapping, Limits::default(), budget)
}

fn reasons(catalogue: &Catalogue) -> Vec<&'static str> {
    catalogue.diagnostics.kept().iter().map(|kept| kept.reason.as_str()).collect()
}

/// A message without namespaces, made at this time.
fn message(prepared: &str, content: &str) -> String {
    format!(
        "<Structure><Header><ID>1</ID><Prepared>{prepared}</Prepared></Header><Structures>{content}</Structures></Structure>"
    )
}

/// Dataflow `F` with these annotations, of data structure `D`.
fn dataflow(annotations: &[(&str, &str)]) -> String {
    let annotation = |(kind, title): &(&str, &str)| {
        format!(
            "<Annotation><AnnotationTitle>{title}</AnnotationTitle><AnnotationType>{kind}</AnnotationType></Annotation>"
        )
    };
    let annotations: String = annotations.iter().map(annotation).collect();
    format!(
        "<Dataflows><Dataflow id='F' agencyID='A' version='1.0'><Annotations>{annotations}</Annotations><Name>n</Name>\
         <Description>d</Description><Structure><Ref id='D' agencyID='A' version='1.0'/></Structure></Dataflow></Dataflows>"
    )
}

/// A constraint attached to `F`, of the kind `Actual` or `Allowed`.
fn constraint(kind: &str, content: &str) -> String {
    format!(
        "<Constraints><ContentConstraint id='C{kind}' agencyID='A' version='1.0' type='{kind}'><ConstraintAttachment>\
         <Dataflow><Ref id='F' agencyID='A' version='1.0'/></Dataflow></ConstraintAttachment>{content}\
         </ContentConstraint></Constraints>"
    )
}

fn key(id: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<Value>{value}</Value>")).collect();
    format!("<KeyValue id='{id}'>{values}</KeyValue>")
}

fn region(keys: &[String]) -> String {
    format!("<CubeRegion>{}</CubeRegion>", keys.concat())
}

fn metric(id: &str, count: &str) -> String {
    format!(
        "<Annotations><Annotation id='{id}'><AnnotationTitle>{count}</AnnotationTitle><AnnotationType>sdmx_metrics\
         </AnnotationType></Annotation></Annotations>"
    )
}

const YEARS: &str = "<ReferencePeriod startTime='2001-01-01T00:00:00Z' endTime='2010-01-01T00:00:00Z'/>";

/// Data structure `D`: frequency, sex of 3 codes, time.
const STRUCTURE: &str = "<DataStructures><DataStructure id='D' agencyID='A' version='1.0'><DataStructureComponents>\
    <DimensionList><Dimension id='FREQ'/><Dimension id='SEX'><LocalRepresentation><Enumeration>\
    <Ref id='CL_SEX' agencyID='A' version='1.0'/></Enumeration></LocalRepresentation></Dimension>\
    <TimeDimension id='TIME_PERIOD'/></DimensionList></DataStructureComponents></DataStructure></DataStructures>";
const CODES: &str = "<Codelists><Codelist id='CL_SEX' agencyID='A' version='1.0'><Code id='1'/><Code id='2'/><Code id='9'/>\
    </Codelist></Codelists>";

/// The size of `F` in words, and the reasons of the diagnostics.
#[track_caller]
fn check(documents: &[String], expected: &str, diagnosed: &[&str]) {
    let documents: Vec<_> =
        documents.iter().map(|content| message("2024-01-01T00:00:00Z", content)).collect();
    let catalogue = analyze(&documents.iter().map(String::as_str).collect::<Vec<_>>());
    let profile = &catalogue.dataflows[0].profile;
    let shown = profile.size.as_ref().map_or_else(String::new, |Size { method, source, observations }| {
        let Estimate { low, likely, high } = observations;
        let likely = likely.map_or_else(|| "?".to_owned(), |likely| likely.to_string());
        format!("{method:?} by {source}: {low} {likely} {high}")
    });
    assert_eq!((shown.as_str(), reasons(&catalogue)), (expected, diagnosed.to_vec()));
    let stated = profile.size.as_ref().filter(|size| size.method <= Method::Constraint);
    assert_eq!(profile.observation_count, stated.and_then(|size| size.observations.likely));
}

#[test]
fn the_most_reliable_number_counts() {
    let annotated = dataflow(&[("OBS_COUNT", "40")]);
    check(std::slice::from_ref(&annotated), "Stated by annotation OBS_COUNT: 40 40 40", &[]);
    let counted = constraint("Actual", &metric("obs_count", "30"));
    check(&[dataflow(&[]), counted.clone()], "Constraint by A:CActual(1.0): 30 30 30", &[]);
    let both = [annotated.clone(), counted];
    check(&both, "Stated by annotation OBS_COUNT: 30 40 40", &["CONTRADICTORY_COUNTS"]);
    let same = [annotated.clone(), constraint("Actual", &metric("obs_count", "40"))];
    check(&same, "Stated by annotation OBS_COUNT: 40 40 40", &[]);
    // What may be is no number of what there is.
    check(&[dataflow(&[]), constraint("Allowed", &metric("obs_count", "30"))], "", &[]);
    check(&[dataflow(&[])], "", &[]);
}

#[test]
fn combinations_are_an_upper_bound() {
    let keys = [key("FREQ", &["A"]), key("SEX", &["1", "2"])];
    let actual = |content: &str| [dataflow(&[]), constraint("Actual", content)];
    let whole = region(&keys) + YEARS;
    // 1 frequency with 10 years, 2 sexes: each of these occurs.
    check(&actual(&whole), "Cube by A:CActual(1.0): 2 9 20", &[]);
    // Each frequency has periods of its own: 10 and 40.
    let two = region(&[key("FREQ", &["A", "Q"]), key("SEX", &["1", "2"])]);
    check(
        &actual(&(two + "<ReferencePeriod startTime='2001' endTime='2010'/>")),
        "Cube by A:CActual(1.0): 2 27 100",
        &[],
    );
    // Periods that are listed.
    let listed = region(&[
        key("FREQ", &["A"]),
        key("SEX", &["1", "2"]),
        key("TIME_PERIOD", &["2001", "2003", "2004"]),
    ]);
    check(&actual(&listed), "Cube by A:CActual(1.0): 3 5 6", &[]);
    // Without the number of periods, or the size of a dimension, there is no bound.
    check(&actual(&region(&keys)), "", &[]);
    check(&actual(&(region(&[key("FREQ", &["U"]), key("SEX", &["1"])]) + YEARS)), "", &[]);
    check(&actual(&(region(&[key("FREQ", &["A"]), key("SEX", &["%"])]) + YEARS)), "", &[]);
    check(&actual(&(region(&[key("FREQ", &["A"]), key("SEX", &[])]) + YEARS)), "", &[]);
    let backwards = "<ReferencePeriod startTime='2010' endTime='2001'/>";
    check(&actual(&(region(&keys) + backwards)), "", &[]);
    // The range may be that of an annotation.
    let range = [("OBS_PERIOD_OVERALL_OLDEST", "2001"), ("OBS_PERIOD_OVERALL_LATEST", "2010")];
    check(&[dataflow(&range), constraint("Actual", &region(&keys))], "Cube by A:CActual(1.0): 2 9 20", &[]);
    // Two regions.
    check(&actual(&(region(&keys) + &region(&keys) + YEARS)), "Cube by A:CActual(1.0): 2 15 40", &[]);
    // Above the number that is stated, or not.
    let stated = |count: &str| [dataflow(&[("OBS_COUNT", count)]), constraint("Actual", &whole)];
    check(&stated("20"), "Stated by annotation OBS_COUNT: 20 20 20", &[]);
    check(&stated("21"), "Stated by annotation OBS_COUNT: 21 21 21", &["CONTRADICTORY_COUNTS"]);
}

#[test]
fn code_lists_bound_what_no_constraint_lists() {
    let range = [("OBS_PERIOD_OVERALL_OLDEST", "2001"), ("OBS_PERIOD_OVERALL_LATEST", "2010")];
    let parts = [dataflow(&range), STRUCTURE.to_owned(), CODES.to_owned()];
    check(&parts, "Cube by A:D(1.0): 0 ? 30", &[]);
    check(&[parts.concat()], "Cube by A:D(1.0): 0 ? 30", &[]);
    check(&parts[..2], "", &[]);
    // What may be, with the code list where it is silent.
    let allowed = constraint("Allowed", &region(&[key("FREQ", &["A", "Q"])]));
    let with_allowed = [parts.as_slice(), &[allowed]].concat();
    check(&with_allowed, "Cube by A:CAllowed(1.0): 0 ? 150", &[]);
    let open = constraint("Actual", &(region(&[key("FREQ", &["A"]), key("SEX", &["x%"])]) + YEARS));
    check(&[dataflow(&[]), STRUCTURE.to_owned() + CODES, open], "Cube by A:CActual(1.0): 0 10 30", &[]);
}

#[test]
fn series_bound_the_observations() {
    let counted = metric("series_count", "3")
        + &region(&[key("FREQ", &["A"]), key("SEX", &["1", "2", "3", "4"])])
        + YEARS;
    check(&[dataflow(&[]), constraint("Actual", &counted)], "Series by A:CActual(1.0): 4 15 30", &[]);
    check(&[dataflow(&[]), constraint("Actual", &metric("series_count", "3"))], "", &[]);
}

#[test]
fn large_cubes_saturate() {
    let values: Vec<_> = (0..2_000).map(|value| value.to_string()).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let keys: Vec<_> = (0..7).map(|number| key(&format!("K{number}"), &values)).collect();
    let times = key("TIME_PERIOD", &["2001"]);
    let content = region(&[keys, vec![times]].concat());
    let documents = [message("", &dataflow(&[])), message("", &constraint("Actual", &content))];
    let catalogue = analyze(&[&documents[0], &documents[1]]);
    let size = catalogue.dataflows[0].profile.size.clone().unwrap();
    assert_eq!((size.observations.low, size.observations.high), (2_000, i64::MAX));
    assert_eq!(size.observations.bytes(FORMATS[0]).high, i64::MAX);
    assert_eq!(size.observations.bytes(FORMATS[0]).low, 70_000);
}

#[test]
fn contents_come_from_what_there_is() {
    let keys = [key("FREQ", &["Q", "A"]), key("SEX", &["1", "2"]), key("TIME_PERIOD", &["2003", "2001"])];
    let actual = constraint("Actual", &(metric("series_count", "3") + &region(&keys) + YEARS));
    let range = [("OBS_PERIOD_OVERALL_OLDEST", "1990"), ("OBS_PERIOD_OVERALL_LATEST", "2010-M12")];
    let contents = |documents: &[&str]| {
        let documents: Vec<_> = documents.iter().map(|content| message("", content)).collect();
        let catalogue = analyze(&documents.iter().map(String::as_str).collect::<Vec<_>>());
        let Contents { periods, frequencies, series_count, value_counts, constraint } =
            catalogue.dataflows[0].profile.contents.clone();
        let shown = [periods.first, periods.last]
            .map(|period| period.map_or_else(String::new, |period| period.to_string()));
        let frequencies: Vec<_> = frequencies.iter().map(ToString::to_string).collect();
        (shown.join(".."), frequencies.join(" "), series_count, value_counts.len(), constraint)
    };
    let found = contents(&[&dataflow(&range), &actual]);
    assert_eq!(found, ("2001..2003".into(), "Q A".into(), Some(3), 3, "A:CActual(1.0)".into()));
    let found = contents(&[&dataflow(&range)]);
    assert_eq!(found, ("1990..2010-12".into(), "M".into(), None, 0, String::new()));
    // One frequency that may be is the one that is; of several it is not known which are.
    let allowed = |codes: &[&str]| {
        contents(&[&dataflow(&[]), &constraint("Allowed", &region(&[key("FREQ", codes)]))]).1
    };
    assert_eq!([allowed(&["Q"]), allowed(&["Q", "A"])], ["Q", ""]);
    assert_eq!(contents(&[&dataflow(&[])]), ("..".into(), String::new(), None, 0, String::new()));
}

#[test]
fn freshness_is_that_at_the_time_of_the_catalogue() {
    let annotations = [("LAST_UPDATE", "2023-10-31"), ("OBS_PERIOD_OVERALL_LATEST", "2023-10")];
    let overdue = |prepared: &str| {
        let catalogue = analyze(&[&message(prepared, &dataflow(&annotations))]);
        let freshness = catalogue.dataflows[0].profile.freshness.unwrap();
        assert_eq!(Some(freshness.due), timestamp("2024-01-01"));
        freshness.is_overdue
    };
    assert_eq!(overdue("2024-01-01T00:00:00Z"), Some(false));
    assert_eq!(overdue("2024-01-01T00:00:01Z"), Some(true));
    assert_eq!(overdue("soon"), None);
}

#[test]
fn a_constraint_of_no_dataflow_is_reported() {
    let other = constraint("Actual", "").replace("id='F'", "id='G'");
    check(&[dataflow(&[]), other.clone()], "", &["CONSTRAINT_WITHOUT_DATAFLOW"]);
    check(&[dataflow(&[]), other.clone(), other.clone()], "", &["CONSTRAINT_WITHOUT_DATAFLOW"]);
    // One of those that it names is enough.
    let both = other.replace("<Dataflow>", "<Dataflow><Ref id='F' agencyID='A'/></Dataflow><Dataflow>");
    check(&[dataflow(&[]), both], "", &[]);
    let nothing = "<Constraints><ContentConstraint id='C'/></Constraints>".to_owned();
    check(&[dataflow(&[]), nothing], "", &["CONSTRAINT_WITHOUT_ATTACHMENT"]);
}

#[test]
fn a_data_structure_is_missing_only_where_it_should_be() {
    let quality = |documents: &[String]| {
        let documents: Vec<_> = documents.iter().map(|content| message("", content)).collect();
        let catalogue = analyze(&documents.iter().map(String::as_str).collect::<Vec<_>>());
        (catalogue.dataflows[0].profile.quality.clone(), catalogue.data_structures.len())
    };
    let other = STRUCTURE.replace("id='D'", "id='E'");
    assert_eq!(quality(&[dataflow(&[])]), (vec![], 0));
    assert_eq!(quality(&[dataflow(&[]) + STRUCTURE]), (vec![], 1));
    assert_eq!(quality(&[dataflow(&[]) + &other]), (vec![QualityFlag::StructureMissing], 0));
    assert_eq!(quality(&[dataflow(&[]) + &other, STRUCTURE.to_owned()]), (vec![], 1));
    // A further document need not have all.
    assert_eq!(quality(&[dataflow(&[]), other]), (vec![], 0));
}

#[test]
fn flags_of_quality_are_labels() {
    let quality = |attributes: &str, content: &str| {
        let flow =
            format!("<Dataflows><Dataflow id='F' agencyID='A'{attributes}>{content}</Dataflow></Dataflows>");
        analyze(&[&message("", &flow)]).dataflows[0].profile.quality.clone()
    };
    let whole =
        "<Name lang='en'>n</Name><Description lang='en'>d</Description><Structure><Ref id='D'/></Structure>";
    assert_eq!(quality("", whole), []);
    assert_eq!(quality(" isFinal='false'", whole), [QualityFlag::NotFinal]);
    assert_eq!(quality("", &whole.replace("lang='en'>n", "lang='it'>n")), [QualityFlag::WithoutEnglishName]);
    assert_eq!(quality("", &whole.replace(">d<", ">&lt;p&gt;d&lt;/p&gt;<")), [QualityFlag::MarkupInText]);
    for garbled in ["attivitÃ\u{a0}", "attivit\u{fffd}"] {
        let found = quality("", &whole.replace(">n<", &format!(">{garbled}<")));
        assert_eq!(found, [QualityFlag::GarbledText], "{garbled}");
    }
    assert_eq!(
        quality("", "<Name>n</Name>"),
        [QualityFlag::WithoutDescription, QualityFlag::WithoutStructure]
    );
    let stub = " isExternalReference='true'";
    assert_eq!(quality(stub, "<Name>n</Name>"), [QualityFlag::WithoutDescription]);
    let date = "<Annotations><Annotation id='LAST_UPDATE'><AnnotationTitle>05/04/2026</AnnotationTitle></Annotation></Annotations>";
    assert_eq!(quality("", &(date.to_owned() + whole)), [QualityFlag::DateAmbiguous]);
}

#[test]
fn a_flag_on_nearly_all_dataflows_is_reported() {
    let flows = |hidden: usize, total: usize| {
        let flow = |number: usize| {
            let flag = if number < hidden {
                "<Annotations><Annotation id='DATAFLOW_HIDDEN'/></Annotations>"
            } else {
                ""
            };
            format!("<Dataflow id='F{number}' agencyID='A'>{flag}<Name>n</Name></Dataflow>")
        };
        let flows: String = (0..total).map(flow).collect();
        reasons(&analyze(&[&message("", &format!("<Dataflows>{flows}</Dataflows>"))]))
    };
    assert_eq!(flows(19, 20), ["FLAG_ON_NEARLY_ALL"]);
    assert!(flows(18, 20).is_empty() && flows(19, 19).is_empty());
}

/// One constraint may tell the contents of any number of dataflows, each of which repeats its numbers.
#[test]
fn what_is_known_counts_in_the_result() {
    let flows = message("", &dataflow(&[]));
    let actual =
        message("", &constraint("Actual", &(region(&[key("A", &["1"]), key("BC", &["2"])]) + YEARS)));
    let fits = |documents: &[&str], bytes: usize| {
        analyze_within(documents, &mut Budget::new(bytes, Canceled::default())).is_ok()
    };
    let alone = (0..1_000).find(|bytes| fits(&[&flows], *bytes)).unwrap();
    let with = alone + "A:CActual(1.0)".len() + "ABC".len() + 2 * COUNT_BYTES;
    assert!(fits(&[&flows, &actual], with) && !fits(&[&flows, &actual], with - 1));
    // The size is five estimates and its source.
    let counted = message("", &constraint("Actual", &metric("obs_count", "30")));
    let with = alone + 2 * "A:CActual(1.0)".len() + 5 * 32;
    assert!(fits(&[&flows, &counted], with) && !fits(&[&flows, &counted], with - 1));
}
