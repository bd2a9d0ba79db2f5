//! Methods of RuleService that concern a whole rule set: its revisions, the way back to one, and other rules for all. For
//! a caller that belongs to a tenant, they concern its tenant's changes to the rule set.

use std::sync::Arc;

use dataflow_proto::config::v1 as pb;
use dataflow_rules::{Overlay, RuleSet};

use super::super::{Caller, check_etag, sets};
use super::Service;
use crate::change::{Change, TenantChange};
use crate::convert::ruleset::{from_wire, to_wire};
use crate::state::State;
use crate::{Error, convert};

// === impl Service ===

impl Service {
    pub(super) fn revisions(
        &self,
        tenant: &str,
        request: &pb::ListRevisionsRequest,
    ) -> Result<pb::ListRevisionsResponse, Error> {
        let state = self.journal.state();
        let seen = state.ruleset_of(tenant, &request.ruleset)?;
        let (page, next_page_token) =
            sets::page_of_revisions(seen.history(), (request.page_size, &request.page_token))?;
        let revisions = page.map(|revision| convert::revision(&request.ruleset, revision)).collect();
        Ok(pb::ListRevisionsResponse { revisions, next_page_token })
    }

    pub(super) async fn rollback(
        &self,
        caller: Caller,
        request: pb::RollbackRulesetRequest,
    ) -> Result<pb::RollbackRulesetResponse, Error> {
        let pb::RollbackRulesetRequest { ruleset, revision, reason, etag, validate_only } = request;
        let tenant = caller.tenant.clone();
        let attempt = caller.attempt(reason, validate_only)?;
        let state = if tenant.is_empty() {
            let earlier = self.journal.ruleset_at(&ruleset, revision).await?;
            let decide = |state: &State| {
                check_etag(&etag, &state.ruleset_of(&tenant, &ruleset)?.etag())?;
                let present = state.ruleset(&ruleset)?;
                Ok((present.set.rules != earlier.rules).then(|| Change::RolledBack(earlier.clone())))
            };
            self.journal.change(attempt, decide).await?
        } else {
            let overlay = self.journal.overlay_at(&tenant, &ruleset, revision).await?;
            let decide = |state: &State| {
                check_etag(&etag, &state.ruleset_of(&tenant, &ruleset)?.etag())?;
                let is_other = *present_overlay(state, &tenant, &ruleset)? != *overlay;
                let (ruleset, overlay) = (ruleset.clone(), Arc::clone(&overlay));
                Ok(is_other.then(|| TenantChange::RolledBack { ruleset, overlay }.of(&tenant)))
            };
            self.journal.change(attempt, decide).await?
        };
        let set = Some(convert::ruleset(&state.ruleset_of(&tenant, &ruleset)?));
        Ok(pb::RollbackRulesetResponse { ruleset: set })
    }

    pub(super) async fn replace(
        &self,
        caller: Caller,
        request: pb::ReplaceRulesRequest,
    ) -> Result<pb::ReplaceRulesResponse, Error> {
        let pb::ReplaceRulesRequest { ruleset, mode, rules, reason, etag, validate_only } = request;
        let given = from_wire(pb::Ruleset { ruleset, mode, rules, ..pb::Ruleset::default() })?;
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            check_etag(&etag, &state.ruleset_of(&tenant, &given.name)?.etag())?;
            let RuleSet { mode, revision, rules, .. } = &*state.ruleset(&given.name)?.set;
            if *mode != given.mode {
                let mode = to_wire(&given).mode().as_str_name();
                let problem = format!("is {mode}, which is not the mode of the rule set");
                return Err(Error::FieldInvalid { field: "mode".to_owned(), problem });
            }
            if tenant.is_empty() {
                let new = RuleSet { revision: *revision, ..given.clone() };
                return Ok((*rules != given.rules).then_some(Change::RulesReplaced(new)));
            }
            // Also what the changes would hide from a validation of the result, such as two rules with one identifier.
            given.validate()?;
            let overlay = Arc::new(Overlay::between(rules, &given.rules));
            let is_other = *present_overlay(state, &tenant, &given.name)? != *overlay;
            let ruleset = given.name.clone();
            Ok(is_other.then(|| TenantChange::Replaced { ruleset, overlay }.of(&tenant)))
        };
        let state = self.journal.change(caller.attempt(reason, validate_only)?, decide).await?;
        let set = Some(convert::ruleset(&state.ruleset_of(&tenant, &given.name)?));
        Ok(pb::ReplaceRulesResponse { ruleset: set })
    }
}

/// The present changes of a tenant to a rule set.
fn present_overlay(state: &State, tenant: &str, ruleset: &str) -> Result<Arc<Overlay>, Error> {
    state.ruleset(ruleset)?;
    let present = state.tenants.get(tenant).and_then(|tenant| tenant.overlays.get(ruleset));
    Ok(present.map(|present| Arc::clone(&present.overlay)).unwrap_or_default())
}
