//! The tonic adapter of RuleService.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use dataflow_mesh::status::{respond, to_status};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_server::RuleService;
use dataflow_rules::Rule;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::mask::{self, Field, fields};
use super::{matching, missing, origin, page_size, page_start, unknown_page};
use crate::change::Change;
use crate::convert::ruleset::{category, rule_from_wire, rule_to_wire, to_wire};
use crate::journal::Journal;
use crate::state::{Owned, Stamp, State, rule_not_found};
use crate::{Error, convert};

/// The set that an empty name means.
const DEFAULT: &str = "default";

/// What an update may change.
static FIELDS: &[Field<pb::Rule>] =
    fields![category, keywords, priority, weights, languages, disabled, description];

/// Serves RuleService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
    /// Ends the watches: an endless answer would hold up the service's stop.
    draining: CancellationToken,
}

// === impl Service ===

impl Service {
    /// Serves these rules until `draining` is cancelled.
    pub fn new(journal: Arc<Journal>, draining: CancellationToken) -> Self {
        Self { journal, draining }
    }

    fn list(&self, request: &pb::ListRulesRequest) -> Result<pb::ListRulesResponse, Error> {
        let state = self.journal.state();
        let owned = state.ruleset(named(&request.ruleset))?;
        let category = category(request.category)?;
        let (size, start) = (page_size(request.page_size)?, resume(&owned.set.rules, &request.page_token)?);
        let wanted = |(_, rule): &(usize, &Rule)| category.is_none_or(|category| rule.category == category);
        let mut rules = owned.set.rules.iter().enumerate().skip(start).filter(wanted);
        let page: Vec<_> = rules.by_ref().take(size).collect();
        let last = page.last().filter(|_| rules.next().is_some());
        let next_page_token = last.map(|(at, rule)| format!("{at}:{}", rule.id)).unwrap_or_default();
        let rules = page.into_iter().map(|(_, rule)| shown(owned, rule)).collect();
        Ok(pb::ListRulesResponse { rules, next_page_token, revision: owned.set.revision })
    }

    fn get(&self, request: &pb::GetRuleRequest) -> Result<pb::GetRuleResponse, Error> {
        let state = self.journal.state();
        let rule = Some(one(&state, named(&request.ruleset), &request.rule)?);
        Ok(pb::GetRuleResponse { rule })
    }

    async fn create(
        &self,
        metadata: &MetadataMap,
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
        let ruleset = named(&ruleset).to_owned();
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
        let rule = rule_from_wire(rule)?;
        let decide = |state: &State| {
            if state.ruleset(&ruleset)?.rule(&rule.id).is_some() {
                return Err(Error::RuleExists { ruleset: ruleset.clone(), rule: rule.id.clone() });
            }
            Ok(Some(Change::RulePut { ruleset: ruleset.clone(), rule: rule.clone() }))
        };
        let changed = self.journal.change(origin(metadata, reason)?, decide).await;
        let state = changed.map_err(|error| within(error, ""))?;
        Ok(pb::CreateRuleResponse { rule: Some(one(&state, &ruleset, &rule.id)?) })
    }

    async fn update(
        &self,
        metadata: &MetadataMap,
        request: pb::UpdateRuleRequest,
    ) -> Result<pb::UpdateRuleResponse, Error> {
        let pb::UpdateRuleRequest { rule, update_mask, ruleset, reason } = request;
        let given = rule.ok_or_else(|| missing("rule"))?;
        let fields = mask::select(update_mask.as_ref(), FIELDS)?;
        let (ruleset, id) = (named(&ruleset).to_owned(), given.rule_id.clone());
        let decide = |state: &State| {
            let owned = state.ruleset(&ruleset)?;
            let (rule, stamp) = owned.rule(&id).ok_or_else(|| rule_not_found(&ruleset, &id))?;
            matching(&given.etag, &stamp.etag())?;
            let new = rule_from_wire(mask::merge(rule_to_wire(rule), &given, &fields))?;
            let change = Change::RulePut { ruleset: ruleset.clone(), rule: new.clone() };
            Ok((new != *rule).then_some(change))
        };
        let changed = self.journal.change(origin(metadata, reason)?, decide).await;
        let state = changed.map_err(|error| within(error, "rule."))?;
        Ok(pb::UpdateRuleResponse { rule: Some(one(&state, &ruleset, &id)?) })
    }

