//! The differences between two revisions of a set, item by item.

use std::collections::{HashMap, HashSet};

use dataflow_rules::themes::Theme;
use dataflow_rules::{Item, Rule};

/// The kind of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The item was added.
    Added,
    /// These fields have changed, by their JSON names.
    Changed(Vec<&'static str>),
    /// The item was removed.
    Removed,
}

/// The difference of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The identifier of the item.
    pub id: String,
    /// The kind.
    pub kind: DifferenceKind,
}

/// An item that is compared field by field.
pub trait Compared: Item {
    /// The fields that an update can change, by their JSON names, each with whether it differs in `after`.
    fn compare(&self, after: &Self) -> Vec<(&'static str, bool)>;
}

/// Compares two lists of items; returns the differences in the order of the second list, removed items last. The
/// position of an item is not a difference.
pub fn differences<T: Compared>(before: &[T], after: &[T]) -> Vec<Difference> {
    let known: HashMap<_, _> = before.iter().map(|item| (item.id(), item)).collect();
    let remaining: HashSet<_> = after.iter().map(Item::id).collect();
    let mut found = Vec::new();
    for item in after {
        let kind = match known.get(item.id()) {
            None => DifferenceKind::Added,
            Some(before) if *before == item => continue,
            Some(before) => DifferenceKind::Changed(fields(*before, item)),
        };
        found.push(Difference { id: item.id().to_owned(), kind });
    }
    let removed = before.iter().filter(|item| !remaining.contains(item.id()));
    found.extend(removed.map(|item| Difference { id: item.id().to_owned(), kind: DifferenceKind::Removed }));
    found
}

fn fields<T: Compared>(before: &T, after: &T) -> Vec<&'static str> {
    before.compare(after).into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}

impl Compared for Rule {
    fn compare(&self, after: &Self) -> Vec<(&'static str, bool)> {
        let Self { id: _, category, keywords, priority, weights, languages, disabled, description } = self;
        vec![
            ("category", *category != after.category),
            ("keywords", *keywords != after.keywords),
            ("priority", *priority != after.priority),
            ("weights", *weights != after.weights),
            ("languages", *languages != after.languages),
            ("disabled", *disabled != after.disabled),
            ("description", *description != after.description),
        ]
    }
}

impl Compared for Theme {
    fn compare(&self, after: &Self) -> Vec<(&'static str, bool)> {
        let Self { id: _, scheme, path, category } = self;
        vec![
            ("scheme", *scheme != after.scheme),
            ("path", *path != after.path),
            ("category", *category != after.category),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use dataflow_rules::Category;

    fn rule(id: &str, priority: i32) -> Rule {
        Rule {
            id: id.to_owned(),
            category: Category::Health,
            keywords: vec!["health".to_owned()],
            priority,
            weights: BTreeMap::new(),
            languages: Vec::new(),
            disabled: false,
            description: String::new(),
        }
    }

    #[test]
    fn additions_changes_and_removals_are_found() {
        let before = [rule("a", 1), rule("b", 2), rule("c", 3)];
        let mut after = vec![rule("c", 3), rule("d", 4), rule("b", 20)];
        after[2].keywords.push("care".to_owned());
        let difference = |id: &str, kind| Difference { id: id.to_owned(), kind };
        assert_eq!(
            differences(&before, &after),
            [
                difference("d", DifferenceKind::Added),
                difference("b", DifferenceKind::Changed(vec!["keywords", "priority"])),
                difference("a", DifferenceKind::Removed)
            ]
        );
        assert_eq!(differences(&before, &before), []);
    }

    #[test]
    fn every_field_of_a_theme_is_compared() {
        let theme = |scheme: &str, name: &str, category| Theme {
            id: "t".to_owned(),
            scheme: scheme.parse().unwrap(),
            path: vec![name.to_owned()],
            category,
        };
        let before = theme("A:*", "x", Category::Health);
        let check = |after: Theme, expected: &[&'static str]| {
            let found = differences(std::slice::from_ref(&before), &[after]);
            let id = "t".to_owned();
            let kind = DifferenceKind::Changed(expected.to_vec());
            assert_eq!(found, [Difference { id, kind }]);
        };
        check(theme("A:S", "x", Category::Health), &["scheme"]);
        check(theme("A:*", "y", Category::Health), &["path"]);
        check(theme("B:*", "x", Category::Labour), &["scheme", "category"]);
    }
}
