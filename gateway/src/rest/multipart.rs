//! Bodies of `multipart/form-data` (RFC 7578) for methods that take a stream of documents: each part is one document. A
//! body is split as it arrives, and no part is held. Libraries that do this read ahead whatever the client sends, or
//! have no limit for the head of a part.

mod boundary;
mod error;
mod head;
mod parser;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::HeaderMap;
use tonic::Status;

use super::document::Piece;
use crate::body::{Coding, StreamedBody};
use boundary::Boundary;
use parser::{Event, Parser};

/// The limits of the parts of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartLimits {
    /// The most parts.
    pub(crate) parts: usize,
    /// The most bytes of the headers of one.
    pub(crate) head_bytes: usize,
}

/// The form of a body, as the head of its request states it.
#[derive(Debug)]
pub(super) struct Multipart {
    boundary: Boundary,
    coding: Option<Coding>,
    limits: PartLimits,
}

// === impl Multipart ===

impl Multipart {
    /// The form of the body of a request; none if it is not `multipart/form-data`.
    pub(super) fn read(headers: &HeaderMap, limits: PartLimits) -> Result<Option<Self>, Status> {
        let Some(boundary) = Boundary::read(headers)? else { return Ok(None) };
        Ok(Some(Self { boundary, coding: Coding::read(headers)?, limits }))
    }

    /// The parts of a body, in pieces as they arrive.
    pub(super) fn pieces(
        self,
        body: StreamedBody,
    ) -> impl Stream<Item = Result<Piece, Status>> + Send + 'static {
        let breakage = body.breakage();
        let bytes = match self.coding {
            Some(coding) => coding.decode_pieces(body.pieces()).boxed(),
            None => body.pieces().boxed(),
        };
        let state = (Parser::new(&self.boundary, self.limits), bytes);
        let pieces = stream::try_unfold(state, |(mut parser, mut bytes)| async move {
            loop {
                if let Some(event) = parser.next()? {
                    return Ok(Some((Piece::from(event), (parser, bytes))));
                }
                match bytes.next().await {
                    Some(arrived) => parser.push(&arrived?),
                    None => return parser.finish().map(|()| None).map_err(Status::from),
                }
            }
        });
        pieces.inspect_err(move |status: &Status| _ = breakage.set(status.clone()))
    }
}

impl From<Event> for Piece {
    fn from(event: Event) -> Self {
        match event {
            Event::Part(content_type) => Self { content_type, ..Self::default() },
            Event::Data(data) => Self { data, ..Self::default() },
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
