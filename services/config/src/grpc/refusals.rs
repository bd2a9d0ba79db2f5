//! The methods of AuditService about refused writes. Separate from those about the journal, which has no part in them.

use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;

use super::{invalid_page_token, page_size};
use crate::bounded_log::{BoundedLog, Cursor, Page};
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

/// The token of the page after a cursor; empty after the last one.
pub(super) fn page_token(next: Option<Cursor>) -> String {
    next.map(|Cursor { position, number }| format!("{position}.{number}")).unwrap_or_default()
}

/// The cursor after which a page begins.
pub(super) fn cursor(token: &str) -> Result<Cursor, Error> {
    if token.is_empty() {
        return Ok(Cursor::default());
    }
    let parts = token.split_once('.');
    let cursor = parts.and_then(|(position, number)| {
        Some(Cursor { position: position.parse().ok()?, number: number.parse().ok()? })
    });
    cursor.ok_or_else(invalid_page_token)
}
