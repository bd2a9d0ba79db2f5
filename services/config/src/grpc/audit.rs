//! The tonic adapter of AuditService.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use dataflow_mesh::status::{respond, to_status};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_server::AuditService;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{log_pages, page_size, page_start, reads, refusals, tenant};
use crate::audited_reads::AuditedReads;
use crate::bounded_log::BoundedLog;
use crate::change::{ChangeRecord, JournalEntry};
use crate::journal::{Journal, Page};
use crate::refusal::Refusal;
use crate::state::State;
use crate::{Error, convert};

/// Records per read of the log.
const READ_SIZE: usize = 500;

/// The most reads of the log for one page of a list.
const MAX_READS: usize = 20;

/// Serves AuditService.
#[derive(Clone)]
pub struct Service {
    journal: Arc<Journal>,
    refusals: Arc<BoundedLog<Refusal>>,
    reads: Arc<AuditedReads>,
}

// === impl Service ===

impl Service {
    /// Serves the audit records of this journal, these refused writes, and these reads.
    pub fn new(journal: Arc<Journal>, refusals: Arc<BoundedLog<Refusal>>, reads: Arc<AuditedReads>) -> Self {
        Self { journal, refusals, reads }
    }

    async fn list(
        &self,
        wanted: Wanted,
        size: i32,
        page_token: &str,
    ) -> Result<pb::ListAuditRecordsResponse, Error> {
        let (size, mut after) = (page_size(size)?, page_start(page_token, 0)?);
        // The state must include the listed changes, to know their revisions.
        self.journal.catch_up().await?;
        let (state, mut records) = (self.journal.state(), Vec::new());
        // Bounded: a page may end early, since few records may be wanted.
        for _ in 0..MAX_READS {
            let Page { entries, last } = self.journal.page(after, READ_SIZE).await?;
            for entry in entries {
                let position = entry.position;
                records.extend(wanted.record(entry, &state));
                if records.len() == size {
                    let is_last = position >= state.position;
                    let next_page_token = if is_last { String::new() } else { position.to_string() };
                    return Ok(pb::ListAuditRecordsResponse { records, next_page_token });
                }
            }
            match last.filter(|last| *last < state.position) {
                Some(last) => after = last,
                None => return Ok(pb::ListAuditRecordsResponse { records, next_page_token: String::new() }),
            }
        }
        Ok(pb::ListAuditRecordsResponse { records, next_page_token: after.to_string() })
    }
}

/// Which records a caller wants, and may see.
struct Wanted {
    /// The tenant of the caller; empty if it belongs to none, and sees all.
    tenant: String,
    from: Option<SystemTime>,
    until: Option<SystemTime>,
    /// Empty for every author.
    author: String,
}

// === impl Wanted ===

impl Wanted {
    fn new(
        tenant: String,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        author: &str,
    ) -> Result<Self, Error> {
        let time = |time: Option<Timestamp>, field: &str| {
            let time = time.map(SystemTime::try_from).transpose();
            time.map_err(|_| Error::FieldInvalid {
                field: field.to_owned(),
                problem: "is not a time".to_owned(),
            })
        };
        let (from, until) = (time(from, "start_time")?, time(until, "end_time")?);
        Ok(Self { tenant, from, until, author: author.to_owned() })
    }

    /// The record of a change, if it is wanted.
    fn record(&self, entry: JournalEntry, state: &State) -> Option<pb::AuditRecord> {
        let ChangeRecord { change, origin, time } = &entry.record;
        let is_wanted = (self.tenant.is_empty() || change.tenant() == self.tenant)
            && self.from.is_none_or(|from| *time >= from)
            && self.until.is_none_or(|until| *time < until)
            && (self.author.is_empty() || origin.author == self.author);
        is_wanted.then(|| convert::audit::record(entry, state))
    }
}

