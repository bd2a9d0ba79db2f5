//! The rule sets built into the binary, in the form in which services exchange them. A module of its own, because the
//! analysis service falls back on them however it is run.

use dataflow_proto::config::v1 as pb;

/// The rule sets, as the config service would send them.
pub(crate) fn rulesets() -> Vec<pb::Ruleset> {
    dataflow_config::built_in::rulesets().iter().map(Into::into).collect()
}
