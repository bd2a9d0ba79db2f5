//! Methods of RuleService that concern what tenants change for themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::watch_overlays_response::Changed;

use super::super::{CHANGED_PER_MESSAGE, Caller, sets};
use super::{Service, ruleset_or_default};
use crate::change::TenantChange;
use crate::convert::ruleset::overlay_to_wire;
use crate::state::{State, Tenant, rule_not_found};
use crate::{Error, convert};

/// What a watcher has: the revisions of changes, by tenant and rule set.
#[derive(Default)]
pub(super) struct SentOverlays {
    /// None before the first batch.
    tenants: Option<Arc<BTreeMap<String, Arc<Tenant>>>>,
    revisions: BTreeMap<(String, String), i64>,
}

// === impl Service ===

impl Service {
    pub(super) async fn restore(
        &self,
        caller: Caller,
        request: pb::RestoreRuleRequest,
    ) -> Result<pb::RestoreRuleResponse, Error> {
        let pb::RestoreRuleRequest { rule, ruleset, etag, reason, validate_only } = request;
        let (ruleset, tenant) = (ruleset_or_default(&ruleset).to_owned(), caller.tenant.clone());
        if tenant.is_empty() {
            return Err(Error::TenantMissing);
        }
        let decide = |state: &State| {
            let seen = state.ruleset_of(&tenant, &ruleset)?;
            let is_changed = sets::is_changed(&seen, (&rule, &etag), || rule_not_found(&ruleset, &rule))?;
            let change = TenantChange::RuleRestored { ruleset: ruleset.clone(), rule_id: rule.clone() };
            Ok(is_changed.then(|| change.of(&tenant)))
        };
        let state = self.journal.change(caller.attempt(reason, validate_only)?, decide).await?;
        let rule = state.ruleset_of(&tenant, &ruleset)?.item(&rule).map(|seen| convert::rule(&seen));
        Ok(pb::RestoreRuleResponse { rule })
    }

    pub(super) async fn overlay(
        &self,
        request: &pb::GetOverlayRequest,
    ) -> Result<pb::GetOverlayResponse, Error> {
        let revision_of = |state: &State| {
            let seen = state.ruleset_of(&request.tenant, &request.ruleset);
            seen.map_or(0, |seen| seen.revisions().1)
        };
        // Another replica may have told of a change that this one has not read yet.
        if revision_of(&self.journal.state()) < request.revision {
            self.journal.catch_up().await?;
        }
        let state = self.journal.state();
        let seen = state.ruleset_of(&request.tenant, &request.ruleset)?;
        let (_, revision) = seen.revisions();
        Ok(pb::GetOverlayResponse { overlay: seen.changes().map(overlay_to_wire), revision })
    }
}

// === impl SentOverlays ===

impl SentOverlays {
    /// What differs from what was sent. Nothing before the log was read: a watcher must not take that for no changes.
    pub(super) fn next(&mut self, state: &State) -> Vec<pb::WatchOverlaysResponse> {
        let is_same = self.tenants.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &state.tenants));
        if state.position == 0 || is_same {
            return Vec::new();
        }
        let is_first = self.tenants.replace(Arc::clone(&state.tenants)).is_none();
        let mut present = BTreeMap::new();
        for (tenant, own) in &*state.tenants {
            for (ruleset, changes) in own.overlays.iter().filter(|(_, changes)| !changes.overlay.is_empty()) {
                present.insert((tenant.clone(), ruleset.clone()), changes.history.latest());
            }
        }
        let sent = std::mem::replace(&mut self.revisions, present);
        let changed = sets::changed_revisions(&sent, &self.revisions).into_iter();
        let changed: Vec<_> =
            changed.map(|((tenant, ruleset), revision)| Changed { tenant, ruleset, revision }).collect();
        let part =
            |changed: &[Changed]| pb::WatchOverlaysResponse { changed: changed.to_vec(), complete: false };
        let mut parts: Vec<_> = changed.chunks(CHANGED_PER_MESSAGE).map(part).collect();
        if is_first && parts.is_empty() {
            parts.push(pb::WatchOverlaysResponse::default());
        }
        if let Some(last) = parts.last_mut() {
            last.complete = true;
        }
        parts
    }
}
