//! The parts of an upload on their way to the parser.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};

use crate::Error;
use crate::document::{DocumentSender, Part, ReaderClosed};

/// Fails if the next part takes longer than the idle timeout.
pub(crate) fn in_time(
    idle_timeout: Duration,
    parts: impl Stream<Item = Result<Part, Error>>,
) -> impl Stream<Item = Result<Part, Error>> {
    stream::unfold(Box::pin(parts), move |mut parts| async move {
        let next = tokio::time::timeout(idle_timeout, parts.next()).await;
        let part = next.unwrap_or(Some(Err(Error::UploadStalled { waited: idle_timeout })))?;
        Some((part, parts))
    })
}

/// Fails at the first of more than `limit` documents.
pub(crate) fn at_most(
    limit: usize,
    parts: impl Stream<Item = Result<Part, Error>>,
) -> impl Stream<Item = Result<Part, Error>> {
    let mut begun = 1;
    parts.map(move |part| {
        begun += usize::from(matches!(part, Ok(Part::NextDocument)));
        if begun > limit { Err(Error::TooManyDocuments { limit }) } else { part }
    })
}

/// Sends every part to the parser; returns early, without an error, if the parser has stopped reading.
pub(crate) async fn send_all(
    sender: DocumentSender,
    parts: impl Stream<Item = Result<Part, Error>>,
) -> Result<(), Error> {
    let mut parts = std::pin::pin!(parts);
    loop {
        // Also while the client pauses: what has failed must not wait for it.
        let part = tokio::select! {
            biased;
            part = parts.next() => part.transpose()?,
            () = sender.closed() => return Ok(()),
        };
        let Some(part) = part else { break };
        if sender.send(part).await == Err(ReaderClosed) {
            return Ok(());
        }
    }
    // If the parser has stopped already, its result has the reason.
    let _ = sender.finish().await;
    Ok(())
}
