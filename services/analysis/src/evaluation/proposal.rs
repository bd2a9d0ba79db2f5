//! What somebody would change about a rule set, and what the set would be then. Refusals name the field of the proposal,
//! which numbers its own rules and not those of the set.

use std::collections::{HashMap, HashSet};

use crate::Error;
use crate::rules::{Compiled, Limit, Mode, Rule, RuleError, RuleSet};

/// Bounds of a priority.
const PRIORITY: std::ops::RangeInclusive<i32> = 1..=1000;

/// Longest keyword, in bytes.
const MAX_KEYWORD: usize = 256;

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

    /// Checks what the compiler does not see, since rules are put together before, or lets pass, since the predecessor's
    /// sets have it.
    fn check(&self, mode: Mode) -> Result<(), Error> {
        let limit = Limit::Rules.value();
        if self.rules.len() > limit || self.removed.len() > limit {
            let field = if self.rules.len() > limit { "rules" } else { "removed_rules" };
            return Err(invalid(field, format!("must be at most {limit}")));
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
            if mode == Mode::Substring
                && let Some((field, problem)) = unfit_for_substrings(rule)
            {
                return Err(invalid(format!("rules[{place}].{field}"), problem));
            }
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

/// The field of a rule that the config service would refuse in a set of [`Mode::Substring`], and why.
fn unfit_for_substrings(rule: &Rule) -> Option<(String, String)> {
    let unused = "has no meaning in mode SUBSTRING";
    let is_wrong = |keyword: &String| keyword.trim().is_empty() || keyword.len() > MAX_KEYWORD;
    let (field, problem) = if !PRIORITY.contains(&rule.priority) {
        ("priority".to_owned(), format!("must be 1 to 1000, is {}", rule.priority))
    } else if rule.keywords.is_empty() {
        ("keywords".to_owned(), "must not be empty".to_owned())
    } else if let Some(wrong) = rule.keywords.iter().position(is_wrong) {
        let problem = format!("must be anything but blanks, in at most {MAX_KEYWORD} bytes");
        (format!("keywords[{wrong}]"), problem)
    } else if !rule.weights.is_empty() {
        ("weights".to_owned(), unused.to_owned())
    } else if !rule.languages.is_empty() {
        ("languages".to_owned(), unused.to_owned())
    } else {
        return None;
    };
    Some((field, problem))
}

/// What the compiler said, of the rule as the caller numbers it.
fn refusal(error: &RuleError, set: &RuleSet, places: &[Option<usize>]) -> Error {
    let (field, message) = (error.field(), error.to_string());
    // Every message begins with the field.
    let problem = message.strip_prefix(field).unwrap_or(&message).trim_start().to_owned();
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
