//! What the tests of the mesh are made with: real processes, services in this process, and documents out of nothing.

pub mod binary;
pub mod corpus;
pub mod editor;
pub mod envoy;
pub mod eventually;
pub mod generator;
pub mod http;
pub mod manifests;
pub mod redis;
pub mod relay;
pub mod services;
pub mod stub;
pub mod tools;

mod careless;

use std::path::{Path, PathBuf};

use dataflow_rules::RuleSet;

/// A path from the repository's root.
pub fn in_repository(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// The path of the catalogue that the README's first command analyses: 24 dataflows of ISTAT's.
///
/// # Panics
///
/// When it is no text.
pub fn example() -> String {
    in_repository("examples/istat-sample.xml").into_os_string().into_string().expect("the path is UTF-8")
}

/// One of the rule sets built into the binary, as the engines take it.
pub fn built_in(name: &str) -> RuleSet {
    let found = dataflow_rules::built_in::rulesets().into_iter().find(|set| set.name == name);
    found.unwrap_or_else(|| panic!("there is no built-in rule set {name:?}"))
}
