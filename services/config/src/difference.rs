//! The differences between two revisions of a rule set, rule by rule.

use std::collections::{HashMap, HashSet};

use dataflow_rules::Rule;

/// The kind of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The rule was added.
    Added,
    /// These fields have changed, by their JSON names.
    Changed(Vec<&'static str>),
    /// The rule was removed.
    Removed,
}

/// The difference of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The identifier of the rule.
    pub rule_id: String,
    /// The kind.
    pub kind: DifferenceKind,
}

/// Compares two lists of rules; returns the differences in the order of the second list, removed rules last. The
/// position of a rule is not a difference.
pub fn differences(before: &[Rule], after: &[Rule]) -> Vec<Difference> {
    let known: HashMap<_, _> = before.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let remaining: HashSet<_> = after.iter().map(|rule| rule.id.as_str()).collect();
    let mut found = Vec::new();
    for rule in after {
        let kind = match known.get(rule.id.as_str()) {
            None => DifferenceKind::Added,
            Some(before) if *before == rule => continue,
            Some(before) => DifferenceKind::Changed(fields(before, rule)),
        };
        found.push(Difference { rule_id: rule.id.clone(), kind });
    }
    let removed = before.iter().filter(|rule| !remaining.contains(rule.id.as_str()));
    found.extend(removed.map(|rule| Difference { rule_id: rule.id.clone(), kind: DifferenceKind::Removed }));
    found
}

fn fields(before: &Rule, after: &Rule) -> Vec<&'static str> {
    let Rule { id: _, category, keywords, priority, weights, languages, disabled, description } = before;
    [
        ("category", *category != after.category),
        ("keywords", *keywords != after.keywords),
        ("priority", *priority != after.priority),
        ("weights", *weights != after.weights),
        ("languages", *languages != after.languages),
        ("disabled", *disabled != after.disabled),
        ("description", *description != after.description),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
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
        let difference = |id: &str, kind| Difference { rule_id: id.to_owned(), kind };
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
}
