//! The test harness: real processes, services in this process, and generated documents.

pub mod binary;
pub mod catalogues;
pub mod certificates;
pub mod cgroup;
pub mod collector;
pub mod corpus;
pub mod editor;
pub mod envoy;
pub mod eventually;
pub mod generator;
pub mod http;
pub mod http2;
pub mod manifests;
pub mod prometheus;
pub mod reads;
pub mod redis;
pub mod refusals;
pub mod relay;
pub mod sdmx_json;
pub mod services;
pub mod stub;
pub mod tokens;
pub mod tools;

mod unvalidated_config;

use std::path::{Path, PathBuf};

use dataflow_rules::RuleSet;

/// A path from the repository's root.
pub fn in_repository(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// The path of the catalogue that the README's first command analyzes: 24 dataflows of ISTAT.
///
/// # Panics
///
/// If it is not UTF-8.
pub fn example() -> String {
    in_repository("examples/istat-sample.xml").into_os_string().into_string().expect("the path is UTF-8")
}

/// One of the built-in rule sets, not yet compiled.
pub fn built_in(name: &str) -> RuleSet {
    let found = dataflow_rules::built_in::rulesets().into_iter().find(|set| set.name == name);
    found.unwrap_or_else(|| panic!("there is no built-in rule set {name:?}"))
}
