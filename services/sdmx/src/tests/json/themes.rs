//! Category schemes and categorisations in SDMX-JSON.

use crate::tests::themes::{check, structures};

const FLOW: &str = "urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=A:F(1.0)";
const Y: &str = "A:F(1.0) A:S(2.0)/X/Y";

fn scheme(categories: &str) -> String {
    format!(
        "\"categorySchemes\":[{{\"id\":\"S\",\"agencyID\":\"A\",\"version\":\"2.0\",\"categories\":{categories}}}]"
    )
}

fn nested() -> String {
    scheme(r#"[{"id":"X","names":{"en":"Ex","it":"Ics"},"categories":[{"id":"Y","name":"Why"}]},{"id":"Z"}]"#)
}

fn category(path: &str) -> String {
    format!("urn:sdmx:org.sdmx.infomodel.categoryscheme.Category=A:S(2.0).{path}")
}

fn links(source: &str, target: &str, members: &str) -> String {
    format!("\"categorisations\":[{{\"id\":\"c\",\"source\":\"{source}\",\"target\":\"{target}\"{members}}}]")
}

fn message(lists: &[&str]) -> String {
    format!("{{\"meta\":{{\"prepared\":\"2026-01-01\"}},\"data\":{{{}}}}}", lists.join(","))
}

#[test]
fn links_lead_to_categories_in_any_order_and_document() {
    let (scheme, link) = (nested(), links(FLOW, &category("X.Y"), ""));
    check(&[&message(&[&scheme, &link])], &[Y], &[]);
    check(&[&message(&[&link, &scheme])], &[Y], &[]);
    check(&[&message(&[&link]), &message(&[&scheme])], &[Y], &[]);
    check(
        &[&message(&[&scheme]), &message(&["\"dataflows\":[]"]), &message(&[&link])],
        &[Y],
        &["DOCUMENT_UNUSED"],
    );
    // With documents in SDMX-ML.
    let xml = structures(
        "3_0",
        &format!(
            "<s:Categorisations><s:Categorisation id='c'><s:Source>{FLOW}</s:Source><s:Target>{}</s:Target>\
             </s:Categorisation></s:Categorisations>",
            category("X.Y")
        ),
    );
    check(&[&message(&[&scheme]), &xml], &[Y], &[]);
    check(&[&xml, &message(&[&scheme])], &[Y], &[]);
}

#[test]
fn identities_may_follow_the_content() {
    let inside = r#"{"categories":[{"names":{"en":"Why"},"id":"Y"}],"names":{"en":"Ex"},"id":"X"}"#;
    let scheme = format!(
        "\"categorySchemes\":[{{\"categories\":[{inside}],\"version\":\"2.0\",\"agencyID\":\"A\",\"id\":\"S\"}}]"
    );
    check(&[&message(&[&scheme, &links(FLOW, &category("X.Y"), "")])], &[Y], &[]);
    let urn = "urn:sdmx:org.sdmx.infomodel.categoryscheme.CategoryScheme=A:S(2.0)";
    let linked = format!("\"links\":[{{\"rel\":\"self\",\"urn\":\"{urn}\"}}]");
    let of_urn = nested().replace("\"id\":\"S\",\"agencyID\":\"A\",\"version\":\"2.0\"", &linked);
    check(&[&message(&[&of_urn, &links(FLOW, &category("X.Y"), "")])], &[Y], &[]);
}

#[test]
fn drafts_have_themes_too() {
    let urn = |class: &str| format!("urn:sdmx:org.sdmx.infomodel.categoryscheme.{class}");
    let scheme = format!(
        "{{\"urn\":\"{}\",\"items\":[{{\"id\":\"X\",\"items\":[{{\"id\":\"Y\"}}]}}]}}",
        urn("CategoryScheme=A:S(2.0)")
    );
    let link = format!("{{\"source\":\"{FLOW}\",\"target\":\"{}\"}}", category("X.Y"));
    let references = format!("{{\"{}\":{link}}}", urn("Categorisation=A:c(1.0)"));
    check(&[&format!("{{\"resources\":[{scheme}],\"references\":{references}}}")], &[Y], &[]);
}

#[test]
fn one_irregular_category_loses_nothing_else() {
    let check = |other: &str, reasons: &[&str]| {
        let categories = format!("[{other},{{\"id\":\"X\",\"categories\":[{{\"id\":\"Y\"}}]}}]");
        let document = message(&[&scheme(&categories), &links(FLOW, &category("X.Y"), "")]);
        check(&[&document], &[Y], reasons);
    };
    check("{\"id\":\"W\"}", &[]);
    check("5", &["INVALID_CATEGORY"]);
    check("{\"id\":\"W\",\"categories\":[null]}", &["INVALID_CATEGORY"]);
    // The categories inside one that is dropped are dropped too.
    check("{\"categories\":[{\"id\":\"X\",\"parent\":\"X\"}],\"name\":\"n\"}", &["INVALID_CATEGORY"]);
    check(&format!("{{\"id\":\"{}\"}}", "q".repeat(256)), &[]);
    check(&format!("{{\"id\":\"{}\"}}", "q".repeat(257)), &["INVALID_CATEGORY"]);
    check("{\"id\":\"W\",\"id\":\"V\"}", &["INVALID_MEMBER"]);
    check("{\"categories\":[{\"id\":\"W\"}],\"id\":\"W\"}", &["CATEGORY_CYCLE"]);
    check("{\"id\":\"V\",\"parent\":\"W\"},{\"id\":\"W\",\"parent\":\"V\"}", &["CATEGORY_CYCLE"]);
}

#[test]
fn a_category_may_state_its_parent() {
    let flat = |parent: &str| scheme(&format!("[{{\"parent\":\"{parent}\",\"id\":\"Y\"}},{{\"id\":\"X\"}}]"));
    for parent in ["X", &category("X")] {
        check(&[&message(&[&flat(parent), &links(FLOW, &category("X.Y"), "")])], &[Y], &[]);
    }
}

#[test]
fn links_end_whether_the_time_of_the_message_precedes_them_or_follows() {
    let check = |members: &str, ended: &str, reasons: &[&str]| {
        let data = format!("\"data\":{{{},{}}}", nested(), links(FLOW, &category("X.Y"), members));
        let meta = "\"meta\":{\"prepared\":\"2026-01-01\"}";
        for document in [format!("{{{meta},{data}}}"), format!("{{{data},{meta}}}")] {
            check(&[&document], &[&format!("{Y}{ended}")], reasons);
        }
    };
    check("", "", &[]);
    check(",\"validTo\":\"2026-01-01\"", " ended", &["DEPRECATED_CATEGORISATION"]);
    check(",\"validTo\":\"2026-01-02\"", "", &[]);
    check(",\"validTo\":\"31/02/2024\"", "", &["INVALID_CATEGORISATION"]);
}

#[test]
fn links_without_valid_ends_are_skipped() {
    let check = |source: &str, target: &str, reasons: &[&str]| {
        check(&[&message(&[&nested(), &links(source, target, "")])], &[], reasons);
    };
    check("F", &category("X"), &["INVALID_CATEGORISATION"]);
    check(FLOW, "X.Y", &["INVALID_CATEGORISATION"]);
    check(FLOW, &category("Q"), &["CATEGORISATION_WITHOUT_CATEGORY"]);
    // Other artefacts have themes too.
    check("urn:sdmx:org.sdmx.infomodel.codelist.Codelist=A:C(1.0)", &category("X"), &[]);
}
