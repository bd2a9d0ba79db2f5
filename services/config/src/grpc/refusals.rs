//! The methods of AuditService about refused writes. Separate from those about the journal, which has no part in them.

use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;

use super::{invalid_page_token, page_size};
use crate::refusals::{Cursor, Page, RefusalLog};
use crate::{Error, convert};

/// The refusals that a caller of this tenant asks for.
pub(super) async fn list(
    log: &RefusalLog,
    tenant: String,
    request: &pb::ListRefusalsRequest,
) -> Result<pb::ListRefusalsResponse, Error> {
    let (size, after) = (page_size(request.page_size)?, cursor(&request.page_token)?);
    let query = convert::refusal::query(tenant, request)?;
    let Page { refusals, next } = log.list(&query, after, size, SystemTime::now()).await?;
    let token = |Cursor { position, number }: Cursor| format!("{position}.{number}");
    let next_page_token = next.map(token).unwrap_or_default();
    let refusals = refusals.iter().map(convert::refusal::to_wire).collect();
    Ok(pb::ListRefusalsResponse { refusals, next_page_token })
}

/// Records what a gateway has observed.
pub(super) async fn report(
    log: &RefusalLog,
    request: pb::ReportRefusalsRequest,
) -> Result<pb::ReportRefusalsResponse, Error> {
    let now = SystemTime::now();
    log.record(&convert::refusal::report(request)?.validated(now)?, now).await?;
    Ok(pb::ReportRefusalsResponse {})
}

/// The cursor after which a page begins.
fn cursor(token: &str) -> Result<Cursor, Error> {
    if token.is_empty() {
        return Ok(Cursor::default());
    }
    let parts = token.split_once('.');
    let cursor = parts.and_then(|(position, number)| {
        Some(Cursor { position: position.parse().ok()?, number: number.parse().ok()? })
    });
    cursor.ok_or_else(invalid_page_token)
}
