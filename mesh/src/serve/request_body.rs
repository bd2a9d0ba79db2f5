//! Request bodies that consist of data only. tonic adds the trailers of a unary request to its metadata, where those of
//! a caller would pass for headers that only the gateway or the mesh may set; gRPC requests have no trailers. Empty
//! DATA frames would be forwarded to an upstream, which closes the connection after 100 of them (h2).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

/// Drops the trailers and the empty frames of a request, over HTTP/1.1 and HTTP/2.
pub(super) struct DataOnly<B>(pub(super) B);

impl<B: Body + Unpin> Body for DataOnly<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) if frame.data_ref().is_none_or(|data| !data.has_remaining()) => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
