//! Rule sets as YAML files (JSON is a subset): the form in which people write and review them.

use crate::RuleSet;
use crate::limits::MAX_KEYWORD_BYTES;

/// Why a file is not a rule set, or not a mapping of themes.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not YAML, or has not the structure of a rule set.
    // Not `#[source]` too, or code that prints the chain would print it twice; without the snippet, to stay on one
    // line.
    #[error("not a rule set: {}", .0.without_snippet())]
    Shape(Box<serde_saphyr::Error>),
    /// It is not YAML, or has not the structure of a mapping of themes.
    #[error("not a mapping of themes: {}", .0.without_snippet())]
    ShapeOfThemes(Box<serde_saphyr::Error>),
    /// It has that structure, but a value is invalid.
    #[error(transparent)]
    Invalid(#[from] crate::RuleError),
}

/// Parses and validates one rule set.
///
/// # Errors
///
/// [`FileError`] with the line and column, or the invalid field.
pub fn parse(text: &str) -> Result<RuleSet, FileError> {
    // Enough for the largest valid set: each byte of its keywords may be a keyword with a weight.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: 8 * MAX_KEYWORD_BYTES, max_events: 16 * MAX_KEYWORD_BYTES },
    };
    let parsed = serde_saphyr::from_str_with_options(text, options);
    let ruleset: RuleSet = parsed.map_err(|error| FileError::Shape(Box::new(error)))?;
    ruleset.validate()?;
    Ok(ruleset)
}

/// The YAML file of a rule set, without its revision. [`parse`] returns the same rule set.
///
/// # Panics
///
/// Never: a rule set has only types that YAML can express.
pub fn to_yaml(ruleset: &RuleSet) -> String {
    serde_saphyr::to_string(ruleset).expect("a rule set can be expressed in YAML")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DEFAULT_PRIORITY;
    use crate::{Category, Mode, Rule};
    use proptest::prelude::*;

    #[test]
    fn yaml_and_json_read_alike_and_defaults_are_filled_in() {
        let yaml = "ruleset: mine\nmode: WORDS\nrules:\n  - ruleId: a\n    category: HEALTH\n    keywords: [health]\n";
        let json = r#"{"ruleset": "mine", "mode": "WORDS",
                       "rules": [{"ruleId": "a", "category": "HEALTH", "keywords": ["health"]}]}"#;
        let set = parse(yaml).unwrap();
        assert_eq!(set, parse(json).unwrap());
        assert_eq!((set.mode, set.revision), (Mode::Words, 1));
        assert_eq!((set.rules[0].category, set.rules[0].priority), (Category::Health, DEFAULT_PRIORITY));
    }

    #[test]
    fn the_largest_set_is_read_back() {
        let rule = |index: usize| Rule {
            id: format!("r{index}"),
            category: Category::Health,
            keywords: (0..1000).map(|keyword| format!("{:02x}", keyword % 256)).collect(),
            priority: 7,
            weights: (0..256).map(|keyword| (format!("{keyword:02x}"), 2)).collect(),
            languages: Vec::new(),
            disabled: false,
            description: String::new(),
        };
        let rules = (0..200).map(rule).collect();
        let set = RuleSet { name: "large".to_owned(), mode: Mode::Words, revision: 1, rules };
        assert_eq!(parse(&to_yaml(&set)).unwrap(), set);
    }

    proptest! {
        #[test]
        fn every_text_is_read_back(texts in proptest::collection::vec(".*", 3)) {
            let [description, keyword, language] = &texts[..] else { unreachable!("three texts") };
            let rule = Rule {
                id: "r: #1".to_owned(),
                category: Category::Health,
                keywords: vec![keyword.clone(), "- yes".to_owned(), "null".to_owned(), " x ".to_owned()],
                priority: DEFAULT_PRIORITY,
                weights: [(keyword.clone(), 2)].into(),
                languages: vec![language.clone()],
                disabled: true,
                description: description.clone(),
            };
            let set = RuleSet { name: "s".to_owned(), mode: Mode::Words, revision: 1, rules: vec![rule] };
            // Only the form of the file is of interest here: not all of these are valid.
            let read: RuleSet = serde_saphyr::from_str(&to_yaml(&set)).unwrap();
            prop_assert_eq!(read, set);
        }
    }

    #[test]
    fn errors_name_the_field() {
        let check = |text: &str, expected: &str| {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message:?} should name {expected:?}");
        };
        check("ruleset: mine\nmode: WORDS\n", "rules");
        check("ruleset: mine\nmode: FUZZY\nrules: []\n", "FUZZY");
        check("ruleset: mine\nmode: WORDS\nrules: []\nextra: 1\n", "extra");
        check("ruleset: UPPER\nmode: WORDS\nrules: []\n", "ruleset");
        check("[", "not a rule set");
    }
}
