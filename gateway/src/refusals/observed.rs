//! The body of a response, observed for the trailers that state its failure.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::status::failure_in;
use http_body::{Frame, SizeHint};

use super::Attempt;

/// See the module.
pub(super) struct ObservedBody {
    pub(super) inner: Body,
    /// None once the trailers have come.
    pub(super) attempt: Option<Attempt>,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
            && let Some(attempt) = self.attempt.take()
            && let Some(status) = failure_in(trailers)
        {
            attempt.failed(&status);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
