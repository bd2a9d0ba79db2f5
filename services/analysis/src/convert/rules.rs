//! Conversion of rule sets between the wire and the domain.

use dataflow_proto::config::v1 as config;
use dataflow_proto::r#type::v1 as types;
use dataflow_rules::{Category, Mode, Overlay, Rule, RuleSet};

use crate::Error;

/// Converts a rule set that the config service pushes.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a mode or a category that this release does not know.
pub(crate) fn ruleset(set: config::Ruleset) -> Result<RuleSet, Error> {
    let mode = match set.mode() {
        config::ruleset::Mode::Substring => Mode::Substring,
        config::ruleset::Mode::Words => Mode::Words,
        config::ruleset::Mode::Unspecified => return Err(unknown("mode".to_owned())),
    };
    let rules = set.rules.into_iter().enumerate().map(|(index, given)| rule(index, given));
    Ok(RuleSet { name: set.ruleset, revision: set.revision, mode, rules: rules.collect::<Result<_, _>>()? })
}

/// Converts the changes of a tenant that the config service sends.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a category that this release does not know.
pub(crate) fn overlay(overlay: config::Overlay) -> Result<Overlay, Error> {
    let rules = overlay.rules.into_iter().enumerate().map(|(index, given)| rule(index, given));
    Ok(Overlay { own: rules.collect::<Result<_, _>>()?, removed: overlay.removed.into_iter().collect() })
}

/// Converts a rule; errors name it by its index in the list.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a category that this release does not know.
pub(crate) fn rule(index: usize, rule: config::Rule) -> Result<Rule, Error> {
    // The contract and the domain use the same names for categories.
    let category = rule.category().as_str_name().parse();
    let category = category.map_err(|_| unknown(format!("rules[{index}].category")))?;
    let config::Rule { rule_id, keywords, priority, weights, languages, disabled, description, .. } = rule;
    Ok(Rule { id: rule_id, category, keywords, priority, weights, languages, disabled, description })
}

/// The category in its wire form.
pub(crate) fn category_to_wire(category: Category) -> types::Category {
    types::Category::from_str_name(category.name()).unwrap_or_default()
}

fn unknown(field: String) -> Error {
    Error::FieldInvalid { field, problem: "is unknown to this release".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_has_every_category() {
        for category in Category::ALL {
            assert_eq!(category_to_wire(category).as_str_name(), category.name());
        }
    }
}