/// Streams all wanted records after a position, page by page on demand.
fn export(
    journal: Arc<Journal>,
    after: u64,
    wanted: Wanted,
) -> impl Stream<Item = Result<pb::AuditRecord, Error>> {
    let wanted = Arc::new(wanted);
    let pages = stream::try_unfold(Some(after), move |after| {
        let (journal, wanted) = (Arc::clone(&journal), Arc::clone(&wanted));
        async move {
            let Some(after) = after else { return Ok::<_, Error>(None) };
            let Page { entries, last: next } = journal.page(after, READ_SIZE).await?;
            let state = journal.state();
            let records: Vec<_> =
                entries.into_iter().filter_map(|entry| wanted.record(entry, &state).map(Ok)).collect();
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
        let tenant = tenant(&request);
        let pb::ListAuditRecordsRequest { page_size, page_token, start_time, end_time, author } =
            request.into_inner();
        let listed = async {
            let wanted = Wanted::new(tenant, start_time, end_time, &author)?;
            self.list(wanted, page_size, &page_token).await
        };
        respond(listed.await)
    }

    type ExportAuditRecordsStream =
        Pin<Box<dyn Stream<Item = Result<pb::ExportAuditRecordsResponse, Status>> + Send>>;

    async fn export_audit_records(
        &self,
        request: Request<pb::ExportAuditRecordsRequest>,
    ) -> Result<Response<Self::ExportAuditRecordsStream>, Status> {
        let tenant = tenant(&request);
        let pb::ExportAuditRecordsRequest { after, start_time, end_time, author } = request.into_inner();
        let after = u64::try_from(after).map_err(|_| {
            let problem = "must not be negative".to_owned();
            to_status(&Error::FieldInvalid { field: "after".to_owned(), problem })
        })?;
        let wanted = Wanted::new(tenant, start_time, end_time, &author).map_err(|error| to_status(&error))?;
        let records = export(Arc::clone(&self.journal), after, wanted)
            .map_ok(|record| pb::ExportAuditRecordsResponse { record: Some(record) })
            .map_err(|error| to_status(&error));
        Ok(Response::new(records.boxed()))
    }

    async fn list_refusals(
        &self,
        request: Request<pb::ListRefusalsRequest>,
    ) -> Result<Response<pb::ListRefusalsResponse>, Status> {
        let tenant = tenant(&request);
        respond(refusals::list(&self.refusals, tenant, request.get_ref()).await)
    }

    type ExportRefusalsStream =
        Pin<Box<dyn Stream<Item = Result<pb::ExportRefusalsResponse, Status>> + Send>>;

    async fn export_refusals(
        &self,
        request: Request<pb::ExportRefusalsRequest>,
    ) -> Result<Response<Self::ExportRefusalsStream>, Status> {
        let tenant = tenant(&request);
        let pb::ExportRefusalsRequest { start_time, end_time, subject } = request.into_inner();
        let query = convert::refusal::query(tenant, &subject, start_time, end_time);
        let query = query.map_err(|error| to_status(&error))?;
        let exported = log_pages::export(Arc::clone(&self.refusals), query, convert::refusal::to_wire)
            .map_ok(|refusal| pb::ExportRefusalsResponse { refusal: Some(refusal) })
            .map_err(|error| to_status(&error));
        Ok(Response::new(exported.boxed()))
    }

    async fn list_reads(
        &self,
        request: Request<pb::ListReadsRequest>,
    ) -> Result<Response<pb::ListReadsResponse>, Status> {
        let tenant = tenant(&request);
        respond(reads::list(&self.reads, tenant, request.get_ref()).await)
    }

    type ExportReadsStream = Pin<Box<dyn Stream<Item = Result<pb::ExportReadsResponse, Status>> + Send>>;

    async fn export_reads(
        &self,
        request: Request<pb::ExportReadsRequest>,
    ) -> Result<Response<Self::ExportReadsStream>, Status> {
        let tenant = tenant(&request);
        let pb::ExportReadsRequest { start_time, end_time, subject } = request.into_inner();
        let query = convert::refusal::query(tenant, &subject, start_time, end_time);
        let query = query.map_err(|error| to_status(&error))?;
        let exported = log_pages::export(Arc::clone(self.reads.log()), query, convert::audited_read::to_wire)
            .map_ok(|read| pb::ExportReadsResponse { read: Some(read) })
            .map_err(|error| to_status(&error));
        Ok(Response::new(exported.boxed()))
    }

    async fn report_refusals(
        &self,
        request: Request<pb::ReportRefusalsRequest>,
    ) -> Result<Response<pb::ReportRefusalsResponse>, Status> {
        respond(refusals::report(&self.refusals, request.into_inner()).await)
    }
}
