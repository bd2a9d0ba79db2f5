//! The predecessor's responses about rules.

use std::cmp::Reverse;

use dataflow_proto::config::v1 as pb;
use jiff::Timestamp;
use serde::Serialize;

use super::normalized;
use super::request::RuleFilter;
use crate::legacy::category::Category;
use crate::legacy::time::NaiveDateTime;

/// That a rule has been added, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    success: bool,
    message: String,
    timestamp: NaiveDateTime,
}

/// The requested rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleList<'a> {
    success: bool,
    message: String,
    timestamp: NaiveDateTime,
    rules: Vec<ListedRule<'a>>,
    total_count: usize,
    /// How many of them are active.
    active_count: usize,
}

/// A rule in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ListedRule<'a> {
    /// Its place in the set, from 1.
    id: usize,
    rule_id: &'a str,
    category: Category,
    keywords: Vec<String>,
    priority: i32,
    is_active: bool,
    description: Option<&'a str>,
    created_at: Option<NaiveDateTime>,
    updated_at: Option<NaiveDateTime>,
}

// === impl Confirmation ===

impl Confirmation {
    /// The response to a request that was served at `now`.
    pub fn new(message: String, now: Timestamp) -> Self {
        Self { success: true, message, timestamp: NaiveDateTime(now) }
    }
}

// === impl RuleList ===

impl<'a> RuleList<'a> {
    /// The rules of the set that pass the filter, the highest priority first. `all` of them come in evaluation order,
    /// which those of equal priority keep.
    pub fn new(all: &'a [pb::Rule], filter: &RuleFilter, now: Timestamp) -> Self {
        let is_listed = |rule: &ListedRule<'_>| {
            (filter.category.is_empty() || filter.category == rule.category.word())
                && (rule.is_active || !filter.active_only)
        };
        let listed = all.iter().zip(1..).map(|(rule, id)| ListedRule::new(rule, id));
        let mut rules: Vec<_> = listed.filter(is_listed).collect();
        rules.sort_by_key(|rule| Reverse(rule.priority));
        Self {
            success: true,
            message: format!("Retrieved {} rules", rules.len()),
            timestamp: NaiveDateTime(now),
            total_count: rules.len(),
            active_count: rules.iter().filter(|rule| rule.is_active).count(),
            rules,
        }
    }
}

// === impl ListedRule ===

impl<'a> ListedRule<'a> {
    fn new(rule: &'a pb::Rule, id: usize) -> Self {
        Self {
            id,
            rule_id: &rule.rule_id,
            category: rule.category().into(),
            keywords: rule.keywords.iter().map(|keyword| normalized(keyword)).collect(),
            priority: rule.priority,
            is_active: !rule.disabled,
            description: Some(&*rule.description).filter(|text| !text.is_empty()),
            created_at: rule.create_time.as_ref().and_then(naive),
            updated_at: rule.update_time.as_ref().and_then(naive),
        }
    }
}

/// A time of the mesh as the predecessor wrote it; none for one that no calendar has.
fn naive(time: &prost_types::Timestamp) -> Option<NaiveDateTime> {
    Timestamp::new(time.seconds, time.nanos).ok().map(NaiveDateTime)
}

#[cfg(test)]
mod tests {
    use dataflow_proto::r#type::v1 as types;
    use serde_json::{to_string, to_value};

    use super::*;

    const NOW: &str = "2026-08-01T12:20:30.5+02:00";

    fn rule(id: &str, category: types::Category, priority: i32, disabled: bool) -> pb::Rule {
        pb::Rule { rule_id: id.into(), category: category.into(), priority, disabled, ..pb::Rule::default() }
    }

    #[test]
    fn a_rule_has_the_predecessors_fields_in_its_order() {
        let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        let rule = pb::Rule {
            keywords: vec![" ÈTA ".into(), "b".into()],
            description: "\"d\"".into(),
            create_time: time(0, 0),
            update_time: time(86_399, 1_999),
            ..rule("r", types::Category::Labour, 8, false)
        };
        let filter = RuleFilter { category: String::new(), active_only: true };
        let rules = [rule];
        let expected = concat!(
            r#"{"success":true,"message":"Retrieved 1 rules","timestamp":"2026-08-01T10:20:30.500000","#,
            r#""rules":[{"id":1,"rule_id":"r","category":"lavoro","keywords":["èta","b"],"priority":8,"#,
            r#""is_active":true,"description":"\"d\"","created_at":"1970-01-01T00:00:00.000000","#,
            r#""updated_at":"1970-01-01T23:59:59.000001"}],"total_count":1,"active_count":1}"#,
        );
        assert_eq!(to_string(&RuleList::new(&rules, &filter, NOW.parse().unwrap())).unwrap(), expected);
        let done = Confirmation::new("Rule r created".to_owned(), NOW.parse().unwrap());
        let expected =
            r#"{"success":true,"message":"Rule r created","timestamp":"2026-08-01T10:20:30.500000"}"#;
        assert_eq!(to_string(&done).unwrap(), expected);
    }

    #[test]
    fn rules_are_listed_by_priority_and_identified_by_their_position() {
        use types::Category::{Health, Labour};
        let rules = [rule("a", Health, 5, false), rule("b", Labour, 9, true), rule("c", Health, 9, false)];
        let check = |category: &str, active_only: bool, expected: &str, active: usize| {
            let filter = RuleFilter { category: category.to_owned(), active_only };
            let answer = to_value(RuleList::new(&rules, &filter, NOW.parse().unwrap())).unwrap();
            let listed = answer["rules"].as_array().unwrap().iter();
            let listed: Vec<_> =
                listed.map(|rule| format!("{}{}", rule["id"], rule["rule_id"].as_str().unwrap())).collect();
            assert_eq!(listed.join(" "), expected, "{category} {active_only}");
            assert_eq!(answer["total_count"], listed.len());
            assert_eq!(answer["active_count"], active);
        };
        check("", true, "3c 1a", 2);
        check("", false, "2b 3c 1a", 2);
        check("salute", true, "3c 1a", 2);
        check("lavoro", true, "", 0);
        check("lavoro", false, "2b", 0);
        check("sport", false, "", 0);
    }
}
