//! The rule sets in every release: `default`, and `legacy` with the predecessor's rules. They are data, in `sets/`.

use crate::RuleSet;

const DEFAULT: &str = include_str!(concat!(env!("OUT_DIR"), "/default.json"));
const LEGACY: &str = include_str!(concat!(env!("OUT_DIR"), "/legacy.json"));

/// `default` and `legacy`, in this order.
///
/// # Panics
///
/// Never: a test reads both.
pub fn rulesets() -> [RuleSet; 2] {
    [DEFAULT, LEGACY]
        .map(|json| serde_json::from_str(json).expect("the built-in rule sets are valid: a test reads them"))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::{Category, Compiled, Mode, Scratch, Subject, file};

    #[test]
    fn both_sets_are_those_of_their_files() {
        let files = [include_str!("../sets/default.yaml"), include_str!("../sets/legacy.yaml")];
        for (set, yaml) in rulesets().into_iter().zip(files) {
            assert!(set == file::parse(yaml).unwrap(), "{} differs from its file", set.name);
        }
    }

    #[test]
    fn both_sets_compile() {
        let [default, legacy] = rulesets();
        assert_eq!((default.name.as_str(), default.mode), ("default", Mode::Words));
        assert_eq!((legacy.name.as_str(), legacy.mode), ("legacy", Mode::Substring));
        for set in [default, legacy] {
            Compiled::new(&set).unwrap_or_else(|error| panic!("{}: {error}", set.name));
        }
    }

    /// Compiled once: that takes a second without optimization.
    static DEFAULT_SET: LazyLock<Compiled> = LazyLock::new(|| Compiled::new(&rulesets()[0]).unwrap());

    /// The category of `default` for (id, agency, language, name, description).
    #[track_caller]
    fn check(id: &str, agency: &str, [language, name, description]: [&str; 3], expected: Option<Category>) {
        let text = |text: &str| [(language.to_owned(), text.to_owned())];
        let (names, descriptions) = (text(name), text(description));
        let subject = Subject { id, agency, names: &names, descriptions: &descriptions, legacy: None };
        let verdict = DEFAULT_SET.categorize(&subject, &mut Scratch::default());
        let found = (!verdict.evidence.is_empty()).then_some(verdict.category);
        assert_eq!(found, expected, "{name}: {:?}", verdict.evidence);
    }

    #[test]
    fn names_outweigh_what_descriptions_mention() {
        let check = |name, description, expected| check("X", "XX", ["en", name, description], Some(expected));
        check(
            "Hourly earnings of employees",
            "Converted into a common currency by exchange rates or purchasing power parities.",
            Category::Labour,
        );
        check(
            "Employment by education",
            "By the highest level of education completed, in the classes of ISCED.",
            Category::Labour,
        );
        check(
            "Table 7",
            "<p class=\"employment\">See <a href='/migration'>hospitals</a>.</p>",
            Category::Health,
        );
    }

    #[test]
    fn the_codes_of_an_agency_say_nothing_in_ids_of_others() {
        let check = |id, agency, name, expected| check(id, agency, ["en", name, ""], expected);
        check("ext_lt_maineu", "ESTAT", "Table 1", Some(Category::Economy));
        check("DF_EXT", "XX", "Live births", Some(Category::Population));
        check("DF_CLIM_PROJ", "XX", "Table 1", None);
        check("DF_SEX_EDU", "XX", "Table 1", None);
    }

    #[test]
    fn words_that_mislead_are_no_keywords() {
        let check = |language, name, expected| check("X", "XX", [language, name, ""], expected);
        check("en", "New issues, inactive", None);
        check("en", "Inactive persons", Some(Category::Labour));
        check("fr", "Montants versés", None);
        check("fr", "Au cours des mois", None);
        check("en", "Cities and metropolitan areas", None);
        check("en", "Geography", None);
        check("de", "Zahlen für Berlin", None);
    }
}
