//! How two revisions of a set differ, rule by rule.

use std::collections::{HashMap, HashSet};

use dataflow_rules::Rule;

/// What was done to a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It is new.
    Added,
    /// These fields are others, by their names in JSON.
    Changed(Vec<&'static str>),
    /// It is gone.
    Removed,
}

/// The change of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The rule.
    pub rule_id: String,
    /// What was done to it.
    pub kind: DifferenceKind,
}

/// What leads from one list of rules to another, in the order of the later, what is gone at the end. That a rule stands
/// elsewhere is no difference.
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
    fn what_came_what_changed_and_what_went_is_told() {
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
