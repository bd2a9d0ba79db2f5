//! Everything that can go wrong in the config service.

use std::collections::HashMap;

use dataflow_mesh::status::{Describe, Kind, Violation};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such rule set.
    #[error("there is no rule set {name:?}")]
    RulesetNotFound {
        /// The name asked for.
        name: String,
    },
    /// A rule set breaks a rule of its own.
    #[error("{field}: {problem}")]
    RulesetInvalid {
        /// The field's path, for instance `rules[3].keywords`.
        field: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.config.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::RulesetNotFound { .. } => Kind::NotFound,
            Error::RulesetInvalid { .. } => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::RulesetNotFound { .. } => "RULESET_NOT_FOUND",
            Error::RulesetInvalid { .. } => "RULESET_INVALID",
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        match self {
            Error::RulesetNotFound { name } => HashMap::from([("ruleset".to_owned(), name.clone())]),
            Error::RulesetInvalid { .. } => HashMap::new(),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Error::RulesetInvalid { field, problem } => {
                vec![Violation { field: field.clone(), description: problem.clone() }]
            }
            Error::RulesetNotFound { .. } => Vec::new(),
        }
    }
}
