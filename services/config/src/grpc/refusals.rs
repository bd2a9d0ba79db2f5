//! The methods of AuditService about refused writes. Separate from those about the journal, which has no part in them.

use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;

use super::log_pages::{cursor, page_token};
use super::page_size;
use crate::bounded_log::{BoundedLog, Page};
use crate::refusal::{Refusal, Report};
use crate::{Error, convert};

/// The refusals that a caller of this tenant asks for.
pub(super) async fn list(
    log: &BoundedLog<Refusal>,
    tenant: String,
    request: &pb::ListRefusalsRequest,
) -> Result<pb::ListRefusalsResponse, Error> {
    let (size, after) = (page_size(request.page_size)?, cursor(&request.page_token)?);
    let query = convert::refusal::query(tenant, &request.subject, request.start_time, request.end_time)?;
    let Page { entries, next } = log.list(&query, after, size, SystemTime::now()).await?;
    let next_page_token = page_token(next);
    let refusals = entries.iter().map(convert::refusal::to_wire).collect();
    Ok(pb::ListRefusalsResponse { refusals, next_page_token })
}

/// Records what a gateway has observed.
pub(super) async fn report(
    log: &BoundedLog<Refusal>,
    request: pb::ReportRefusalsRequest,
) -> Result<pb::ReportRefusalsResponse, Error> {
    let now = SystemTime::now();
    let Report { id, refusals } = convert::refusal::report(request)?.validated(now)?;
    log.record(&id, &refusals, now).await?;
    Ok(pb::ReportRefusalsResponse {})
}
