//! Pages of the logs beside the journal, and their export.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::{self, Stream, TryStreamExt};

use super::invalid_page_token;
use crate::Error;
use crate::bounded_log::{BoundedLog, Cursor, Entry, Query};

/// Entries per step of an export.
const EXPORTED_AT_ONCE: usize = 500;

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

/// Streams all entries, step by step on demand.
pub(super) fn export<E: Entry, W>(
    log: Arc<BoundedLog<E>>,
    query: Query,
    to_wire: fn(&E) -> W,
) -> impl Stream<Item = Result<W, Error>> {
    let query = Arc::new(query);
    let steps = stream::try_unfold(Some(Cursor::default()), move |after| {
        let (log, query) = (Arc::clone(&log), Arc::clone(&query));
        async move {
            let Some(after) = after else { return Ok::<_, Error>(None) };
            let page = log.list(&query, after, EXPORTED_AT_ONCE, SystemTime::now()).await?;
            let step: Vec<_> = page.entries.iter().map(to_wire).map(Ok).collect();
            Ok(Some((stream::iter(step), page.next)))
        }
    });
    steps.try_flatten()
}
