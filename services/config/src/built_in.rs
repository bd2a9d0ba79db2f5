//! The two rule sets that every binary carries. They seed the config service, and analysis falls back on them while
//! the config service does not answer.

use crate::file;
use crate::ruleset::Ruleset;

const DEFAULT: &str = include_str!("../rules/default.yaml");
const LEGACY: &str = include_str!("../rules/legacy.yaml");

/// `default`, ours, and `legacy`, the predecessor's.
pub fn rulesets() -> [Ruleset; 2] {
    [DEFAULT, LEGACY]
        .map(|text| file::parse(text).expect("the built-in rule sets are valid: a test parses them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::Mode;

    #[test]
    fn both_sets_are_valid() {
        let [default, legacy] = rulesets();
        assert_eq!((default.name.as_str(), default.mode), ("default", Mode::Words));
        assert_eq!((legacy.name.as_str(), legacy.mode), ("legacy", Mode::Substring));
    }
}
