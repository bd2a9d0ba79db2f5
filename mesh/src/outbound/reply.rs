//! The body of a response, as it comes from a peer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::Frame;

use super::upload::UploadGuard;
use crate::status::peer::{Broken, remove_malformed_details};

/// See the module. Dropped before its end, it resets the stream.
#[derive(Debug)]
pub(super) struct ReplyBody {
    stream: RecvStream,
    has_data: bool,
    _upload: Option<UploadGuard>,
}

// === impl ReplyBody ===

impl ReplyBody {
    /// The body of a response; `upload` is what is still sent of the request.
    pub(super) fn new(stream: RecvStream, upload: Option<UploadGuard>) -> Self {
        Self { has_data: !stream.is_end_stream(), stream, _upload: upload }
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.has_data {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The caller has it now, and the peer may send as much again.
                    self.stream.flow_control().release_capacity(data.len()).map_err(Broken::from)?;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => {
                    self.has_data = false;
                    // The response is complete, and the peer wants no more of the request (RFC 9113, 8.1).
                    let is_end = error.reason() == Some(Reason::NO_ERROR) && error.is_reset();
                    return Poll::Ready((!is_end).then(|| Err(error.into())));
                }
                None => self.has_data = false,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|mut trailers| {
                remove_malformed_details(&mut trailers);
                Ok(Frame::trailers(trailers))
            })),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}
