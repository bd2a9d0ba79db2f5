//! Rule sets between the wire and the domain.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1 as types;
use dataflow_rules::limits::DEFAULT_PRIORITY;
use dataflow_rules::{Category, Mode, Rule, RuleSet};

use super::invalid;
use crate::Error;

// === out ===

/// A rule set as the contract has it.
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
    }
}

/// A rule as the contract has it, without what is on record about it.
pub(crate) fn rule_to_wire(rule: &Rule) -> pb::Rule {
    // The contract names the categories as the domain does.
    let category = types::Category::from_str_name(rule.category.name()).unwrap_or_default();
    pb::Rule {
        rule_id: rule.id.clone(),
        category: category.into(),
        keywords: rule.keywords.clone(),
        priority: rule.priority,
        weights: rule.weights.clone(),
        languages: rule.languages.clone(),
        disabled: rule.disabled,
        description: rule.description.clone(),
        ..pb::Rule::default()
    }
}

// === in ===

/// Reads a rule set.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a mode or a category that is missing or unknown.
pub(crate) fn from_wire(set: pb::Ruleset) -> Result<RuleSet, Error> {
    let mode = match set.mode() {
        pb::ruleset::Mode::Substring => Mode::Substring,
        pb::ruleset::Mode::Words => Mode::Words,
        pb::ruleset::Mode::Unspecified => return Err(invalid("mode", "must be given")),
    };
    let rules = set.rules.into_iter().map(rule_from_wire).collect::<Result<_, _>>()?;
    Ok(RuleSet { name: set.ruleset, mode, revision: set.revision, rules })
}

/// Reads a rule. One without a priority has [`DEFAULT_PRIORITY`].
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a category that is missing or unknown.
pub(crate) fn rule_from_wire(rule: pb::Rule) -> Result<Rule, Error> {
    let category = category(rule.category)?.ok_or_else(|| invalid("category", "must be given"))?;
    let pb::Rule { rule_id, keywords, priority, weights, languages, disabled, description, .. } = rule;
    let priority = if priority == 0 { DEFAULT_PRIORITY } else { priority };
    Ok(Rule { id: rule_id, category, keywords, priority, weights, languages, disabled, description })
}

/// The category that a request gives, if any.
///
/// # Errors
///
/// [`Error::FieldInvalid`] for a number that is no category.
pub(crate) fn category(number: i32) -> Result<Option<Category>, Error> {
    let given = types::Category::try_from(number);
    let given = given.map_err(|_| invalid("category", "is none of the categories"))?;
    Ok(given.as_str_name().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_and_the_domain_name_the_same_categories() {
        for number in 1..=7 {
            let known = category(number).unwrap().unwrap();
            assert_eq!(types::Category::from_str_name(known.name()).map(i32::from), Some(number));
        }
        assert_eq!(category(0).unwrap(), None);
        assert!(category(8).is_err());
    }
}
