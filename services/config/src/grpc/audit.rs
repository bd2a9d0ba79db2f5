//! The tonic adapter of AuditService.

use std::pin::Pin;
use std::sync::Arc;

use dataflow_mesh::identity::Identity;
use dataflow_mesh::status::{respond, to_status};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_server::AuditService;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use tonic::{Request, Response, Status};

use super::{page_size, page_start, refusals};
use crate::journal::{Journal, Page};
use crate::refusals::RefusalLog;
use crate::{Error, convert};

/// Records per read of an export.
const EXPORT_PAGE_SIZE: usize = 500;

/// Serves AuditService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
    refusals: Arc<RefusalLog>,
}

// === impl Service ===

impl Service {
    /// Serves the audit records of this journal, and these refused writes.
    pub fn new(journal: Arc<Journal>, refusals: Arc<RefusalLog>) -> Self {
        Self { journal, refusals }
    }

    async fn list(
        &self,
        request: &pb::ListAuditRecordsRequest,
    ) -> Result<pb::ListAuditRecordsResponse, Error> {
        let (size, after) = (page_size(request.page_size)?, page_start(&request.page_token, 0)?);
        // The state must include the listed changes, to know their revisions.
        self.journal.catch_up().await?;
        let Page { entries, last } = self.journal.page(after, size).await?;
        let state = self.journal.state();
        let next_page_token =
            last.filter(|last| *last < state.position).map(|last| last.to_string()).unwrap_or_default();
        let records = entries.into_iter().map(|entry| convert::audit_record(entry, &state)).collect();
        Ok(pb::ListAuditRecordsResponse { records, next_page_token })
    }
}

/// Streams all records after a position, page by page on demand.
fn export(journal: Arc<Journal>, after: u64) -> impl Stream<Item = Result<pb::AuditRecord, Error>> {
    let pages = stream::try_unfold(Some(after), move |after| {
        let journal = Arc::clone(&journal);
        async move {
            let Some(after) = after else { return Ok::<_, Error>(None) };
            let Page { entries, last: next } = journal.page(after, EXPORT_PAGE_SIZE).await?;
            let state = journal.state();
            let records: Vec<_> =
                entries.into_iter().map(|entry| Ok(convert::audit_record(entry, &state))).collect();
            Ok(Some((stream::iter(records), next)))
        }
    });
    pages.try_flatten()
}

#[tonic::async_trait]
impl AuditService for Service {
    async fn list_audit_records(
        &self,
        request: Request<pb::ListAuditRecordsRequest>,
    ) -> Result<Response<pb::ListAuditRecordsResponse>, Status> {
        respond(self.list(request.get_ref()).await)
    }

    type ExportAuditRecordsStream =
        Pin<Box<dyn Stream<Item = Result<pb::ExportAuditRecordsResponse, Status>> + Send>>;

    async fn export_audit_records(
        &self,
        request: Request<pb::ExportAuditRecordsRequest>,
    ) -> Result<Response<Self::ExportAuditRecordsStream>, Status> {
        let after = u64::try_from(request.get_ref().after).map_err(|_| {
            let problem = "must not be negative".to_owned();
            to_status(&Error::FieldInvalid { field: "after".to_owned(), problem })
        })?;
        let records = export(Arc::clone(&self.journal), after)
            .map_ok(|record| pb::ExportAuditRecordsResponse { record: Some(record) })
            .map_err(|error| to_status(&error));
        Ok(Response::new(records.boxed()))
    }

    async fn list_refusals(
        &self,
        request: Request<pb::ListRefusalsRequest>,
    ) -> Result<Response<pb::ListRefusalsResponse>, Status> {
        let tenant = Identity::of(request.extensions()).tenant;
        respond(refusals::list(&self.refusals, tenant, request.get_ref()).await)
    }

    async fn report_refusals(
        &self,
        request: Request<pb::ReportRefusalsRequest>,
    ) -> Result<Response<pb::ReportRefusalsResponse>, Status> {
        respond(refusals::report(&self.refusals, request.into_inner()).await)
    }
}
