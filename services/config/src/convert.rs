//! From the domain to the wire.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1 as types;

use crate::ruleset::{Category, Mode, Rule, Ruleset};

impl From<&Ruleset> for pb::Ruleset {
    fn from(set: &Ruleset) -> Self {
        Self {
            ruleset: set.name.clone(),
            mode: pb::ruleset::Mode::from(set.mode).into(),
            revision: set.revision,
            rules: set.rules.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Rule> for pb::Rule {
    fn from(rule: &Rule) -> Self {
        Self {
            rule_id: rule.rule_id.clone(),
            category: types::Category::from(rule.category).into(),
            keywords: rule.keywords.clone(),
            priority: rule.priority,
            weights: rule.weights.clone(),
            languages: rule.languages.clone(),
            disabled: rule.disabled,
            description: rule.description.clone(),
        }
    }
}

impl From<Mode> for pb::ruleset::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Substring => Self::Substring,
            Mode::Words => Self::Words,
        }
    }
}

impl From<Category> for types::Category {
    fn from(category: Category) -> Self {
        match category {
            Category::Population => Self::Population,
            Category::Economy => Self::Economy,
            Category::Labour => Self::Labour,
            Category::Territory => Self::Territory,
            Category::Education => Self::Education,
            Category::Health => Self::Health,
            Category::Other => Self::Other,
        }
    }
}
