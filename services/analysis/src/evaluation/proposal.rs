//! What somebody would change about a rule set, and what the set would be then. Refusals name the field of the proposal,
//! which numbers its own rules and not those of the set.

use std::collections::{HashMap, HashSet};

use dataflow_rules::limits::MAX_RULES;
use dataflow_rules::{Compiled, Mode, Rule, RuleError, RuleSet};

use crate::Error;

/// A change that nobody has made yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Each takes the place of the set's rule of its identifier, or follows the last one.
    pub rules: Vec<Rule>,
    /// Rules of the set to leave out, by identifier.
    pub removed: Vec<String>,
    /// Whether `rules` are all there are.
    pub replace: bool,
    /// What keywords mean; as in the set where it is not said.
    pub mode: Option<Mode>,
}

// === impl Proposal ===

impl Proposal {
    /// The rules of `base` as they would be, compiled.
    ///
    /// # Errors
    ///
    /// [`Error::FieldInvalid`] names the field of the proposal that is wrong.
    pub fn compile(self, base: RuleSet) -> Result<Compiled, Error> {
        let mode = self.mode.unwrap_or(base.mode);
        self.check(mode)?;
        let kept = if self.replace { Vec::new() } else { without(base.rules, &self.removed)? };
        // Where each rule stands in the proposal, unless it is the set's own.
        let mut places = vec![None; kept.len()];
        let mut rules = kept;
        let known: HashMap<String, usize> =
            rules.iter().enumerate().map(|(index, rule)| (rule.id.clone(), index)).collect();
        for (place, rule) in self.rules.into_iter().enumerate() {
            match known.get(&rule.id) {
                Some(&index) => (rules[index], places[index]) = (rule, Some(place)),
                None => {
                    rules.push(rule);
                    places.push(Some(place));
                }
            }
        }
        let set = RuleSet { mode, rules, ..base };
        Compiled::new(&set).map_err(|error| refusal(&error, &set, &places))
    }

    /// Checks the proposed rules as the config service would, which the compiler does not: in mode SUBSTRING it takes more,
    /// since the predecessor's sets have it.
    fn check(&self, mode: Mode) -> Result<(), Error> {
        let lists = [("rules", self.rules.len()), ("removed_rules", self.removed.len())];
        if let Some((field, _)) = lists.into_iter().find(|(_, count)| *count > MAX_RULES) {
            return Err(invalid(field, format!("must be at most {MAX_RULES}")));
        }
        if self.replace && !self.removed.is_empty() {
            return Err(invalid("removed_rules", "must be empty where all rules are replaced"));
        }
        let mut seen = HashSet::new();
        for (place, rule) in self.rules.iter().enumerate() {
            if !seen.insert(rule.id.as_str()) {
                let problem = format!("must be unique, {:?} is proposed already", rule.id);
                return Err(invalid(format!("rules[{place}].ruleId"), problem));
            }
            let field = |name: &str| format!("rules[{place}].{name}");
            rule.validate(mode, field).map_err(|RuleError { field, problem }| invalid(field, problem))?;
        }
        Ok(())
    }
}

/// The rules but for those of these identifiers.
fn without(mut rules: Vec<Rule>, removed: &[String]) -> Result<Vec<Rule>, Error> {
    let ids: HashSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    if let Some(place) = removed.iter().position(|id| !ids.contains(id.as_str())) {
        let problem = format!("must be a rule of the set, {:?} is none", removed[place]);
        return Err(invalid(format!("removed_rules[{place}]"), problem));
    }
    let removed: HashSet<&str> = removed.iter().map(String::as_str).collect();
    rules.retain(|rule| !removed.contains(rule.id.as_str()));
    Ok(rules)
}

/// What the compiler said, of the rule as the caller numbers it.
fn refusal(error: &RuleError, set: &RuleSet, places: &[Option<usize>]) -> Error {
    let RuleError { field, problem } = error;
    let part = field.strip_prefix("rules[").and_then(|rest| rest.split_once(']'));
    let part = part.and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest)));
    match part.and_then(|(index, rest)| Some((set.rules.get(index)?, *places.get(index)?, rest))) {
        Some((_, Some(place), rest)) => invalid(format!("rules[{place}]{rest}"), problem),
        Some((own, None, rest)) => {
            let part = rest.trim_start_matches('.');
            let id = &own.id;
            invalid("rules", format!("must go with the set's own rule {id:?}, whose {part} {problem}"))
        }
        None => invalid(field, problem),
    }
}

fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Error {
    Error::FieldInvalid { field: field.into(), problem: problem.into() }
}

#[cfg(test)]
mod tests;
