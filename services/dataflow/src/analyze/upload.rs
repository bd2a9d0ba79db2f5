//! Streams a document from a file or standard input as the messages of an upload.

use std::io;
use std::path::Path;
use std::pin::Pin;

use anyhow::Context;
use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::google::api::HttpBody;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::AsyncRead;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;

use crate::exit::Failure;
use crate::progress::Progress;

/// Document bytes per message: large enough that the overhead of gRPC framing is negligible, small enough that memory
/// is too.
const CHUNK_BYTES: usize = 64 * 1024;

/// The argument that means standard input.
const STANDARD_INPUT: &str = "-";

/// A document that has been opened.
pub(super) struct Document {
    /// Its size in bytes, if known in advance.
    pub(super) size: Option<u64>,
    read: Pin<Box<dyn AsyncRead + Send>>,
}

/// The name of the source in error messages.
pub(super) fn name(source: &Path) -> String {
    if source.as_os_str() == STANDARD_INPUT {
        "standard input".to_owned()
    } else {
        source.display().to_string()
    }
}

/// Opens a file, or standard input for `-`.
pub(super) async fn open(source: &Path) -> Result<Document, Failure> {
    if source.as_os_str() == STANDARD_INPUT {
        return Ok(Document { size: None, read: Box::pin(tokio::io::stdin()) });
    }
    let file =
        tokio::fs::File::open(source).await.with_context(|| format!("cannot open {}", source.display()))?;
    let metadata = file.metadata().await?;
    if metadata.is_dir() {
        return Err(anyhow::anyhow!("cannot read {}: it is a directory", source.display()).into());
    }
    Ok(Document { size: metadata.is_file().then_some(metadata.len()), read: Box::pin(file) })
}

/// The messages of the upload. On a read error the stream stays open and the receiver gets the error, so that a
/// truncated document is never processed as a complete one.
pub(super) fn messages(
    document: Document,
    ruleset: String,
    progress: Progress,
) -> (impl Stream<Item = pb::AnalyzeCatalogueRequest> + Send + 'static, oneshot::Receiver<io::Error>) {
    let (sender, read_error) = oneshot::channel();
    let mut sender = Some(sender);
    let options = pb::AnalyzeCatalogueRequest { ruleset, ..Default::default() };
    let sent = progress.clone();
    let pieces = ReaderStream::with_capacity(document.read, CHUNK_BYTES).filter_map(move |piece| {
        let message = match piece {
            Ok(piece) => {
                sent.sent(piece.len() as u64);
                Some(message(piece))
            }
            Err(error) => {
                if let Some(sender) = sender.take() {
                    // The receiver is gone if the call ended first.
                    let _ = sender.send(error);
                }
                None
            }
        };
        let failed = message.is_none();
        async move {
            if failed {
                std::future::pending::<()>().await;
            }
            message
        }
    });
    let all_sent = stream::once(async move { progress.await_reply() }).filter_map(|()| async { None });
    (stream::once(async { options }).chain(pieces).chain(all_sent), read_error)
}

fn message(piece: Bytes) -> pb::AnalyzeCatalogueRequest {
    let document = HttpBody { data: piece, ..Default::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
}
