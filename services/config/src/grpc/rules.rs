//! The tonic adapter of RuleService: rules one by one. What concerns a whole rule set is in `whole`, what a tenant changes
//! for itself in `overlays`, and the watch of rule sets in `watch`.

mod overlays;
mod watch;
mod whole;

use std::collections::BTreeSet;
use std::sync::Arc;

use dataflow_mesh::status::{respond, to_status};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_server::RuleService;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::mask::{self, Field, fields};
use super::{Caller, Watch, caller, check_etag, check_new_id, missing_field, sets, tenant, watch};
use crate::change::Change;
use crate::convert::ruleset::{category, rule_from_wire, rule_to_wire};
use crate::journal::Journal;
use crate::state::{State, rule_not_found};
use crate::{Error, convert};
use overlays::SentOverlays;
use watch::Sent;

/// The default rule set.
const DEFAULT_RULESET: &str = "default";

/// The updatable fields.
static FIELDS: &[Field<pb::Rule>] =
    fields![category, keywords, priority, weights, languages, disabled, description];

/// Serves RuleService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
    /// Ends the watches: an endless response stream would delay the drain.
    draining: CancellationToken,
}

// === impl Service ===

impl Service {
    /// Serves these rules until `draining` is canceled.
    pub fn new(journal: Arc<Journal>, draining: CancellationToken) -> Self {
        Self { journal, draining }
    }

    fn list(&self, tenant: &str, request: &pb::ListRulesRequest) -> Result<pb::ListRulesResponse, Error> {
        let state = self.journal.state();
        let ruleset = state.ruleset_of(tenant, ruleset_or_default(&request.ruleset))?;
        let category = category(request.category)?;
        let (rules, next_page_token) =
            sets::page(ruleset.items(), (request.page_size, &request.page_token), |rule| {
                category.is_none_or(|category| rule.category == category)
            })?;
        let rules = rules.iter().map(convert::rule).collect();
        let (revision, overlay_revision) = ruleset.revisions();
        let ruleset_etag = ruleset.etag();
        Ok(pb::ListRulesResponse { rules, next_page_token, revision, overlay_revision, ruleset_etag })
    }

    fn get(&self, tenant: &str, request: &pb::GetRuleRequest) -> Result<pb::GetRuleResponse, Error> {
        let state = self.journal.state();
        let rule = Some(rule_by_id(&state, tenant, ruleset_or_default(&request.ruleset), &request.rule)?);
        Ok(pb::GetRuleResponse { rule })
    }

    async fn create(
        &self,
        caller: Caller,
        request: pb::CreateRuleRequest,
    ) -> Result<pb::CreateRuleResponse, Error> {
        let pb::CreateRuleRequest {
            ruleset,
            rule_id,
            category,
            keywords,
            priority,
            weights,
            languages,
            disabled,
            description,
            reason,
            validate_only,
        } = request;
        check_new_id("ruleId", &rule_id)?;
        let ruleset = ruleset_or_default(&ruleset).to_owned();
        let rule = pb::Rule {
            rule_id,
            category,
            keywords,
            priority,
            weights,
            languages,
            disabled,
            description,
            ..Default::default()
        };
        let (rule, tenant) = (rule_from_wire(rule)?, caller.tenant.clone());
        let decide = |state: &State| {
            if state.ruleset_of(&tenant, &ruleset)?.item(&rule.id).is_some() {
                return Err(Error::RuleExists { ruleset: ruleset.clone(), rule: rule.id.clone() });
            }
            Ok(Some(Change::rule_put(&tenant, &ruleset, rule.clone())))
        };
        let changed = self.journal.change(caller.attempt(reason, validate_only)?, decide).await;
        let state = changed.map_err(|error| relative_to_rule(error, ""))?;
        Ok(pb::CreateRuleResponse { rule: Some(rule_by_id(&state, &tenant, &ruleset, &rule.id)?) })
    }

    async fn update(
        &self,
        caller: Caller,
        request: pb::UpdateRuleRequest,
    ) -> Result<pb::UpdateRuleResponse, Error> {
        let pb::UpdateRuleRequest { rule, update_mask, ruleset, reason, validate_only } = request;
        let given = rule.ok_or_else(|| missing_field("rule"))?;
        let fields = mask::select(update_mask.as_ref(), FIELDS)?;
        let (ruleset, id) = (ruleset_or_default(&ruleset).to_owned(), given.rule_id.clone());
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            let seen = state.ruleset_of(&tenant, &ruleset)?;
            let seen = seen.item(&id).ok_or_else(|| rule_not_found(&ruleset, &id))?;
            check_etag(&given.etag, &seen.etag())?;
            let new = rule_from_wire(mask::merge(rule_to_wire(seen.item), &given, &fields))?;
            Ok((new != *seen.item).then(|| Change::rule_put(&tenant, &ruleset, new)))
        };
        let changed = self.journal.change(caller.attempt(reason, validate_only)?, decide).await;
        let state = changed.map_err(|error| relative_to_rule(error, "rule."))?;
        Ok(pb::UpdateRuleResponse { rule: Some(rule_by_id(&state, &tenant, &ruleset, &id)?) })
    }

    async fn delete(
        &self,
        caller: Caller,
        request: pb::DeleteRuleRequest,
    ) -> Result<pb::DeleteRuleResponse, Error> {
        let pb::DeleteRuleRequest { rule, ruleset, etag, reason, validate_only } = request;
        let (ruleset, tenant) = (ruleset_or_default(&ruleset).to_owned(), caller.tenant.clone());
        let decide = |state: &State| {
            let seen = state.ruleset_of(&tenant, &ruleset)?;
            let seen = seen.item(&rule).ok_or_else(|| rule_not_found(&ruleset, &rule))?;
            check_etag(&etag, &seen.etag())?;
            Ok(Some(Change::rule_removed(&tenant, &ruleset, &rule)))
        };
        let state = self.journal.change(caller.attempt(reason, validate_only)?, decide).await?;
        let (revision, overlay_revision) = state.ruleset_of(&tenant, &ruleset)?.revisions();
        Ok(pb::DeleteRuleResponse { revision, overlay_revision })
    }
}

