//! The tonic adapter of RuleService: rules one by one. What concerns a whole rule set is in `whole`, what a tenant changes
//! for itself in `overlays`, and the watch of rule sets in `watch`.

mod overlays;
mod watch;
mod whole;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use dataflow_mesh::status::{respond, to_status};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_server::RuleService;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::mask::{self, Field, fields};
use super::{Caller, caller, check_etag, invalid_page_token, missing_field, page_size, tenant};
use crate::change::Change;
use crate::convert::ruleset::{category, rule_from_wire, rule_to_wire};
use crate::journal::Journal;
use crate::state::{RuleView, State, rule_not_found};
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
        let rules = ruleset.rules();
        let (size, start) = (page_size(request.page_size)?, page_offset(&rules, &request.page_token)?);
        let wanted = |(_, seen): &(usize, &RuleView<'_>)| {
            category.is_none_or(|category| seen.rule.category == category)
        };
        let mut rules = rules.iter().enumerate().skip(start).filter(wanted);
        let page: Vec<_> = rules.by_ref().take(size).collect();
        let last = page.last().filter(|_| rules.next().is_some());
        let next_page_token = last.map(|(at, seen)| format!("{at}:{}", seen.rule.id)).unwrap_or_default();
        let rules = page.into_iter().map(|(_, seen)| convert::rule(seen)).collect();
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
        } = request;
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
            if state.ruleset_of(&tenant, &ruleset)?.rule(&rule.id).is_some() {
                return Err(Error::RuleExists { ruleset: ruleset.clone(), rule: rule.id.clone() });
            }
            Ok(Some(Change::rule_put(&tenant, &ruleset, rule.clone())))
        };
        let changed = self.journal.change(caller.origin(reason)?, decide).await;
        let state = changed.map_err(|error| relative_to_rule(error, ""))?;
        Ok(pb::CreateRuleResponse { rule: Some(rule_by_id(&state, &tenant, &ruleset, &rule.id)?) })
    }

    async fn update(
        &self,
        caller: Caller,
        request: pb::UpdateRuleRequest,
    ) -> Result<pb::UpdateRuleResponse, Error> {
        let pb::UpdateRuleRequest { rule, update_mask, ruleset, reason } = request;
        let given = rule.ok_or_else(|| missing_field("rule"))?;
        let fields = mask::select(update_mask.as_ref(), FIELDS)?;
        let (ruleset, id) = (ruleset_or_default(&ruleset).to_owned(), given.rule_id.clone());
        let tenant = caller.tenant.clone();
        let decide = |state: &State| {
            let seen = state.ruleset_of(&tenant, &ruleset)?;
            let seen = seen.rule(&id).ok_or_else(|| rule_not_found(&ruleset, &id))?;
            check_etag(&given.etag, &seen.etag())?;
            let new = rule_from_wire(mask::merge(rule_to_wire(seen.rule), &given, &fields))?;
            Ok((new != *seen.rule).then(|| Change::rule_put(&tenant, &ruleset, new)))
        };
        let changed = self.journal.change(caller.origin(reason)?, decide).await;
        let state = changed.map_err(|error| relative_to_rule(error, "rule."))?;
        Ok(pb::UpdateRuleResponse { rule: Some(rule_by_id(&state, &tenant, &ruleset, &id)?) })
    }

    async fn delete(
        &self,
        caller: Caller,
        request: pb::DeleteRuleRequest,
    ) -> Result<pb::DeleteRuleResponse, Error> {
        let pb::DeleteRuleRequest { rule, ruleset, etag, reason } = request;
        let (ruleset, tenant) = (ruleset_or_default(&ruleset).to_owned(), caller.tenant.clone());
        let decide = |state: &State| {
            let seen = state.ruleset_of(&tenant, &ruleset)?;
            let seen = seen.rule(&rule).ok_or_else(|| rule_not_found(&ruleset, &rule))?;
            check_etag(&etag, &seen.etag())?;
            Ok(Some(Change::rule_removed(&tenant, &ruleset, &rule)))
        };
        let state = self.journal.change(caller.origin(reason)?, decide).await?;
        let (revision, overlay_revision) = state.ruleset_of(&tenant, &ruleset)?.revisions();
        Ok(pb::DeleteRuleResponse { revision, overlay_revision })
    }
}

/// The start of a page: after the last rule of the previous page, at its current position, or, if it was removed, at
/// its previous position.
fn page_offset(rules: &[RuleView<'_>], token: &str) -> Result<usize, Error> {
    if token.is_empty() {
        return Ok(0);
    }
    let parts = token.split_once(':').and_then(|(at, id)| Some((at.parse().ok()?, id)));
    let (at, id) = parts.ok_or_else(invalid_page_token)?;
    Ok(rules.iter().position(|seen| seen.rule.id == id).map_or(at, |found| found + 1))
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

    type WatchRulesetsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchRulesetsResponse, Status>> + Send>>;

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
        let changes = WatchStream::new(self.journal.watch())
            .flat_map(move |state| stream::iter(sent.next(&state)))
            .map(Ok)
            .take_until(self.draining.clone().cancelled_owned());
        Ok(Response::new(changes.boxed()))
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

    type WatchOverlaysStream = Pin<Box<dyn Stream<Item = Result<pb::WatchOverlaysResponse, Status>> + Send>>;

    async fn watch_overlays(
        &self,
        _: Request<pb::WatchOverlaysRequest>,
    ) -> Result<Response<Self::WatchOverlaysStream>, Status> {
        let mut sent = SentOverlays::default();
        let changes = WatchStream::new(self.journal.watch())
            .flat_map(move |state| stream::iter(sent.next(&state)))
            .map(Ok)
            .take_until(self.draining.clone().cancelled_owned());
        Ok(Response::new(changes.boxed()))
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
    Ok(convert::rule(&seen.rule(id).ok_or_else(|| rule_not_found(ruleset, id))?))
}

/// Rewrites the field of a rule set error for the caller of a single rule: without the index of the rule in the set.
fn relative_to_rule(error: Error, prefix: &str) -> Error {
    match error {
        Error::RulesetInvalid { field, problem } => {
            let own = field.strip_prefix("rules[").and_then(|rest| rest.split_once("].")).map(|(_, own)| own);
            let field = own.map_or(field.clone(), |own| format!("{prefix}{own}"));
            Error::RulesetInvalid { field, problem }
        }
        other => other,
    }
}
