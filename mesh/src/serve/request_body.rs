//! Request bodies that consist of data only. tonic adds the trailers of a unary request to its metadata, where those of
//! a caller would pass for headers that only the gateway or the mesh may set; gRPC requests have no trailers. Empty
//! DATA frames would be forwarded to an upstream, which closes the connection after 100 of them (h2).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

use crate::access_log::Traffic;

/// Drops the trailers and the empty frames of a request, over HTTP/1.1 and HTTP/2, and counts its bytes.
pub(super) struct DataOnly<B> {
    pub(super) inner: B,
    pub(super) traffic: Arc<Traffic>,
}

impl<B: Body + Unpin> Body for DataOnly<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            if let Some(Ok(frame)) = &frame {
                match frame.data_ref().map_or(0, Buf::remaining) {
                    0 => continue,
                    bytes => self.traffic.received(bytes as u64),
                }
            }
            return Poll::Ready(frame);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