#[tonic::async_trait]
impl RuleService for Service {
    async fn list_rulesets(
        &self,
        request: Request<pb::ListRulesetsRequest>,
    ) -> Result<Response<pb::ListRulesetsResponse>, Status> {
        self.journal.ready().await;
        let (tenant, state) = (tenant(&request), self.journal.state());
        let rulesets = state.rulesets_of(&tenant).map(|seen| convert::ruleset(&seen)).collect();
        Ok(Response::new(pb::ListRulesetsResponse { rulesets }))
    }

    type WatchRulesetsStream = Watch<pb::WatchRulesetsResponse>;

    async fn watch_rulesets(
        &self,
        request: Request<pb::WatchRulesetsRequest>,
    ) -> Result<Response<Self::WatchRulesetsStream>, Status> {
        self.journal.ready().await;
        let tenant = tenant(&request);
        let pb::WatchRulesetsRequest { rulesets, known_revisions } = request.into_inner();
        let wanted: BTreeSet<String> = rulesets.into_iter().collect();
        let state = self.journal.state();
        for name in &wanted {
            state.ruleset(name).map_err(|error| to_status(&error))?;
        }

        let mut sent = Sent { tenant, wanted, known: known_revisions, revisions: None };
        Ok(Response::new(watch(&self.journal, &self.draining, move |state| sent.next(state))))
    }

    async fn list_rules(
        &self,
        request: Request<pb::ListRulesRequest>,
    ) -> Result<Response<pb::ListRulesResponse>, Status> {
        self.journal.ready().await;
        respond(self.list(&tenant(&request), request.get_ref()))
    }

    async fn get_rule(
        &self,
        request: Request<pb::GetRuleRequest>,
    ) -> Result<Response<pb::GetRuleResponse>, Status> {
        self.journal.ready().await;
        respond(self.get(&tenant(&request), request.get_ref()))
    }

    async fn create_rule(
        &self,
        request: Request<pb::CreateRuleRequest>,
    ) -> Result<Response<pb::CreateRuleResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.create(caller, request).await)
    }

    async fn update_rule(
        &self,
        request: Request<pb::UpdateRuleRequest>,
    ) -> Result<Response<pb::UpdateRuleResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.update(caller, request).await)
    }

    async fn delete_rule(
        &self,
        request: Request<pb::DeleteRuleRequest>,
    ) -> Result<Response<pb::DeleteRuleResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.delete(caller, request).await)
    }

    async fn list_revisions(
        &self,
        request: Request<pb::ListRevisionsRequest>,
    ) -> Result<Response<pb::ListRevisionsResponse>, Status> {
        self.journal.ready().await;
        respond(self.revisions(&tenant(&request), request.get_ref()))
    }

    async fn rollback_ruleset(
        &self,
        request: Request<pb::RollbackRulesetRequest>,
    ) -> Result<Response<pb::RollbackRulesetResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.rollback(caller, request).await)
    }

    async fn restore_rule(
        &self,
        request: Request<pb::RestoreRuleRequest>,
    ) -> Result<Response<pb::RestoreRuleResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.restore(caller, request).await)
    }

    type WatchOverlaysStream = Watch<pb::WatchOverlaysResponse>;

    async fn watch_overlays(
        &self,
        _: Request<pb::WatchOverlaysRequest>,
    ) -> Result<Response<Self::WatchOverlaysStream>, Status> {
        let mut sent = SentOverlays::default();
        Ok(Response::new(watch(&self.journal, &self.draining, move |state| sent.next(state))))
    }

    async fn get_overlay(
        &self,
        request: Request<pb::GetOverlayRequest>,
    ) -> Result<Response<pb::GetOverlayResponse>, Status> {
        self.journal.ready().await;
        respond(self.overlay(request.get_ref()).await)
    }

    async fn replace_rules(
        &self,
        request: Request<pb::ReplaceRulesRequest>,
    ) -> Result<Response<pb::ReplaceRulesResponse>, Status> {
        let (caller, request) = caller(request);
        respond(self.replace(caller, request).await)
    }
}

fn ruleset_or_default(ruleset: &str) -> &str {
    if ruleset.is_empty() { DEFAULT_RULESET } else { ruleset }
}

/// The wire form of one rule, as a caller of this tenant sees it.
fn rule_by_id(state: &State, tenant: &str, ruleset: &str, id: &str) -> Result<pb::Rule, Error> {
    let seen = state.ruleset_of(tenant, ruleset)?;
    Ok(convert::rule(&seen.item(id).ok_or_else(|| rule_not_found(ruleset, id))?))
}

/// Rewrites the field of a rule set error for the caller of a single rule: without the index of the rule in the set.
fn relative_to_rule(error: Error, prefix: &str) -> Error {
    match error {
        Error::RulesetInvalid { field, problem } => {
            Error::RulesetInvalid { field: sets::field_of_item("rules", field, prefix), problem }
        }
        other => other,
    }
}
