//! The tonic adapter of AnalysisService.

use std::sync::Arc;

use dataflow_mesh::identity::Identity;
use dataflow_mesh::inbound::Claimant;
use dataflow_mesh::long_work;
use dataflow_mesh::response::ResponseGuards;
use dataflow_mesh::status::respond;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_server::AnalysisService;
use dataflow_rules::Subject;
use dataflow_uploads::budget::ResultMemory;
use dataflow_uploads::messages::{announced_digest, parts};
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::Error;
use crate::analyses::Analyses;
use crate::convert::{self, InputDataflow};

/// Serves AnalysisService.
#[derive(Debug, Clone)]
pub struct Service {
    analyses: Analyses,
}

impl Service {
    /// Serves these analyses.
    pub fn new(analyses: Analyses) -> Self {
        Self { analyses }
    }

    async fn analyze(
        &self,
        headers: MetadataMap,
        claimant: Claimant,
        mut messages: Streaming<pb::AnalyzeCatalogueRequest>,
    ) -> Result<(pb::AnalyzeCatalogueResponse, ResultMemory), Error> {
        let digest = announced_digest(&headers)?;
        let first = messages.message().await?.unwrap_or_default();
        let options = convert::options(&first, claimant, digest)?;
        let parts = parts(first, messages, |message| message.document);
        let (analysis, memory) = self.analyses.analyze(options, parts).await?;
        Ok((pb::AnalyzeCatalogueResponse { analysis: Some(analysis) }, memory))
    }

    async fn categorize(
        &self,
        tenant: &str,
        request: pb::CategorizeDataflowRequest,
    ) -> Result<pb::CategorizeDataflowResponse, Error> {
        let ruleset = convert::name(&request.ruleset, "ruleset")?;
        let InputDataflow { id, agency, names, descriptions } = request.dataflow.try_into()?;
        let subject =
            Subject { id: &id, agency: &agency, names: &names, descriptions: &descriptions, legacy: None };
        let (rules, filing) = self.analyses.categorize(tenant, &ruleset, &subject).await?;
        Ok(pb::CategorizeDataflowResponse {
            category: convert::rules::category_to_wire(filing.category).into(),
            score: filing.score,
            confidence: filing.confidence,
            evidence: filing.evidence.into_iter().map(Into::into).collect(),
            decided_by: convert::decided_by(filing.decided_by).into(),
            rules_revision: rules.ruleset.revision,
            overlay_revision: rules.ruleset.overlay_revision,
            // A single dataflow does not use the cache, so an unavailable cache is not reported.
            degraded: self.analyses.degraded(&rules, None, true),
        })
    }

    async fn evaluate(
        &self,
        claimant: Claimant,
        request: pb::EvaluateRulesRequest,
    ) -> Result<(pb::EvaluateRulesResponse, ResultMemory), Error> {
        let _permit = self.analyses.acquire_upload(claimant.clone())?;
        let (rules, evaluation, mut memory) =
            self.analyses.evaluate(&claimant.tenant, request.try_into()?).await?;
        let bytes = evaluation.bytes();
        // The result is not stored, so an unavailable cache is not reported.
        let degraded = self.analyses.degraded(&rules, None, true);
        let work = || {
            let evaluation = convert::evaluation::evaluation(evaluation, &rules.ruleset, degraded);
            let size = evaluation.encoded_len();
            self.analyses.check_size(size)?;
            memory.take_up_to(size as u64)?;
            Ok::<_, Error>(evaluation)
        };
        let evaluation = long_work::run(bytes, work).await?;
        Ok((pb::EvaluateRulesResponse { evaluation: Some(evaluation) }, memory))
    }
}

#[tonic::async_trait]
impl AnalysisService for Service {
    async fn analyze_catalogue(
        &self,
        request: Request<Streaming<pb::AnalyzeCatalogueRequest>>,
    ) -> Result<Response<pb::AnalyzeCatalogueResponse>, Status> {
        let (headers, extensions, messages) = request.into_parts();
        let (response, memory) =
            respond(self.analyze(headers, Claimant::of(&extensions, false), messages).await)?.into_inner();
        Ok(guarded(response, memory))
    }

    async fn categorize_dataflow(
        &self,
        request: Request<pb::CategorizeDataflowRequest>,
    ) -> Result<Response<pb::CategorizeDataflowResponse>, Status> {
        let tenant = Identity::of(request.extensions()).tenant;
        respond(self.categorize(&tenant, request.into_inner()).await)
    }

    async fn evaluate_rules(
        &self,
        request: Request<pb::EvaluateRulesRequest>,
    ) -> Result<Response<pb::EvaluateRulesResponse>, Status> {
        let claimant = Claimant::of(request.extensions(), false);
        let (response, memory) = respond(self.evaluate(claimant, request.into_inner()).await)?.into_inner();
        Ok(guarded(response, memory))
    }
}

/// The response, which has its memory until it has been sent.
fn guarded<T: Message>(response: T, memory: ResultMemory) -> Response<T> {
    let mut guards = ResponseGuards::default();
    guards.set_message(response.encoded_len());
    guards.keep(Arc::new(memory));
    let mut response = Response::new(response);
    response.extensions_mut().insert(guards);
    response
}
