//! The changes of one tenant to a shared rule set.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{Rule, RuleSet};

/// Rules of a tenant's own, and shared rules that it has removed. A rule of its own replaces the shared rule with the
/// same identifier, also one that is shared later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overlay {
    /// The tenant's own rules.
    pub rules: Vec<Rule>,
    /// The identifiers of the shared rules that it has removed; none of them is that of an own rule.
    pub removed: BTreeSet<String>,
}

/// What a short text takes beside its bytes: its header, and the least that is allocated.
const BYTES_PER_TEXT: usize = 48;

// === impl Overlay ===

impl Overlay {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.removed.is_empty()
    }

    /// The rules that the tenant has, each with whether it is its own: the shared ones in their order, with the
    /// replaced ones in place of theirs, then those that it adds.
    pub fn over<'a>(&'a self, shared: &'a [Rule]) -> impl Iterator<Item = (&'a Rule, bool)> {
        let own: HashMap<_, _> = self.rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
        let known: HashSet<_> = shared.iter().map(|rule| rule.id.as_str()).collect();
        let present = shared.iter().filter(|rule| !self.removed.contains(&rule.id));
        let present =
            present.map(move |rule| own.get(rule.id.as_str()).map_or((rule, false), |own| (*own, true)));
        let added = self.rules.iter().filter(move |rule| !known.contains(rule.id.as_str()));
        present.chain(added.map(|rule| (rule, true)))
    }

    /// The set that the tenant has, at the revision of the shared one.
    #[must_use]
    pub fn apply(&self, shared: &RuleSet) -> RuleSet {
        let rules = self.over(&shared.rules).map(|(rule, _)| rule.clone()).collect();
        RuleSet { name: shared.name.clone(), mode: shared.mode, revision: shared.revision, rules }
    }

    /// The bytes of memory that it takes, about: of its texts, each with what an allocation adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = |text: &String| BYTES_PER_TEXT + text.len();
        let rule = |rule: &Rule| {
            let lists = rule.keywords.iter().chain(&rule.languages).chain(rule.weights.keys());
            size_of::<Rule>() + lists.map(text).sum::<usize>() + text(&rule.id) + text(&rule.description)
        };
        self.rules.iter().map(rule).sum::<usize>() + self.removed.iter().map(text).sum::<usize>()
    }

    /// The rule with this identifier that the tenant has.
    #[must_use]
    pub fn rule<'a>(&'a self, shared: &'a [Rule], id: &str) -> Option<&'a Rule> {
        let is_wanted = |rule: &&Rule| rule.id == id;
        let of_shared = || shared.iter().find(is_wanted).filter(|_| !self.removed.contains(id));
        self.rules.iter().find(is_wanted).or_else(of_shared)
    }

    /// What has to be changed in shared rules so that these are left. Their order is kept for those that are added.
    #[must_use]
    pub fn between(shared: &[Rule], wanted: &[Rule]) -> Self {
        let known: HashMap<_, _> = shared.iter().map(|rule| (rule.id.as_str(), rule)).collect();
        let left: HashSet<_> = wanted.iter().map(|rule| rule.id.as_str()).collect();
        let is_own = |rule: &&Rule| known.get(rule.id.as_str()) != Some(rule);
        let is_removed = |rule: &&Rule| !left.contains(rule.id.as_str());
        Self {
            rules: wanted.iter().filter(is_own).cloned().collect(),
            removed: shared.iter().filter(is_removed).map(|rule| rule.id.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Category, Mode};

    fn rule(text: &str) -> Rule {
        let (id, keyword) = text.split_once('=').unwrap();
        Rule {
            id: id.to_owned(),
            category: Category::Health,
            keywords: vec![keyword.to_owned()],
            priority: 5,
            weights: Default::default(),
            languages: Vec::new(),
            disabled: false,
            description: String::new(),
        }
    }

    fn rules(text: &str) -> Vec<Rule> {
        text.split_whitespace().map(rule).collect()
    }

    fn shown(rules: &[Rule]) -> String {
        rules.iter().map(|rule| format!("{}={}", rule.id, rule.keywords[0])).collect::<Vec<_>>().join(" ")
    }

    fn set(rules: Vec<Rule>) -> RuleSet {
        RuleSet { name: "default".to_owned(), mode: Mode::Words, revision: 7, rules }
    }

    #[test]
    fn own_rules_replace_shared_ones_in_their_place_or_follow_them() {
        let check = |shared: &str, own: &str, removed: &str, expected: &str| {
            let removed = removed.split_whitespace().map(str::to_owned).collect();
            let overlay = Overlay { rules: rules(own), removed };
            let found = overlay.apply(&set(rules(shared)));
            assert_eq!((shown(&found.rules).as_str(), found.revision), (expected, 7), "{shared} + {own}");
        };
        check("a=1 b=2 c=3", "", "", "a=1 b=2 c=3");
        check("a=1 b=2 c=3", "b=9", "", "a=1 b=9 c=3");
        check("a=1 b=2 c=3", "e=5 d=4", "", "a=1 b=2 c=3 e=5 d=4");
        check("a=1 b=2 c=3", "", "a c", "b=2");
        check("a=1 b=2 c=3", "d=4 b=9", "a x", "b=9 c=3 d=4");
        // Shared later, under the identifier of an own rule.
        check("a=1 d=0", "d=4", "", "a=1 d=4");
        check("", "d=4", "a", "d=4");
    }

    #[test]
    fn what_is_between_two_lists_leads_from_one_to_the_other() {
        let check = |shared: &str, wanted: &str, own: &str, removed: &str| {
            let found = Overlay::between(&rules(shared), &rules(wanted));
            let gone: Vec<_> = found.removed.iter().map(String::as_str).collect();
            assert_eq!((shown(&found.rules).as_str(), gone.join(" ").as_str()), (own, removed), "{wanted}");
            let mut reached = found.apply(&set(rules(shared))).rules;
            let mut wanted = rules(wanted);
            for list in [&mut reached, &mut wanted] {
                list.sort_by(|one, other| one.id.cmp(&other.id));
            }
            assert_eq!(reached, wanted);
        };
        check("a=1 b=2", "a=1 b=2", "", "");
        check("a=1 b=2", "b=2 a=1", "", "");
        check("a=1 b=2", "b=3 c=4", "b=3 c=4", "a");
        check("a=1 b=2", "", "", "a b");
        check("", "c=4", "c=4", "");
    }
}
