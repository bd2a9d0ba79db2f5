//! Category schemes and categorisations: every version of the standard, irregular input, and the limits.

use super::*;

/// The family of namespaces of a version.
fn family(version: &str) -> String {
    match version {
        "2_0" => "http://www.SDMX.org/resources/SDMXML/schemas/v2_0".to_owned(),
        _ => format!("http://www.sdmx.org/resources/sdmxml/schemas/v{version}"),
    }
}

/// A message of a version with this content.
pub(super) fn structures(version: &str, content: &str) -> String {
    let family = family(version);
    format!(
        "<m:Structure xmlns:m='{family}/message' xmlns:s='{family}/structure' xmlns:c='{family}/common'><m:Header>\
         <m:ID>1</m:ID><m:Prepared>2026-01-01T00:00:00Z</m:Prepared></m:Header><m:Structures>{content}\
         </m:Structures></m:Structure>"
    )
}

const SCHEME: &str = "<s:CategorySchemes><s:CategoryScheme id='S' agencyID='A' version='2.0'><c:Name>s</c:Name>\
    <s:Category id='X'><c:Name xml:lang='en'>Ex</c:Name><c:Name xml:lang='it'>Ics</c:Name>\
    <s:Category id='Y'><c:Name>Why</c:Name></s:Category></s:Category><s:Category id='Z'/></s:CategoryScheme>\
    </s:CategorySchemes>";

/// A categorisation of SDMX 2.1.
fn link(dataflow: &str, target: &str) -> String {
    linked("", dataflow, target)
}

fn linked(attributes: &str, dataflow: &str, target: &str) -> String {
    format!(
        "<s:Categorisation id='c'{attributes}><s:Source><Ref id='{dataflow}' agencyID='A' version='1.0' \
         class='Dataflow'/></s:Source><s:Target><Ref {target}/></s:Target></s:Categorisation>"
    )
}

fn links(links: &str) -> String {
    format!("<s:Categorisations>{links}</s:Categorisations>")
}

/// What the links of several documents lead to, one line each, and the reasons of all diagnostics.
pub(super) fn themes_within(documents: &[&str], limits: &Limits) -> (Vec<String>, Vec<&'static str>) {
    let (mut diagnostics, mut themes) = (Diagnostics::new(limits.diagnostics), Themes::default());
    for (number, document) in documents.iter().enumerate() {
        let reader = StructureReader::new(document.as_bytes(), limits.clone());
        let mut reader = reader.with_themes(themes).following(u32::try_from(number).unwrap(), diagnostics);
        while let Some(_flow) = reader.next_dataflow().unwrap_or_else(|error| panic!("{error}\n{document}")) {
        }
        (diagnostics, themes) = reader.into_parts();
    }
    let Resolved { themes, links } = themes.resolve(limits, &mut diagnostics);
    let shown = links.into_iter().map(|link| {
        let ThemeLink { agency_id, dataflow_id, version, theme, deprecated, .. } = link;
        let Theme { agency_id: maintainer, scheme_id, version: scheme_version, path } = &themes[theme];
        let path = path.iter().map(|part| part.id).collect::<Vec<_>>().join("/");
        let ended = if deprecated { " ended" } else { "" };
        format!(
            "{agency_id}:{dataflow_id}({version}) {maintainer}:{scheme_id}({scheme_version})/{path}{ended}"
        )
    });
    // Most documents of these tests have themes only.
    let found = diagnostics.kept().iter().filter(|kept| kept.reason != Reason::NoDataflows);
    (shown.collect(), found.map(|kept| kept.reason.as_str()).collect())
}

pub(super) fn themes(documents: &[&str]) -> (Vec<String>, Vec<&'static str>) {
    themes_within(documents, &Limits::default())
}

#[track_caller]
pub(super) fn check(documents: &[&str], links: &[&str], reasons: &[&str]) {
    let (found, diagnosed) = themes(documents);
    assert_eq!((found, diagnosed), (links.iter().map(|link| (*link).to_owned()).collect(), reasons.to_vec()));
}

