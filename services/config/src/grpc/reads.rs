//! The methods of AuditService about audited reads. Separate from those about the journal, which has no part in them.

use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;

use super::log_pages::{cursor, page_token};
use super::page_size;
use crate::audited_reads::AuditedReads;
use crate::bounded_log::Page;
use crate::{Error, convert};

/// The reads that a caller of this tenant asks for.
pub(super) async fn list(
    reads: &AuditedReads,
    tenant: String,
    request: &pb::ListReadsRequest,
) -> Result<pb::ListReadsResponse, Error> {
    let (size, after) = (page_size(request.page_size)?, cursor(&request.page_token)?);
    let query = convert::refusal::query(tenant, &request.subject, request.start_time, request.end_time)?;
    let Page { entries, next } = reads.log().list(&query, after, size, SystemTime::now()).await?;
    let reads = entries.iter().map(convert::audited_read::to_wire).collect();
    Ok(pb::ListReadsResponse { reads, next_page_token: page_token(next) })
}