    async fn delete(
        &self,
        metadata: &MetadataMap,
        request: pb::DeleteRuleRequest,
    ) -> Result<pb::DeleteRuleResponse, Error> {
        let pb::DeleteRuleRequest { rule, ruleset, etag, reason } = request;
        let ruleset = named(&ruleset).to_owned();
        let decide = |state: &State| {
            let (_, stamp) =
                state.ruleset(&ruleset)?.rule(&rule).ok_or_else(|| rule_not_found(&ruleset, &rule))?;
            matching(&etag, &stamp.etag())?;
            Ok(Some(Change::RuleRemoved { ruleset: ruleset.clone(), rule_id: rule.clone() }))
        };
        let state = self.journal.change(origin(metadata, reason)?, decide).await?;
        Ok(pb::DeleteRuleResponse { revision: state.ruleset(&ruleset)?.set.revision })
    }

    fn revisions(&self, request: &pb::ListRevisionsRequest) -> Result<pb::ListRevisionsResponse, Error> {
        let state = self.journal.state();
        let owned = state.ruleset(&request.ruleset)?;
        let size = page_size(request.page_size)?;
        let end = page_start(&request.page_token, owned.revisions.len() as u64)?;
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(owned.revisions.len());
        let start = end.saturating_sub(size);
        let page = owned.revisions[start..end].iter().rev();
        let revisions = page.map(|revision| convert::revision(&request.ruleset, revision)).collect();
        let next_page_token = if start > 0 { start.to_string() } else { String::new() };
        Ok(pb::ListRevisionsResponse { revisions, next_page_token })
    }

    async fn rollback(
        &self,
        metadata: &MetadataMap,
        request: pb::RollbackRulesetRequest,
    ) -> Result<pb::RollbackRulesetResponse, Error> {
        let pb::RollbackRulesetRequest { ruleset, revision, reason } = request;
        let earlier = self.journal.ruleset_at(&ruleset, revision).await?;
        let decide = |state: &State| {
            let present = state.ruleset(&ruleset)?;
            Ok((present.set.rules != earlier.rules).then(|| Change::RolledBack(earlier.clone())))
        };
        let state = self.journal.change(origin(metadata, reason)?, decide).await?;
        let set = Some(whole(state.ruleset(&ruleset)?));
        Ok(pb::RollbackRulesetResponse { ruleset: set })
    }
}

/// Where a page begins: behind the rule that ended the one before, wherever that stands by now, or, if it has been
/// removed, where it stood.
fn resume(rules: &[Rule], token: &str) -> Result<usize, Error> {
    if token.is_empty() {
        return Ok(0);
    }
    let parts = token.split_once(':').and_then(|(at, id)| Some((at.parse().ok()?, id)));
    let (at, id) = parts.ok_or_else(unknown_page)?;
    Ok(rules.iter().position(|rule| rule.id == id).map_or(at, |found| found + 1))
}

#[tonic::async_trait]
impl RuleService for Service {
    async fn list_rulesets(
        &self,
        _: Request<pb::ListRulesetsRequest>,
    ) -> Result<Response<pb::ListRulesetsResponse>, Status> {
        self.journal.settled().await;
        let state = self.journal.state();
        let rulesets = state.rulesets.values().map(|owned| whole(owned)).collect();
        Ok(Response::new(pb::ListRulesetsResponse { rulesets }))
    }

    type WatchRulesetsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchRulesetsResponse, Status>> + Send>>;

    async fn watch_rulesets(
        &self,
        request: Request<pb::WatchRulesetsRequest>,
    ) -> Result<Response<Self::WatchRulesetsStream>, Status> {
        self.journal.settled().await;
        let pb::WatchRulesetsRequest { rulesets, known_revisions } = request.into_inner();
        let wanted: BTreeSet<String> = rulesets.into_iter().collect();
        let state = self.journal.state();
        for name in &wanted {
            state.ruleset(name).map_err(|error| to_status(&error))?;
        }

        let (mut sent, mut first) = (known_revisions, true);
        let changes = WatchStream::new(self.journal.watch())
            .flat_map(move |state| stream::iter(news(&state, &wanted, &mut sent, std::mem::take(&mut first))))
            .map(Ok)
            .take_until(self.draining.clone().cancelled_owned());
        Ok(Response::new(changes.boxed()))
    }

