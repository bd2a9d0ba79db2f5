//! The rule sets in every release: `default`, and `legacy` with the predecessor's rules. They are data, in `sets/`.

use crate::{RuleSet, file};

const DEFAULT: &str = include_str!("../sets/default.yaml");
const LEGACY: &str = include_str!("../sets/legacy.yaml");

/// `default` and `legacy`, in this order.
///
/// # Panics
///
/// Never: a test parses both.
pub fn rulesets() -> [RuleSet; 2] {
    [DEFAULT, LEGACY]
        .map(|text| file::parse(text).expect("the built-in rule sets are valid: a test parses them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compiled, Mode};

    #[test]
    fn both_sets_are_valid_and_compile() {
        let [default, legacy] = rulesets();
        assert_eq!((default.name.as_str(), default.mode), ("default", Mode::Words));
        assert_eq!((legacy.name.as_str(), legacy.mode), ("legacy", Mode::Substring));
        for set in [default, legacy] {
            Compiled::new(&set).unwrap_or_else(|error| panic!("{}: {error}", set.name));
        }
    }
}
