//! Conversion of rule sets between wire and domain types.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1 as types;
use dataflow_rules::limits::DEFAULT_PRIORITY;
use dataflow_rules::{Category, Mode, Overlay, Rule, RuleSet};

use super::invalid;
use crate::Error;

// === out ===

/// The wire form of a rule set, without its version.
pub fn to_wire(set: &RuleSet) -> pb::Ruleset {
    let mode = match set.mode {
        Mode::Substring => pb::ruleset::Mode::Substring,
        Mode::Words => pb::ruleset::Mode::Words,
    };
    pb::Ruleset {
        ruleset: set.name.clone(),
        mode: mode.into(),
        revision: set.revision,
        rules: set.rules.iter().map(rule_to_wire).collect(),
        ..pb::Ruleset::default()
    }
}

/// The wire form of a tenant's changes.
pub(crate) fn overlay_to_wire(overlay: &Overlay) -> pb::Overlay {
    let rules = overlay.own.iter().map(rule_to_wire).collect();
    pb::Overlay { rules, removed: overlay.removed.iter().cloned().collect() }
}

/// The wire form of a rule, without its version.
pub(crate) fn rule_to_wire(rule: &Rule) -> pb::Rule {
    pb::Rule {
        rule_id: rule.id.clone(),
        category: category_to_wire(rule.category),
        keywords: rule.keywords.clone(),
        priority: rule.priority,
        weights: rule.weights.clone(),
        languages: rule.languages.clone(),
        disabled: rule.disabled,
        description: rule.description.clone(),
        ..pb::Rule::default()
    }
}

/// The number of a category: the contract and the domain use the same names.
pub(crate) fn category_to_wire(category: Category) -> i32 {
    types::Category::from_str_name(category.name()).unwrap_or_default().into()
}

// === in ===

/// Parses a rule set.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a mode or a category that is missing or unknown.
pub fn from_wire(set: pb::Ruleset) -> Result<RuleSet, Error> {
    let mode = match set.mode() {
        pb::ruleset::Mode::Substring => Mode::Substring,
        pb::ruleset::Mode::Words => Mode::Words,
        pb::ruleset::Mode::Unspecified => return Err(invalid("mode", "must be set")),
    };
    let rules = set.rules.into_iter().map(rule_from_wire).collect::<Result<_, _>>()?;
    Ok(RuleSet { name: set.ruleset, mode, revision: set.revision, rules })
}

/// Parses a tenant's changes.
///
/// # Errors
///
/// As [`rule_from_wire`].
pub(crate) fn overlay_from_wire(overlay: pb::Overlay) -> Result<Overlay, Error> {
    let own = overlay.rules.into_iter().map(rule_from_wire).collect::<Result<_, _>>()?;
    Ok(Overlay { own, removed: overlay.removed.into_iter().collect() })
}

/// Parses a rule. A priority of 0 becomes [`DEFAULT_PRIORITY`].
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a category that is missing or unknown.
pub(crate) fn rule_from_wire(rule: pb::Rule) -> Result<Rule, Error> {
    let category = category(rule.category)?.ok_or_else(|| invalid("category", "must be set"))?;
    let pb::Rule { rule_id, keywords, priority, weights, languages, disabled, description, .. } = rule;
    let priority = if priority == 0 { DEFAULT_PRIORITY } else { priority };
    Ok(Rule { id: rule_id, category, keywords, priority, weights, languages, disabled, description })
}

/// The category of a request, if any.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for an unknown number.
pub(crate) fn category(number: i32) -> Result<Option<Category>, Error> {
    let given = types::Category::try_from(number);
    let given = given.map_err(|_| invalid("category", "is not a known category"))?;
    Ok(given.as_str_name().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_and_the_domain_have_the_same_categories() {
        for number in 1..=7 {
            let known = category(number).unwrap().unwrap();
            assert_eq!(types::Category::from_str_name(known.name()).map(i32::from), Some(number));
        }
        assert_eq!(category(0).unwrap(), None);
        assert!(category(8).is_err());
    }
}
