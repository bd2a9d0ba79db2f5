//! A rule service that sends rule sets without validating them, as one of another release might.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_server::RuleService;
use futures_util::stream::{self, BoxStream, StreamExt};
use tonic::{Request, Response, Status};

/// Sends these rule sets unvalidated.
pub(crate) struct UnvalidatedConfig {
    pub(crate) sets: Vec<pb::Ruleset>,
}

/// Implements the methods that analysis calls; the others return UNIMPLEMENTED.
macro_rules! serve {
    ($($absent:ident($request:ident) -> $response:ident,)*) => {
        #[tonic::async_trait]
        impl RuleService for UnvalidatedConfig {
            async fn list_rulesets(
                &self,
                _: Request<pb::ListRulesetsRequest>,
            ) -> Result<Response<pb::ListRulesetsResponse>, Status> {
                Ok(Response::new(pb::ListRulesetsResponse { rulesets: self.sets.clone() }))
            }

            type WatchRulesetsStream = BoxStream<'static, Result<pb::WatchRulesetsResponse, Status>>;

            async fn watch_rulesets(
                &self,
                _: Request<pb::WatchRulesetsRequest>,
            ) -> Result<Response<Self::WatchRulesetsStream>, Status> {
                let last = self.sets.len().saturating_sub(1);
                let sets = self.sets.clone().into_iter().enumerate();
                let sets = sets.map(move |(index, set)| {
                    Ok(pb::WatchRulesetsResponse { ruleset: Some(set), complete: index == last })
                });
                Ok(Response::new(stream::iter(sets).chain(stream::pending()).boxed()))
            }

            type WatchOverlaysStream = BoxStream<'static, Result<pb::WatchOverlaysResponse, Status>>;

            async fn watch_overlays(
                &self,
                _: Request<pb::WatchOverlaysRequest>,
            ) -> Result<Response<Self::WatchOverlaysStream>, Status> {
                let none = pb::WatchOverlaysResponse { changed: Vec::new(), complete: true };
                Ok(Response::new(stream::iter([Ok(none)]).chain(stream::pending()).boxed()))
            }

            $(async fn $absent(
                &self,
                _: Request<pb::$request>,
            ) -> Result<Response<pb::$response>, Status> {
                Err(Status::unimplemented("not implemented in this test service"))
            })*
        }
    };
}

serve! {
    list_rules(ListRulesRequest) -> ListRulesResponse,
    get_rule(GetRuleRequest) -> GetRuleResponse,
    create_rule(CreateRuleRequest) -> CreateRuleResponse,
    update_rule(UpdateRuleRequest) -> UpdateRuleResponse,
    delete_rule(DeleteRuleRequest) -> DeleteRuleResponse,
    list_revisions(ListRevisionsRequest) -> ListRevisionsResponse,
    rollback_ruleset(RollbackRulesetRequest) -> RollbackRulesetResponse,
    replace_rules(ReplaceRulesRequest) -> ReplaceRulesResponse,
    restore_rule(RestoreRuleRequest) -> RestoreRuleResponse,
    get_overlay(GetOverlayRequest) -> GetOverlayResponse,
}
