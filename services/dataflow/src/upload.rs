//! Streams documents from files or standard input as the messages of an upload.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bytes::Bytes;
use dataflow_proto::google::api::HttpBody;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::AsyncRead;
use tokio::sync::oneshot;
use tokio_util::io::ReaderStream;

use crate::exit::{Exit, Failure};
use crate::progress::Progress;

/// Document bytes per message: large enough that the overhead of gRPC framing is negligible, small enough that memory
/// is too.
const CHUNK_BYTES: usize = 64 * 1024;

/// The argument that means standard input.
const STANDARD_INPUT: &str = "-";

/// Begins each document, also an empty one. The service reads the format from the document itself.
const CONTENT_TYPE: &str = "application/octet-stream";

/// A document that has been opened.
pub(crate) struct Document {
    /// The name of its source.
    name: String,
    /// Its size in bytes, if known in advance.
    size: Option<u64>,
    read: Pin<Box<dyn AsyncRead + Send>>,
}

/// The name of the source in error messages.
pub(crate) fn name(source: &Path) -> String {
    if source.as_os_str() == STANDARD_INPUT {
        "standard input".to_owned()
    } else {
        source.display().to_string()
    }
}

/// Opens the catalogue and the further documents. Standard input can be read only once.
pub(crate) async fn open_all(sources: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    if sources.iter().filter(|source| source.as_os_str() == STANDARD_INPUT).count() > 1 {
        let why = anyhow::anyhow!("standard input (`-`) is named twice; name a file for one of the two");
        return Err(Failure::new(Exit::Usage, why));
    }
    let mut documents = Vec::with_capacity(sources.len());
    for source in sources {
        documents.push(open(source).await?);
    }
    Ok(documents)
}

/// The bytes of all documents, if known in advance.
pub(crate) fn size(documents: &[Document]) -> Option<u64> {
    documents.iter().map(|document| document.size).sum()
}

/// Opens a file, or standard input for `-`.
async fn open(source: &Path) -> Result<Document, Failure> {
    if source.as_os_str() == STANDARD_INPUT {
        return Ok(Document { name: name(source), size: None, read: Box::pin(tokio::io::stdin()) });
    }
    let file = tokio::fs::File::open(source).await.map_err(|error| unopened(source, error))?;
    let metadata = file.metadata().await?;
    if metadata.is_dir() {
        return Err(anyhow::anyhow!("cannot read {}: it is a directory", source.display()).into());
    }
    let size = metadata.is_file().then_some(metadata.len());
    Ok(Document { name: name(source), size, read: Box::pin(file) })
}

/// The error for a source that cannot be opened.
fn unopened(source: &Path, error: io::Error) -> anyhow::Error {
    let name = source.display();
    let is_url = source
        .to_str()
        .is_some_and(|text| ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)));
    if is_url {
        return anyhow::anyhow!(
            "{name} is a URL, which is not fetched; send it: curl -sL {name} | dataflow analyze -"
        );
    }
    anyhow::Error::new(error).context(format!("cannot open {name}"))
}

/// A message of an upload: the next piece of a document, with the name of its source if it begins one.
pub(crate) type ToMessage<M> = fn(source: Option<String>, piece: HttpBody) -> M;

/// The messages of the upload, the first of which has the `options`. On a read error the stream stays open and the
/// receiver gets the error, with the index of the document, so that a truncated document is never processed as a complete
/// one.
pub(crate) fn messages<M: Send + 'static>(
    documents: Vec<Document>,
    options: M,
    to_message: ToMessage<M>,
    progress: Progress,
) -> (impl Stream<Item = M> + Send + 'static, oneshot::Receiver<(usize, io::Error)>) {
    let (sender, read_error) = oneshot::channel();
    let mut sender = Some(sender);
    let sent = progress.clone();
    let pieces = stream::iter(documents.into_iter().enumerate()).flat_map(|(index, document)| {
        let begin = stream::once(async { Ok((Some(document.name), Bytes::new())) });
        let pieces = ReaderStream::with_capacity(document.read, CHUNK_BYTES);
        let pieces =
            pieces.map(move |piece| piece.map(|piece| (None, piece)).map_err(|error| (index, error)));
        begin.chain(pieces)
    });
    let messages = pieces.filter_map(move |piece| {
        let message = match piece {
            Ok((source, data)) => {
                sent.sent(data.len() as u64);
                let content_type = if source.is_some() { CONTENT_TYPE } else { "" }.to_owned();
                Some(to_message(source, HttpBody { content_type, data, ..Default::default() }))
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
    (stream::once(async { options }).chain(messages).chain(all_sent), read_error)
}
