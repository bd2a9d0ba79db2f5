//! What the tests of the mesh are made with: real processes, services in this process, and documents out of nothing.

pub mod binary;
pub mod corpus;
pub mod envoy;
pub mod generator;
pub mod http;
pub mod manifests;
pub mod redis;
pub mod relay;
pub mod services;
pub mod stub;

mod careless;
mod tools;

use dataflow_analysis::rules::RuleSet;

/// One of the rule sets built into the binary, as the engines take it.
pub fn built_in(name: &str) -> RuleSet {
    services::built_in()
        .into_iter()
        .find(|set| set.ruleset == name)
        .and_then(|set| RuleSet::try_from(set).ok())
        .unwrap_or_else(|| panic!("there is no usable built-in rule set {name:?}"))
}
