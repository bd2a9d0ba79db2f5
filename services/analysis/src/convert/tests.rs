//! The two ways in: a dataflow of a catalogue and the same dataflow in a request have the same result.

use dataflow_rules::{Category, Compiled, Mode, Rule, RuleSet, Subject};
use dataflow_sdmx::Limits;

use super::*;
use crate::catalogue;
use crate::categorizer::Categorizer;
use dataflow_uploads::budget::Budget;

/// One rule for German texts, and one for Italian ones.
fn rules() -> Compiled {
    let rule = |id: &str, category, keyword: &str, language: &str| Rule {
        id: id.to_owned(),
        category,
        keywords: vec![keyword.to_owned()],
        weights: [].into(),
        priority: 5,
        languages: vec![language.to_owned()],
        disabled: false,
        description: String::new(),
    };
    let rules =
        vec![rule("de", Category::Economy, "*preis*", "de"), rule("it", Category::Labour, "occupati", "ita")];
    Compiled::new(&RuleSet { name: "test".to_owned(), revision: 1, mode: Mode::Words, rules }).unwrap()
}

/// The result for the only dataflow of a catalogue, which has this content.
fn of_catalogue(content: &str, rules: &Compiled) -> pb::Dataflow {
    let document = format!("<Dataflows><Dataflow id='a' agencyID='A'>{content}</Dataflow></Dataflows>");
    let analyzed =
        catalogue::analyze(document.as_bytes(), rules, Limits::default(), &mut Budget::unlimited()).unwrap();
    analyzed.dataflows.into_iter().next().unwrap().into()
}

/// The result for a dataflow in a request.
fn of_request(dataflow: pb::Dataflow, rules: &Compiled) -> Result<Filing, Error> {
    let InputDataflow { id, agency, names, descriptions } = Some(dataflow).try_into()?;
    let subject =
        Subject { id: &id, agency: &agency, names: &names, descriptions: &descriptions, legacy: None };
    Ok(Categorizer::new(rules).file(&subject).0)
}

#[test]
fn a_tag_means_the_same_in_a_catalogue_and_in_a_request() {
    let rules = rules();
    let german = Some(Category::Economy);
    for (tag, expected) in [
        ("", german),
        ("und", german),
        ("UND", german),
        ("mul", german),
        ("zxx", german),
        ("x-default", german),
        ("de", german),
        ("DE", german),
        ("de-AT", german),
        ("de_AT", german),
        ("deu", german),
        ("ger", german),
        ("en", None),
        ("ita", None),
        ("tlh", None),
    ] {
        let content = format!(
            "<Name xml:lang='{tag}'>Verbraucherpreisindex</Name><Description xml:lang='{tag}'>Preise</Description>"
        );
        let listed = of_catalogue(&content, &rules);
        let filing = of_request(listed.clone(), &rules).unwrap();
        assert_eq!((!filing.evidence.is_empty()).then_some(filing.category), expected, "{tag:?}");
        let evidence: Vec<pb::Evidence> = filing.evidence.into_iter().map(Into::into).collect();
        assert_eq!(
            (listed.score, listed.confidence, listed.evidence),
            (filing.score, filing.confidence, evidence),
            "{tag:?}"
        );
        assert_eq!(listed.category, i32::from(rules::category_to_wire(filing.category)), "{tag:?}");
    }
    let italian = of_catalogue("<Name xml:lang='it'>Occupati</Name>", &rules);
    assert_eq!(italian.score, 5, "a rule of a language of three letters");
}

#[test]
fn the_rules_see_the_texts_of_the_result() {
    let rules = rules();
    let listed = of_catalogue("<Name>Tabelle 7</Name><Name>Preise</Name>", &rules);
    assert_eq!(listed.names, [("und".to_owned(), "Tabelle 7".to_owned())].into());
    assert_eq!(listed.score, 0, "a name that the result lacks");
}

#[test]
fn a_request_has_one_text_in_each_language() {
    let rules = rules();
    let check = |languages: [&str; 2], problem: Option<&str>| {
        let names = languages.map(|language| (language.to_owned(), "Preise".to_owned())).into();
        let given = pb::Dataflow { id: "a".to_owned(), names, ..pb::Dataflow::default() };
        let found = match of_request(given, &rules) {
            Ok(_) => None,
            Err(Error::FieldInvalid { field, problem }) => Some(format!("{field} {problem}")),
            Err(other) => panic!("{other}"),
        };
        let expected = problem
            .map(|tag| format!("dataflow.names must have one text in each language, has several in {tag:?}"));
        assert_eq!(found, expected, "{languages:?}");
    };
    check(["de", "en"], None);
    check(["de", "de-AT"], None);
    check(["DE", "de"], Some("de"));
    check(["", "und"], Some("und"));
}
