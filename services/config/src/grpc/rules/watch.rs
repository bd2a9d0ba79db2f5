//! The watch of rule sets: what was sent, and so what differs.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_proto::config::v1 as pb;

use crate::convert;
use crate::state::State;

/// What a watcher has.
pub(super) struct Sent {
    /// The tenant of the watcher; empty if it belongs to none.
    pub(super) tenant: String,
    /// The names of the rule sets that it wants; all if empty.
    pub(super) wanted: BTreeSet<String>,
    /// The revisions of shared rule sets that it had before.
    pub(super) known: BTreeMap<String, i64>,
    /// The revisions that were sent, of the shared rule set and of the tenant's changes; none before the first batch.
    pub(super) revisions: Option<BTreeMap<String, (i64, i64)>>,
}

// === impl Sent ===

impl Sent {
    /// The rule sets whose revisions differ from those that were sent. The last one is marked as completing the batch.
    /// The first batch is sent even if nothing differs.
    pub(super) fn next(&mut self, state: &State) -> Vec<pb::WatchRulesetsResponse> {
        let is_first = self.revisions.is_none();
        let known = &self.known;
        let revisions = self.revisions.get_or_insert_with(|| {
            known.iter().map(|(name, revision)| (name.clone(), (*revision, 0))).collect()
        });
        let mut updates = Vec::new();
        for seen in state.rulesets_of(&self.tenant) {
            let name = &seen.shared().name;
            let is_wanted = self.wanted.is_empty() || self.wanted.contains(name);
            let present = seen.revisions();
            if is_wanted && revisions.insert(name.clone(), present) != Some(present) {
                let ruleset = Some(convert::ruleset(&seen));
                updates.push(pb::WatchRulesetsResponse { ruleset, complete: false });
            }
        }
        if is_first && updates.is_empty() {
            updates.push(pb::WatchRulesetsResponse::default());
        }
        if let Some(last) = updates.last_mut() {
            last.complete = true;
        }
        updates
    }
}
