//! Requests about rules: list, create, change.

use std::ops::RangeInclusive;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1 as types;
use prost_types::FieldMask;

use super::normalized;
use crate::legacy::body::{Body, Element, List, Value};
use crate::legacy::category::Category;
use crate::legacy::failure::{InvalidValue, ValidationError, ValueError};
use crate::query::{decode_lossy, parameters};

/// The range of priorities: the predecessor accepted any, but a rule with 0 or less never won.
const PRIORITIES: RangeInclusive<i32> = 1..=1000;

/// The priority of a rule that states none.
const DEFAULT_PRIORITY: i32 = 5;

/// Which rules to list: the query of `GET /api/analysis/rules`. Parameters that it does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFilter {
    /// Only rules for the category of this word; a word of none means no rule at all, the empty one means every rule.
    pub category: String,
    /// Whether rules that are left out for now are left out here too.
    pub active_only: bool,
}

/// A new rule: the body of `POST /api/analysis/rules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Not empty.
    pub rule_id: String,
    /// The category that a match adds points to.
    pub category: Category,
    /// At least one; lower case, without blanks around.
    pub keywords: Vec<String>,
    /// From 1 to 1000.
    pub priority: i32,
    /// For people; may be empty.
    pub description: String,
}

/// The change of a rule: the body of `PUT /api/analysis/rules/{rule_id}`. At least one field is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// As those of an [`Addition`].
    pub keywords: Option<Vec<String>>,
    /// From 1 to 1000.
    pub priority: Option<i32>,
    /// Whether it counts.
    pub is_active: Option<bool>,
    /// For people; may be empty.
    pub description: Option<String>,
}

// === impl RuleFilter ===

impl RuleFilter {
    /// Reads a query. Of a parameter given twice the later counts.
    pub fn parse(query: &str) -> Result<Self, ValidationError> {
        let mut filter = Self { category: String::new(), active_only: true };
        for (name, text) in parameters(query) {
            match decode_lossy(name).as_str() {
                "category" => filter.category = decode_lossy(text),
                "active_only" => {
                    let flag = Value::<String>::Text(decode_lossy(text)).flag();
                    let invalid = |error| {
                        ValidationError::unprocessable(vec![InvalidValue::in_query("active_only", error)])
                    };
                    filter.active_only = flag.map_err(invalid)?;
                }
                _ => {}
            }
        }
        Ok(filter)
    }
}

// === impl Addition ===

impl Addition {
    /// Reads a body. Fields that it does not know are ignored.
    pub fn parse(body: &[u8]) -> Result<Self, ValidationError> {
        const FIELDS: &[&str] = &["rule_id", "category", "keywords", "priority", "description"];
        let body = Body::read(body, FIELDS)?;
        let mut body = body.ok_or_else(|| ValidationError::whole(None, ValueError::Missing))?;
        let rule_id = body.required("rule_id", identifier);
        let category = body.required("category", Value::category);
        let keywords = body.required("keywords", keywords).map(|list| body.elements("keywords", list));
        let priority = body.field("priority", DEFAULT_PRIORITY, priority);
        let description = body.optional("description", Value::text).unwrap_or_default();
        body.finish()?;
        let (Some(rule_id), Some(category), Some(keywords)) = (rule_id, category, keywords) else {
            unreachable!("the body is refused without them")
        };
        Ok(Self { rule_id, category, keywords: matchable(&keywords)?, priority, description })
    }

    /// The call that adds it to a rule set.
    pub fn into_request(self, ruleset: String) -> pb::CreateRuleRequest {
        let Self { rule_id, category, keywords, priority, description } = self;
        let category = types::Category::from(category).into();
        pb::CreateRuleRequest {
            ruleset,
            rule_id,
            category,
            keywords,
            priority,
            description,
            ..Default::default()
        }
    }
}

// === impl Changes ===

impl Changes {
    /// Reads a body. Fields that it does not know are ignored, and no body is one without fields.
    pub fn parse(body: &[u8]) -> Result<Self, ValidationError> {
        const FIELDS: &[&str] = &["keywords", "priority", "is_active", "description"];
        let mut body = Body::read(body, FIELDS)?.ok_or(ValidationError::NothingToChange)?;
        let keywords = body.optional("keywords", Value::list).map(|list| body.elements("keywords", list));
        let priority = body.optional("priority", priority);
        let is_active = body.optional("is_active", Value::flag);
        let description = body.optional("description", Value::text);
        body.finish()?;
        let keywords = keywords.map(|keywords| matchable(&keywords)).transpose()?;
        let changes = Self { keywords, priority, is_active, description };
        if changes.fields().next().is_none() { Err(ValidationError::NothingToChange) } else { Ok(changes) }
    }

    /// The fields of our rule that change.
    fn fields(&self) -> impl Iterator<Item = &'static str> {
        let fields = [
            (self.keywords.is_some(), "keywords"),
            (self.priority.is_some(), "priority"),
            (self.is_active.is_some(), "disabled"),
            (self.description.is_some(), "description"),
        ];
        fields.into_iter().filter_map(|(changes, field)| changes.then_some(field))
    }

    /// The call that changes a rule.
    pub fn into_request(self, ruleset: String, rule_id: String) -> pb::UpdateRuleRequest {
        let update_mask = Some(FieldMask { paths: self.fields().map(str::to_owned).collect() });
        let rule = pb::Rule {
            rule_id,
            keywords: self.keywords.unwrap_or_default(),
            priority: self.priority.unwrap_or_default(),
            disabled: self.is_active == Some(false),
            description: self.description.unwrap_or_default(),
            ..pb::Rule::default()
        };
        pb::UpdateRuleRequest { rule: Some(rule), update_mask, ruleset, ..Default::default() }
    }
}

impl Element for String {
    const ERROR: ValueError = ValueError::NotText;

    fn read(text: String) -> Option<Self> {
        Some(text)
    }
}

/// Keywords that can match: those that are not blank.
fn matchable(keywords: &[String]) -> Result<Vec<String>, ValidationError> {
    let matchable = keywords.iter().map(|keyword| normalized(keyword)).filter(|keyword| !keyword.is_empty());
    let matchable: Vec<_> = matchable.collect();
    if matchable.is_empty() { Err(ValidationError::KeywordsBlank) } else { Ok(matchable) }
}

fn identifier(value: Value<String>) -> Result<String, ValueError> {
    let text = value.text()?;
    if text.is_empty() { Err(ValueError::EmptyText) } else { Ok(text) }
}

fn keywords(value: Value<String>) -> Result<List<String>, ValueError> {
    let list = value.list()?;
    if list.is_empty() { Err(ValueError::EmptyList) } else { Ok(list) }
}

fn priority(value: Value<String>) -> Result<i32, ValueError> {
    let (least, most) = PRIORITIES.into_inner();
    let number = value.integer()?;
    match i32::try_from(number) {
        Ok(priority) if PRIORITIES.contains(&priority) => Ok(priority),
        _ if number < i64::from(least) => Err(ValueError::Below(least)),
        _ => Err(ValueError::Above(most)),
    }
}

#[cfg(test)]
mod tests;