const TO_Y: &str = "id='X.Y' maintainableParentID='S' maintainableParentVersion='2.0' agencyID='A'";

#[test]
fn links_of_every_version_lead_to_their_categories() {
    let y = "A:F(1.0) A:S(2.0)/X/Y";
    check(&[&structures("2_1", &(links(&link("F", TO_Y)) + SCHEME))], &[y], &[]);
    let urns = "<s:Source>urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(1.0)</s:Source><s:Target>\
                urn:sdmx:org.sdmx.infomodel.categoryscheme.Category=A:S(2.0).X.Y</s:Target>";
    let link = format!("<s:Categorisation id='c'>{urns}</s:Categorisation>");
    for version in ["3_0", "3_1"] {
        check(&[&structures(version, &(SCHEME.to_owned() + &links(&link)))], &[y], &[]);
    }
    let nested = link
        .replace("Source>u", "Source><URN>u")
        .replace(")</s:Source", ")</URN></s:Source")
        .replace("Target>u", "Target><URN>u")
        .replace("Y</s:Target", "Y</URN></s:Target");
    check(&[&structures("2_1", &(SCHEME.to_owned() + &links(&nested)))], &[y], &[]);
    // Without namespaces.
    let plain = |text: &str| text.replace("s:", "").replace("c:", "").replace("m:", "");
    let document = format!("<Structure>{}{}</Structure>", plain(SCHEME), links(&nested));
    check(&[&plain(&document).replace("urn:dmx", "urn:sdmx")], &[y], &[]);
}

#[test]
fn sdmx_2_0_links_are_written_in_dataflows_and_in_categories() {
    let scheme = "<CategorySchemeAgencyID>A</CategorySchemeAgencyID><CategorySchemeID>S</CategorySchemeID>";
    let path = "<CategoryID><ID>X</ID><CategoryID><ID>Y</ID></CategoryID></CategoryID>";
    let document = |reference: &str| {
        let dataflow = format!(
            "<m:Dataflows><s:Dataflow id='F' agencyID='A'><s:Name>n</s:Name>{reference}</s:Dataflow></m:Dataflows>"
        );
        structures("2_0", &(dataflow + &SCHEME.replace("s:CategorySchemes", "m:CategorySchemes")))
            .replace("c:", "s:")
    };
    let inline = |content: &str| {
        let named = content.replace("</", "<//").replace('<', "<s:").replace("<s://", "</s:");
        document(&format!("<s:CategoryRef>{named}</s:CategoryRef>"))
    };
    let y = "A:F(1.0) A:S(2.0)/X/Y";
    check(&[&inline(&format!("{scheme}{path}"))], &[y], &[]);
    let urn = "urn:sdmx:org.sdmx.infomodel.categoryscheme.Category=A:S[2.0]:X:Y";
    check(&[&inline(&format!("<URN>{urn}</URN>"))], &[y], &[]);
    check(&[&inline(scheme)], &[], &["INVALID_CATEGORISATION"]);
    let inside = |content: &str| document("").replace("id='Z'/>", &format!("id='Z'>{content}</s:Category>"));
    let parts = "<s:DataflowRef><s:AgencyID>B</s:AgencyID><s:DataflowID>G</s:DataflowID><s:Version>1.1</s:Version>\
                 </s:DataflowRef>";
    let urn = "<s:DataflowRef><s:URN>urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=B:H[1.2]</s:URN></s:DataflowRef>";
    let z = ["B:G(1.1) A:S(2.0)/Z", "B:H(1.2) A:S(2.0)/Z"];
    check(&[&inside(&format!("{parts}{urn}<s:DataflowRef/>"))], &z, &["INVALID_CATEGORISATION"]);
}

