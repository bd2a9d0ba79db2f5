//! What one tenant changes for itself in a set that all tenants share: a rule set, or the mapping of themes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use crate::{Rule, RuleError, RuleSet};

/// What a set consists of, and what is changed as a whole.
pub trait Item: Clone + PartialEq + Hash {
    /// Unique within its set.
    fn id(&self) -> &str;

    /// The bytes of memory that it takes, about.
    fn bytes(&self) -> usize;
}

/// Items in an order, at a revision.
pub trait Set: Clone {
    /// A rule, for instance.
    type Item: Item;

    /// The items, in their order.
    fn items(&self) -> &[Self::Item];

    /// The items, to be changed.
    fn items_mut(&mut self) -> &mut Vec<Self::Item>;

    /// Other items in place of these.
    #[must_use]
    fn with_items(&self, items: Vec<Self::Item>) -> Self;

    /// Counts the changes, from 1; 0 if the set is built into the release.
    fn revision(&self) -> i64;

    /// Sets the revision.
    fn set_revision(&mut self, revision: i64);

    /// Validates the whole set.
    ///
    /// # Errors
    ///
    /// [`RuleError`] names the first invalid field.
    fn validate(&self) -> Result<(), RuleError>;
}

/// Items of a tenant's own, and shared items that it has removed. An item of its own replaces the shared one with the
/// same identifier, also one that is shared later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay<T = Rule> {
    /// The tenant's own items.
    pub own: Vec<T>,
    /// The identifiers of the shared items that it has removed; none of them is that of an own item.
    pub removed: BTreeSet<String>,
}

/// What a short text takes beside its bytes: its header, and the least that is allocated.
const BYTES_PER_TEXT: usize = 48;

/// The bytes of memory that a text takes, about, with what its allocation adds.
pub(crate) fn text_bytes(text: &str) -> usize {
    BYTES_PER_TEXT + text.len()
}

// === impl Overlay ===

impl<T> Default for Overlay<T> {
    fn default() -> Self {
        Self { own: Vec::new(), removed: BTreeSet::new() }
    }
}

impl<T: Item> Overlay<T> {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.removed.is_empty()
    }

    /// The items that the tenant has, each with whether it is its own: the shared ones in their order, with the
    /// replaced ones in place of theirs, then those that it adds.
    pub fn over<'a>(&'a self, shared: &'a [T]) -> impl Iterator<Item = (&'a T, bool)> {
        let own: HashMap<_, _> = self.own.iter().map(|item| (item.id(), item)).collect();
        let known: HashSet<_> = shared.iter().map(Item::id).collect();
        let present = shared.iter().filter(|item| !self.removed.contains(item.id()));
        let present = present.map(move |item| own.get(item.id()).map_or((item, false), |own| (*own, true)));
        let added = self.own.iter().filter(move |item| !known.contains(item.id()));
        present.chain(added.map(|item| (item, true)))
    }

    /// The set that the tenant has, at the revision of the shared one.
    #[must_use]
    pub fn apply<S: Set<Item = T>>(&self, shared: &S) -> S {
        shared.with_items(self.over(shared.items()).map(|(item, _)| item.clone()).collect())
    }

    /// The bytes of memory that it takes, about: of its texts, each with what an allocation adds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let removed = self.removed.iter().map(|id| text_bytes(id));
        self.own.iter().map(Item::bytes).sum::<usize>() + removed.sum::<usize>()
    }

    /// The item with this identifier that the tenant has.
    #[must_use]
    pub fn item<'a>(&'a self, shared: &'a [T], id: &str) -> Option<&'a T> {
        let is_wanted = |item: &&T| item.id() == id;
        let of_shared = || shared.iter().find(is_wanted).filter(|_| !self.removed.contains(id));
        self.own.iter().find(is_wanted).or_else(of_shared)
    }

    /// Whether the tenant has changed the item with this identifier.
    #[must_use]
    pub fn changes(&self, id: &str) -> bool {
        self.removed.contains(id) || self.own.iter().any(|own| own.id() == id)
    }

    /// What has to be changed in shared items so that these are left. Their order is kept for those that are added.
    #[must_use]
    pub fn between(shared: &[T], wanted: &[T]) -> Self {
        let known: HashMap<_, _> = shared.iter().map(|item| (item.id(), item)).collect();
        let left: HashSet<_> = wanted.iter().map(Item::id).collect();
        let is_own = |item: &&T| known.get(item.id()) != Some(item);
        let is_removed = |item: &&T| !left.contains(item.id());
        Self {
            own: wanted.iter().filter(is_own).cloned().collect(),
            removed: shared.iter().filter(is_removed).map(|item| item.id().to_owned()).collect(),
        }
    }
}

// === impl RuleSet ===

impl Item for Rule {
    fn id(&self) -> &str {
        &self.id
    }

    fn bytes(&self) -> usize {
        let lists = self.keywords.iter().chain(&self.languages).chain(self.weights.keys());
        let texts = lists.chain([&self.id, &self.description]);
        size_of::<Self>() + texts.map(|text| text_bytes(text)).sum::<usize>()
    }
}

impl Set for RuleSet {
    type Item = Rule;

    fn items(&self) -> &[Rule] {
        &self.rules
    }

    fn items_mut(&mut self) -> &mut Vec<Rule> {
        &mut self.rules
    }

    fn with_items(&self, rules: Vec<Rule>) -> Self {
        Self { name: self.name.clone(), mode: self.mode, revision: self.revision, rules }
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn set_revision(&mut self, revision: i64) {
        self.revision = revision;
    }

    fn validate(&self) -> Result<(), RuleError> {
        RuleSet::validate(self)
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
            let overlay = Overlay { own: rules(own), removed };
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
            assert_eq!((shown(&found.own).as_str(), gone.join(" ").as_str()), (own, removed), "{wanted}");
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
