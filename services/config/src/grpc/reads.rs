//! The methods of AuditService about audited reads. Separate from those about the journal, which has no part in them.

use std::sync::Arc;
use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;
use futures_util::stream::{self, Stream, TryStreamExt};

use super::page_size;
use super::refusals::{cursor, page_token};
use crate::audited_reads::AuditedReads;
use crate::bounded_log::{Cursor, Page, Query};
use crate::{Error, convert};

/// Reads per step of an export.
const EXPORTED_AT_ONCE: usize = 500;

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

/// Streams all of them, step by step on demand.
pub(super) fn export(
    reads: Arc<AuditedReads>,
    query: Query,
) -> impl Stream<Item = Result<pb::AuditedRead, Error>> {
    let query = Arc::new(query);
    let steps = stream::try_unfold(Some(Cursor::default()), move |after| {
        let (reads, query) = (Arc::clone(&reads), Arc::clone(&query));
        async move {
            let Some(after) = after else { return Ok::<_, Error>(None) };
            let page = reads.log().list(&query, after, EXPORTED_AT_ONCE, SystemTime::now()).await?;
            let step: Vec<_> = page.entries.iter().map(convert::audited_read::to_wire).map(Ok).collect();
            Ok(Some((stream::iter(step), page.next)))
        }
    });
    steps.try_flatten()
}
