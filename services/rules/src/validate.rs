//! Validation of rule sets. The engines validate what they rely on with the same functions, so that valid sets compile;
//! they also limit the folded keywords, which may be longer than the written ones that are counted here.

use std::collections::{BTreeSet, HashSet};

use crate::error::{RuleError, at_most, excerpt, require};
use crate::keyword::{self, Keyword};
use crate::limits::{
    MAX_DESCRIPTION, MAX_KEYWORD, MAX_KEYWORD_BYTES, MAX_KEYWORDS, MAX_LANGUAGES, MAX_NAME, MAX_POINTS,
    MAX_RULE_ID, MAX_RULES,
};
use crate::{Mode, Rule, RuleSet, language};

// === impl RuleSet ===

impl RuleSet {
    /// Validates the whole set.
    ///
    /// # Errors
    ///
    /// [`RuleError`] names the first invalid field.
    pub fn validate(&self) -> Result<(), RuleError> {
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        require(
            (1..=MAX_NAME).contains(&self.name.len()) && self.name.bytes().all(is_allowed),
            || "ruleset".to_owned(),
            || format!("must be 1 to {MAX_NAME} characters of a-z 0-9 _ -, is {:?}", self.name),
        )?;
        check_identities(&self.rules)?;
        let (mut languages, mut bytes) = (BTreeSet::new(), 0);
        for (index, rule) in self.rules.iter().enumerate() {
            let field = |name: &str| format!("rules[{index}].{name}");
            bytes += rule.validate(self.mode, field)?;
            for tag in &rule.languages {
                languages.insert(language::parse(tag, || field("languages"))?);
            }
            at_most(MAX_LANGUAGES, languages.len(), || field("languages"))?;
        }
        // Includes disabled rules: they may be enabled any time, and are transferred with the others until then.
        at_most(MAX_KEYWORD_BYTES, bytes, || "rules".to_owned())
    }
}

// === impl Rule ===

impl Rule {
    /// Validates the rule except its identifier, and returns the bytes of its keywords. `field` builds the path of one
    /// of its fields.
    ///
    /// # Errors
    ///
    /// [`RuleError`] names the first invalid field.
    pub fn validate(&self, mode: Mode, field: impl Fn(&str) -> String) -> Result<usize, RuleError> {
        check_points(self.priority, || field("priority"))?;
        require(!self.keywords.is_empty(), || field("keywords"), || "must not be empty".to_owned())?;
        let mut bytes = 0;
        for (index, keyword) in self.keywords.iter().enumerate() {
            let name = || field(&format!("keywords[{index}]"));
            match mode {
                Mode::Substring => {
                    let is_text = !keyword.trim().is_empty() && keyword.len() <= MAX_KEYWORD;
                    require(is_text, name, || keyword::problem("anything but blanks", keyword))?;
                }
                Mode::Words => drop(Keyword::parse(keyword, name)?),
            }
            bytes += keyword.len() + 1;
        }
        let words_only = |name: &str, unused: bool| {
            require(
                unused || mode == Mode::Words,
                || field(name),
                || "has no meaning in mode SUBSTRING".to_owned(),
            )
        };
        words_only("weights", self.weights.is_empty())?;
        words_only("languages", self.languages.is_empty())?;
        at_most(MAX_DESCRIPTION, self.description.len(), || field("description"))?;
        at_most(MAX_LANGUAGES, self.languages.len(), || field("languages"))?;
        for (index, tag) in self.languages.iter().enumerate() {
            language::parse(tag, || field(&format!("languages[{index}]")))?;
        }
        self.check_weights(field)?;
        Ok(bytes)
    }

    /// Validates only the weights.
    pub(crate) fn check_weights(&self, field: impl Fn(&str) -> String) -> Result<(), RuleError> {
        for (keyword, weight) in &self.weights {
            let name = || field(&format!("weights[{}]", excerpt(keyword)));
            check_points(*weight, name)?;
            require(self.keywords.contains(keyword), name, || {
                "must be one of the rule's keywords".to_owned()
            })?;
        }
        Ok(())
    }
}

/// Validates what applies to both modes: the number of rules and keywords, and unique identifiers.
pub(crate) fn check_identities(rules: &[Rule]) -> Result<(), RuleError> {
    at_most(MAX_RULES, rules.len(), || "rules".to_owned())?;
    let mut seen = HashSet::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        let field = || format!("rules[{index}].ruleId");
        let length = rule.id.len();
        require((1..=MAX_RULE_ID).contains(&length), field, || {
            format!("must be 1 to {MAX_RULE_ID} bytes, is {length}")
        })?;
        require(seen.insert(rule.id.as_str()), field, || {
            format!("must be unique within the set, {:?} is already used", rule.id)
        })?;
        at_most(MAX_KEYWORDS, rule.keywords.len(), || format!("rules[{index}].keywords"))?;
    }
    Ok(())
}

/// Validates a priority or a weight.
pub(crate) fn check_points(value: i32, field: impl FnOnce() -> String) -> Result<(), RuleError> {
    require((1..=MAX_POINTS).contains(&value), field, || format!("must be 1 to {MAX_POINTS}, is {value}"))
}

#[cfg(test)]
mod tests;