#[test]
fn links_and_categories_may_be_in_any_document() {
    let (scheme, link) = (structures("2_1", SCHEME), structures("2_1", &links(&link("F", TO_Y))));
    let y = "A:F(1.0) A:S(2.0)/X/Y";
    check(&[&scheme, &link], &[y], &[]);
    check(&[&link, &scheme], &[y], &[]);
    check(&[&link, &scheme, &scheme], &[y], &[]);
    check(&[&link, &scheme, &message("")], &[y], &["DOCUMENT_UNUSED"]);
    // A part of the scheme in each of two documents.
    let part = SCHEME.replace("id='Y'", "id='W'").replace("id='Z'", "id='V'");
    check(&[&structures("2_1", &part), &link, &scheme], &[y], &[]);
}

#[test]
fn a_target_is_found_by_its_path_its_id_and_any_version() {
    let check = |target: &str, expected: &[&str], reasons: &[&str]| {
        check(&[&structures("2_1", &(SCHEME.to_owned() + &links(&link("F", target))))], expected, reasons);
    };
    let (x, y) = ("A:F(1.0) A:S(2.0)/X", "A:F(1.0) A:S(2.0)/X/Y");
    check("id='X' maintainableParentID='S' agencyID='A'", &[x], &[]);
    check("id='Y' maintainableParentID='S' agencyID='A'", &[y], &[]);
    check("id='X.Y' maintainableParentID='S' maintainableParentVersion='1.0' agencyID='A'", &[y], &[]);
    check("id='X.Y' maintainableParentID='S'", &[y], &[]);
    check("id='Y.X' maintainableParentID='S' agencyID='A'", &[], &["CATEGORISATION_WITHOUT_CATEGORY"]);
    let stated = "A:F(1.0) B:S()/X/Y";
    check("id='X.Y' maintainableParentID='S' agencyID='B'", &[stated], &["CATEGORY_SCHEME_MISSING"]);
    check("id='X.Y'", &[], &["INVALID_CATEGORISATION"]);
    check("", &[], &["INVALID_CATEGORISATION"]);
}

#[test]
fn one_irregular_link_or_category_loses_nothing_else() {
    let check = |content: &str, reasons: &[&str]| {
        let content = format!("{content}{SCHEME}{}", links(&link("F", TO_Y)));
        check(&[&structures("2_1", &content)], &["A:F(1.0) A:S(2.0)/X/Y"], reasons);
    };
    check("", &[]);
    check("<s:Categorisations><s:Categorisation/></s:Categorisations>", &["INVALID_CATEGORISATION"]);
    // Another kind of artefact has themes too.
    let codelist = link("F", TO_Y).replace("class='Dataflow'", "class='Codelist'");
    check(&links(&codelist), &[]);
    let scheme = |content: &str| SCHEME.replace("'S'", "'T'").replace("<s:Category id='Z'/>", content);
    check(&scheme("<s:Category><s:Category id='Q'/></s:Category>"), &["INVALID_CATEGORY"]);
    for (length, reasons) in [(256, &[][..]), (257, &["INVALID_CATEGORY"])] {
        check(&scheme(&format!("<s:Category id='{}'/>", "q".repeat(length))), reasons);
    }
    check(&scheme("<s:Category id='Q'><s:Category id='Q'/></s:Category>"), &["CATEGORY_CYCLE"]);
    let parent = |id: &str, parent: &str| {
        format!("<s:Category id='{id}'><s:Parent><Ref id='{parent}'/></s:Parent></s:Category>")
    };
    check(&scheme(&(parent("P", "Q") + &parent("Q", "P"))), &["CATEGORY_CYCLE"]);
    check(&scheme(&parent("P", "P")), &["CATEGORY_CYCLE"]);
    check(&scheme(&parent("P", "absent")), &[]);
}

#[test]
fn a_category_may_state_its_parent() {
    let flat = "<s:Category id='Z'><s:Parent><Ref id='Y'/></s:Parent></s:Category>";
    let scheme = SCHEME.replace("<s:Category id='Z'/>", flat);
    let target = TO_Y.replace("X.Y", "X.Y.Z");
    check(&[&structures("2_1", &(scheme + &links(&link("F", &target))))], &["A:F(1.0) A:S(2.0)/X/Y/Z"], &[]);
}