    async fn list_rules(
        &self,
        request: Request<pb::ListRulesRequest>,
    ) -> Result<Response<pb::ListRulesResponse>, Status> {
        self.journal.settled().await;
        respond(self.list(request.get_ref()))
    }

    async fn get_rule(
        &self,
        request: Request<pb::GetRuleRequest>,
    ) -> Result<Response<pb::GetRuleResponse>, Status> {
        self.journal.settled().await;
        respond(self.get(request.get_ref()))
    }

    async fn create_rule(
        &self,
        request: Request<pb::CreateRuleRequest>,
    ) -> Result<Response<pb::CreateRuleResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        respond(self.create(&metadata, request).await)
    }

    async fn update_rule(
        &self,
        request: Request<pb::UpdateRuleRequest>,
    ) -> Result<Response<pb::UpdateRuleResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        respond(self.update(&metadata, request).await)
    }

    async fn delete_rule(
        &self,
        request: Request<pb::DeleteRuleRequest>,
    ) -> Result<Response<pb::DeleteRuleResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        respond(self.delete(&metadata, request).await)
    }

    async fn list_revisions(
        &self,
        request: Request<pb::ListRevisionsRequest>,
    ) -> Result<Response<pb::ListRevisionsResponse>, Status> {
        self.journal.settled().await;
        respond(self.revisions(request.get_ref()))
    }

    async fn rollback_ruleset(
        &self,
        request: Request<pb::RollbackRulesetRequest>,
    ) -> Result<Response<pb::RollbackRulesetResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        respond(self.rollback(&metadata, request).await)
    }
}

fn named(ruleset: &str) -> &str {
    if ruleset.is_empty() { DEFAULT } else { ruleset }
}

/// One rule as a reader sees it.
fn one(state: &State, ruleset: &str, id: &str) -> Result<pb::Rule, Error> {
    let (rule, stamp) = state.ruleset(ruleset)?.rule(id).ok_or_else(|| rule_not_found(ruleset, id))?;
    Ok(convert::rule(rule, stamp))
}

fn shown(owned: &Owned, rule: &Rule) -> pb::Rule {
    owned.stamps.get(&rule.id).map_or_else(|| rule_to_wire(rule), |stamp: &Stamp| convert::rule(rule, *stamp))
}

/// A failure of the set as the caller of one rule knows its fields: not by the rule's place in the set.
fn within(error: Error, prefix: &str) -> Error {
    match error {
        Error::RulesetInvalid { field, problem } => {
            let own = field.strip_prefix("rules[").and_then(|rest| rest.split_once("].")).map(|(_, own)| own);
            let field = own.map_or(field.clone(), |own| format!("{prefix}{own}"));
            Error::RulesetInvalid { field, problem }
        }
        other => other,
    }
}

/// A set as a reader sees it.
fn whole(owned: &Owned) -> pb::Ruleset {
    let rules = owned.set.rules.iter().map(|rule| shown(owned, rule)).collect();
    pb::Ruleset { rules, ..to_wire(&owned.set) }
}

/// The wanted sets whose revision is not the one `sent` before; the last of them completes what the watcher holds. The
/// first answer says so also when there is nothing to send.
fn news(
    state: &State,
    wanted: &BTreeSet<String>,
    sent: &mut BTreeMap<String, i64>,
    first: bool,
) -> Vec<pb::WatchRulesetsResponse> {
    let mut news: Vec<_> = state
        .rulesets
        .values()
        .filter(|owned| wanted.is_empty() || wanted.contains(&owned.set.name))
        .filter(|owned| sent.insert(owned.set.name.clone(), owned.set.revision) != Some(owned.set.revision))
        .map(|owned| pb::WatchRulesetsResponse { ruleset: Some(whole(owned)), complete: false })
        .collect();
    if first && news.is_empty() {
        news.push(pb::WatchRulesetsResponse::default());
    }
    if let Some(last) = news.last_mut() {
        last.complete = true;
    }
    news
}
