//! The messages of a call as the parts of its documents, and the digest that its head announces.

use dataflow_proto::google::api::HttpBody;
use futures_util::{Stream, StreamExt, stream};
use tonic::Streaming;
use tonic::metadata::MetadataMap;

use crate::document::{Fingerprint, Part};
use crate::{Error, digest};

/// The digest that the caller announced for the documents.
///
/// # Errors
///
/// [`Error::DigestInvalid`].
pub fn announced_digest(head: &MetadataMap) -> Result<Option<Fingerprint>, Error> {
    let given = head.get(digest::HEADER).map(|given| given.to_str().unwrap_or_default());
    given.map_or(Ok(None), digest::parse).map_err(Error::DigestInvalid)
}

/// The documents in all messages, of which each content type begins the next one. `document` takes the piece out of a
/// message.
pub fn parts<M>(
    first: M,
    rest: Streaming<M>,
    mut document: impl FnMut(M) -> Option<HttpBody>,
) -> impl Stream<Item = Result<Part, Error>> {
    let mut begun = false;
    let messages = stream::once(async { Ok(first) }).chain(rest.map(|message| message.map_err(Error::from)));
    messages.flat_map(move |message| {
        let parts = match message.map(|message| document(message).unwrap_or_default()) {
            Ok(HttpBody { content_type, data, .. }) => {
                let begins = !content_type.is_empty();
                let next = (begins && begun).then_some(Part::NextDocument);
                begun |= begins || !data.is_empty();
                [next, (!data.is_empty()).then_some(Part::Bytes(data))].map(|part| part.map(Ok))
            }
            Err(error) => [Some(Err(error)), None],
        };
        stream::iter(parts.into_iter().flatten())
    })
}
