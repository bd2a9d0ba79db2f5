//! A proposed change of a rule set, and the resulting set. Errors name the field of the proposal, whose rules are
//! numbered independently of the set.

use std::collections::{HashMap, HashSet};

use dataflow_rules::limits::MAX_RULES;
use dataflow_rules::{Compiled, Mode, Rule, RuleError, RuleSet};

use crate::Error;

/// A proposed change that has not been made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Each replaces the rule of the set with the same identifier, or is appended.
    pub rules: Vec<Rule>,
    /// Rules of the set to remove, by identifier.
    pub removed: Vec<String>,
    /// Whether `rules` replace all rules of the set.
    pub replace: bool,
    /// The meaning of keywords; that of the set if absent.
    pub mode: Option<Mode>,
}

// === impl Proposal ===

impl Proposal {
    /// Applies the proposal to `base`, and compiles the result.
    ///
    /// # Errors
    ///
    /// [`Error::FieldInvalid`] names the invalid field of the proposal.
    pub fn compile(self, base: RuleSet) -> Result<Compiled, Error> {
        let mode = self.mode.unwrap_or(base.mode);
        self.check(mode)?;
        let kept = if self.replace { Vec::new() } else { without(base.rules, &self.removed)? };
        // The position of each rule in the proposal; `None` for rules of the set.
        let mut proposal_positions = vec![None; kept.len()];
        let mut rules = kept;
        let known: HashMap<String, usize> =
            rules.iter().enumerate().map(|(index, rule)| (rule.id.clone(), index)).collect();
        for (position, rule) in self.rules.into_iter().enumerate() {
            match known.get(&rule.id) {
                Some(&index) => (rules[index], proposal_positions[index]) = (rule, Some(position)),
                None => {
                    rules.push(rule);
                    proposal_positions.push(Some(position));
                }
            }
        }
        let set = RuleSet { mode, rules, ..base };
        Compiled::new(&set).map_err(|error| compile_error(&error, &set, &proposal_positions))
    }

    /// Validates the proposed rules as the config service would, which the compiler does not: in mode SUBSTRING it
    /// accepts more, because the predecessor's sets need it.
    fn check(&self, mode: Mode) -> Result<(), Error> {
        let lists = [("rules", self.rules.len()), ("removed_rules", self.removed.len())];
        if let Some((field, _)) = lists.into_iter().find(|(_, count)| *count > MAX_RULES) {
            return Err(invalid(field, format!("must be at most {MAX_RULES}")));
        }
        if self.replace && !self.removed.is_empty() {
            return Err(invalid("removed_rules", "must be empty if `replace` is set"));
        }
        let mut seen = HashSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            if !seen.insert(rule.id.as_str()) {
                let problem = format!("must be unique, {:?} is already proposed", rule.id);
                return Err(invalid(format!("rules[{index}].ruleId"), problem));
            }
            let field = |name: &str| format!("rules[{index}].{name}");
            rule.validate(mode, field).map_err(|RuleError { field, problem }| invalid(field, problem))?;
        }
        Ok(())
    }
}

/// The rules except those with these identifiers.
fn without(mut rules: Vec<Rule>, removed: &[String]) -> Result<Vec<Rule>, Error> {
    let ids: HashSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    if let Some(index) = removed.iter().position(|id| !ids.contains(id.as_str())) {
        let problem = format!("must be a rule of the set, {:?} is none", removed[index]);
        return Err(invalid(format!("removed_rules[{index}]"), problem));
    }
    let removed: HashSet<&str> = removed.iter().map(String::as_str).collect();
    rules.retain(|rule| !removed.contains(rule.id.as_str()));
    Ok(rules)
}

/// Maps the compiler's error to the position of the rule in the proposal.
fn compile_error(error: &RuleError, set: &RuleSet, proposal_positions: &[Option<usize>]) -> Error {
    let RuleError { field, problem } = error;
    let part = field.strip_prefix("rules[").and_then(|rest| rest.split_once(']'));
    let part = part.and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest)));
    match part.and_then(|(index, rest)| Some((set.rules.get(index)?, *proposal_positions.get(index)?, rest)))
    {
        Some((_, Some(position), rest)) => invalid(format!("rules[{position}]{rest}"), problem),
        Some((own, None, rest)) => {
            let part = rest.trim_start_matches('.');
            let id = &own.id;
            invalid(
                "rules",
                format!("must be compatible with rule {id:?} of the set, whose {part} {problem}"),
            )
        }
        None => invalid(field, problem),
    }
}

fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Error {
    Error::FieldInvalid { field: field.into(), problem: problem.into() }
}

#[cfg(test)]
mod tests;
