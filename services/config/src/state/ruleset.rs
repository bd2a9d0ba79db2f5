//! A rule set that all tenants share, with its past.

use std::sync::Arc;

use dataflow_rules::{Rule, RuleSet};

use super::history::{History, ResourceVersion};
use super::rule_not_found;
use crate::Error;
use crate::change::ChangeRecord;
use crate::difference::{Difference, differences};

/// A rule set with its revisions and the versions of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedRuleset {
    /// The set at its latest revision.
    pub set: Arc<RuleSet>,
    /// Its past.
    pub history: History,
}

// === impl VersionedRuleset ===

impl VersionedRuleset {
    /// A set that a release seeds, at its first revision.
    pub(super) fn seeded(set: RuleSet, position: u64, recorded: &ChangeRecord) -> Self {
        let found = differences(&[], &set.rules);
        let mut ruleset = Self { set: Arc::new(set), history: History::default() };
        ruleset.record(found, position, recorded);
        ruleset
    }

    pub(super) fn put(&mut self, rule: &Rule, position: u64, recorded: &ChangeRecord) {
        let found = put(&mut Arc::make_mut(&mut self.set).rules, rule);
        self.record(found, position, recorded);
    }

    pub(super) fn remove(
        &mut self,
        rule_id: &str,
        position: u64,
        recorded: &ChangeRecord,
    ) -> Result<(), Error> {
        let index = self.set.rules.iter().position(|known| known.id == rule_id);
        let index = index.ok_or_else(|| rule_not_found(&self.set.name, rule_id))?;
        let removed = Arc::make_mut(&mut self.set).rules.remove(index);
        self.record(differences(&[removed], &[]), position, recorded);
        Ok(())
    }

    pub(super) fn replace(&mut self, rules: &[Rule], position: u64, recorded: &ChangeRecord) {
        let present = &mut Arc::make_mut(&mut self.set).rules;
        let found = differences(present, rules);
        rules.clone_into(present);
        self.record(found, position, recorded);
    }

    fn record(&mut self, differences: Vec<Difference>, position: u64, recorded: &ChangeRecord) {
        self.history.record(differences, position, recorded);
        Arc::make_mut(&mut self.set).revision = self.history.latest();
    }

    /// One rule and its version.
    pub fn rule(&self, rule_id: &str) -> Option<(&Rule, ResourceVersion)> {
        let rule = self.set.rules.iter().find(|rule| rule.id == rule_id)?;
        Some((rule, *self.history.rule_versions.get(rule_id)?))
    }
}

/// Replaces the rule with the same identifier, or appends this one; returns the difference.
pub(super) fn put(rules: &mut Vec<Rule>, rule: &Rule) -> Vec<Difference> {
    let after = std::slice::from_ref(rule);
    match rules.iter_mut().find(|known| known.id == rule.id) {
        Some(known) => {
            let found = differences(std::slice::from_ref(known), after);
            known.clone_from(rule);
            found
        }
        None => {
            rules.push(rule.clone());
            differences(&[], after)
        }
    }
}