#[test]
fn a_link_without_agency_is_ambiguous_if_two_agencies_have_the_scheme() {
    let content = format!(
        "{SCHEME}{}{}",
        SCHEME.replace("'A'", "'B'"),
        links(&(link("F", "id='X' maintainableParentID='S'") + &link("G", TO_Y)))
    );
    check(&[&structures("2_1", &content)], &["A:G(1.0) A:S(2.0)/X/Y"], &["AMBIGUOUS_CATEGORISATION"]);
}

#[test]
fn a_link_has_ended_if_its_end_is_not_after_the_message() {
    let check = |attributes: &str, ended: &str, reasons: &[&str]| {
        let content = SCHEME.to_owned() + &links(&linked(attributes, "F", TO_Y));
        check(&[&structures("2_1", &content)], &[&format!("A:F(1.0) A:S(2.0)/X/Y{ended}")], reasons);
    };
    check("", "", &[]);
    check(" validTo='2026-01-01'", " ended", &["DEPRECATED_CATEGORISATION"]);
    check(" validTo='2026-01-02'", "", &[]);
    check(" validTo='2099-12-31T00:00:00'", "", &[]);
    check(" validFrom='2020-01-01'", "", &[]);
    check(" validTo='31/02/2024'", "", &["INVALID_CATEGORISATION"]);
    let without_time =
        structures("2_1", &(SCHEME.to_owned() + &links(&linked(" validTo='2099-12-31'", "F", TO_Y))))
            .replace("2026-01-01T00:00:00Z", "");
    let (found, _) = themes(&[&without_time]);
    assert_eq!(found, ["A:F(1.0) A:S(2.0)/X/Y ended"]);
}

#[test]
fn names_are_kept_by_language() {
    let mut reader = StructureReader::new(
        Box::leak(structures("2_1", &(SCHEME.to_owned() + &links(&link("F", TO_Y)))).into_boxed_str())
            .as_bytes(),
        Limits::default(),
    )
    .with_themes(Themes::default());
    assert_eq!(reader.next_dataflow().unwrap(), None);
    let (mut diagnostics, themes) = reader.into_parts();
    let resolved = themes.resolve(&Limits::default(), &mut diagnostics);
    let names: Vec<_> = resolved.themes[0].path.iter().map(|part| texts(part.names)).collect();
    assert_eq!(names, [vec![("en", "Ex"), ("it", "Ics")], vec![("", "Why")]]);
}

#[test]
fn themes_are_bounded() {
    let all = links(&(link("F", TO_Y) + &link("G", TO_Y)));
    let document = structures("2_1", &(SCHEME.to_owned() + &all));
    let check = |limits: Limits, links: usize, reasons: &[&str]| {
        let (found, diagnosed) = themes_within(&[&document], &limits);
        assert_eq!((found.len(), diagnosed.as_slice()), (links, reasons), "{limits:?}");
    };
    let limits = Limits::default;
    // The scheme and three categories.
    check(Limits { categories: 4, ..limits() }, 2, &[]);
    check(Limits { categories: 3, ..limits() }, 2, &["CATEGORIES_CUT_SHORT"]);
    let without_y =
        ["CATEGORIES_CUT_SHORT", "CATEGORISATION_WITHOUT_CATEGORY", "CATEGORISATION_WITHOUT_CATEGORY"];
    check(Limits { categories: 2, ..limits() }, 0, &without_y);
    check(Limits { categories: 0, ..limits() }, 2, &["CATEGORIES_CUT_SHORT", "CATEGORY_SCHEME_MISSING"]);
    check(Limits { categorisations: 2, ..limits() }, 2, &[]);
    check(Limits { categorisations: 1, ..limits() }, 1, &["CATEGORISATIONS_CUT_SHORT"]);
    // One scheme, three categories and three names with 200 bytes each, two links with 400, and their texts.
    let texts = "AS2.0".len() + "XYZ".len() + "enExitIcsWhy".len() + 2 * "AF1.0AS2.0X.Y".len();
    check(Limits { theme_bytes: 7 * 200 + 2 * 400 + texts, ..limits() }, 2, &[]);
    check(
        Limits { theme_bytes: 7 * 200 + 2 * 400 + texts - 1, ..limits() },
        1,
        &["CATEGORISATIONS_CUT_SHORT"],
    );
}

