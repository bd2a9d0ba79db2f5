//! The tonic adapter of AnalysisService.

use bytes::Bytes;
use dataflow_mesh::status::to_status;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_server::AnalysisService;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use futures_util::{Stream, StreamExt, stream};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::Error;
use crate::analyses::Analyses;
use crate::convert::{self, Given};
use crate::rules::Subject;

/// The header in which the gateway says whose call it is.
const TENANT: &str = "dataflow-tenant";

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

    async fn analyse(
        &self,
        tenant: String,
        mut messages: Streaming<pb::AnalyzeCatalogueRequest>,
    ) -> Result<pb::Analysis, Error> {
        let _admitted = self.analyses.admit()?;
        let first = messages.message().await?.unwrap_or_default();
        let options = convert::options(&first, tenant)?;
        self.analyses.analyse(options, pieces(first, messages)).await
    }

    fn categorise(
        &self,
        request: pb::CategorizeDataflowRequest,
    ) -> Result<pb::CategorizeDataflowResponse, Error> {
        let ruleset = convert::name(&request.ruleset, "ruleset")?;
        let Given { id, names, descriptions } = request.dataflow.try_into()?;
        let subject = Subject { id: &id, names: &names, descriptions: &descriptions, legacy: None };
        let (ruleset, filing) = self.analyses.categorise(&ruleset, &subject)?;
        Ok(pb::CategorizeDataflowResponse {
            category: Category::from(filing.category).into(),
            score: filing.score,
            confidence: filing.confidence,
            evidence: filing.evidence.into_iter().map(Into::into).collect(),
            rules_revision: ruleset.revision,
            // One dataflow needs no cache, so that its absence is no loss.
            degraded: self.analyses.degraded(true),
        })
    }
}

#[tonic::async_trait]
impl AnalysisService for Service {
    async fn analyze_catalogue(
        &self,
        request: Request<Streaming<pb::AnalyzeCatalogueRequest>>,
    ) -> Result<Response<pb::AnalyzeCatalogueResponse>, Status> {
        let tenant = tenant(request.metadata());
        let analysis = self.analyse(tenant, request.into_inner()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(pb::AnalyzeCatalogueResponse { analysis: Some(analysis) }))
    }

    async fn categorize_dataflow(
        &self,
        request: Request<pb::CategorizeDataflowRequest>,
    ) -> Result<Response<pb::CategorizeDataflowResponse>, Status> {
        self.categorise(request.into_inner()).map(Response::new).map_err(|error| to_status(&error))
    }
}

fn tenant(metadata: &MetadataMap) -> String {
    metadata.get(TENANT).and_then(|tenant| tenant.to_str().ok()).unwrap_or_default().to_owned()
}

/// The bytes of the catalogue in all messages. A content type begins a document, and there may be one only.
fn pieces(
    first: pb::AnalyzeCatalogueRequest,
    rest: Streaming<pb::AnalyzeCatalogueRequest>,
) -> impl Stream<Item = Result<Bytes, Error>> {
    let mut begun = false;
    stream::once(async { Ok(first) }).chain(rest.map(|message| message.map_err(Error::from))).map(
        move |message| {
            let HttpBody { content_type, data, .. } = message?.document.unwrap_or_default();
            if begun && !content_type.is_empty() {
                let problem = "must be empty once a document has begun: one document a call".to_owned();
                return Err(Error::FieldInvalid { field: "document.content_type".to_owned(), problem });
            }
            begun |= !content_type.is_empty() || !data.is_empty();
            Ok(data)
        },
    )
}