/// Look-ups take one step each, whatever a document repeats.
#[test]
fn many_schemes_with_one_id_and_many_links_are_resolved() {
    let schemes = (0..2_000).map(|version| {
        format!("<s:CategoryScheme id='S' agencyID='A' version='{version}'><s:Category id='X'/></s:CategoryScheme>")
    });
    let schemes = schemes.collect::<String>();
    let all =
        (0..2_000).map(|index| link(&format!("F{index}"), "id='X' maintainableParentID='S' agencyID='A'"));
    let content =
        format!("<s:CategorySchemes>{schemes}</s:CategorySchemes>{}", links(&all.collect::<String>()));
    let (found, reasons) = themes(&[&structures("2_1", &content)]);
    assert_eq!((found.len(), reasons.len()), (2_000, 0));
    assert_eq!(found[0], "A:F0(1.0) A:S(1999)/X");
}

#[test]
fn positions_name_the_document() {
    let document = structures("2_1", &links("<s:Categorisation/>"));
    let reader = StructureReader::new(document.as_bytes(), Limits::default());
    let mut reader = reader.with_themes(Themes::default()).following(2, Diagnostics::new(10));
    assert_eq!(reader.next_dataflow().unwrap(), None);
    let (diagnostics, _) = reader.into_parts();
    let offset = document.find("<s:Categorisation/>").unwrap();
    let expected = Position { document: 2, offset: offset as u64, line: 1 };
    assert_eq!(diagnostics.kept()[0].position, expected);
    assert_eq!(expected.to_string(), format!("further document 2, byte {offset}, line 1"));
    let reader = StructureReader::new(&b"prose"[..], Limits::default());
    let error = reader.following(1, Diagnostics::new(10)).next_dataflow().unwrap_err();
    assert!(error.to_string().starts_with("further document 1, byte 0, line 1: "), "{error}");
}

/// A category inside many others repeats them in its path.
#[test]
fn the_paths_of_themes_are_bounded() {
    let (ids, mut themes) = (["P", "Q", "R"], Themes::default());
    let (limits, mut diagnostics) = (Limits::default(), Diagnostics::new(10));
    let inside = ids
        .iter()
        .rev()
        .fold(String::new(), |inside, id| format!("<s:Category id='{id}'>{inside}</s:Category>"));
    let scheme = format!("<s:CategoryScheme id='S' agencyID='A'>{inside}</s:CategoryScheme>");
    let all = ids.map(|id| link("F", &format!("id='{id}' maintainableParentID='S' agencyID='A'")));
    let document = structures(
        "2_1",
        &format!("<s:CategorySchemes>{scheme}</s:CategorySchemes>{}", links(&all.concat())),
    );
    let mut reader = StructureReader::new(document.as_bytes(), limits.clone()).with_themes(themes);
    assert_eq!(reader.next_dataflow().unwrap(), None);
    (_, themes) = reader.into_parts();
    // Paths of one, two and three categories.
    let bytes = (1 + 2 + 3) * 65;
    for (theme_bytes, found, cut) in [(bytes, 3, 0), (bytes - 1, 2, 1)] {
        let limits = Limits { theme_bytes, ..limits.clone() };
        let before = diagnostics.total();
        assert_eq!(themes.resolve(&limits, &mut diagnostics).links.len(), found);
        assert_eq!(diagnostics.total() - before, cut);
    }
}
