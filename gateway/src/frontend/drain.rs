//! Drains the body of a request that is rejected before it was read.
//!
//! Over HTTP/1 a client that is still sending sees a connection reset instead of our response if the connection is
//! closed, so the rest of its body is read and discarded, up to a limit. Over HTTP/2 only the stream is reset, after the
//! response, as RFC 9113 (8.1) has it; but some clients, such as curl 7.88, then lose the response too.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// The most bytes that are read and discarded, and for how long.
const MAX_BYTES: usize = 1 << 20;
const MAX_TIME: Duration = Duration::from_secs(10);

/// A body that is drained when it is dropped before its end.
struct Draining {
    inner: Body,
    /// Whether there is nothing to discard.
    ended: bool,
}

/// The request with a body that is drained if it is dropped before its end. A client with `Expect: 100-continue` sends
/// nothing until the body is first read, and must not get a 100 for a rejected request.
pub(super) fn drained(request: Request<Body>) -> Request<Body> {
    let ended = request.headers().contains_key(header::EXPECT);
    request.map(|inner| Body::new(Draining { inner, ended }))
}

impl http_body::Body for Draining {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        self.ended = matches!(frame, Poll::Ready(None | Some(Err(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if self.ended || http_body::Body::is_end_stream(&self.inner) {
            return;
        }
        let mut inner = std::mem::take(&mut self.inner);
        // Outside of a runtime the connection is gone as well.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(MAX_TIME, async move {
            let mut left = MAX_BYTES;
            while let Some(Ok(frame)) = inner.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    return;
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    const PIECE: usize = 1 << 16;
    const WITHIN_LIMIT: usize = MAX_BYTES / PIECE;

    /// A body whose pieces are sent by the test. The sender learns when it is discarded.
    fn body() -> (mpsc::Sender<Bytes>, Body) {
        let (sender, receiver) = mpsc::channel(1);
        let pieces = stream::unfold(receiver, |mut receiver| async {
            Some((Ok::<_, Infallible>(receiver.recv().await?), receiver))
        });
        (sender, Body::from_stream(pieces))
    }

    fn reject(body: Body, expects: bool) {
        let request = Request::new(body);
        let (mut parts, body) = request.into_parts();
        if expects {
            parts.headers.insert(header::EXPECT, "100-continue".parse().unwrap());
        }
        drop(drained(Request::from_parts(parts, body)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejected_body_is_read_up_to_the_limit_of_bytes() {
        let (sender, rest) = body();
        reject(rest, false);
        for piece in 1..=WITHIN_LIMIT {
            assert!(sender.send(Bytes::from_static(&[0; PIECE])).await.is_ok(), "piece {piece}");
        }
        sender.closed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejected_body_is_read_up_to_the_limit_of_time() {
        let (sender, rest) = body();
        let start = Instant::now();
        reject(rest, false);
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        tokio::time::sleep(MAX_TIME - Duration::from_secs(1)).await;
        sender.send(Bytes::from_static(b"b")).await.unwrap();
        sender.closed().await;
        let taken = start.elapsed();
        assert!(taken >= MAX_TIME && taken < MAX_TIME + Duration::from_secs(1), "{taken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_of_a_body_that_waits_for_100_continue_or_has_ended() {
        let (sender, rest) = body();
        reject(rest, true);
        assert!(sender.is_closed());

        let (sender, rest) = body();
        drop(sender);
        let mut request = drained(Request::new(rest));
        assert!(request.body_mut().frame().await.is_none());
        drop(request);
        let metrics = tokio::runtime::Handle::current().metrics();
        assert_eq!(metrics.num_alive_tasks(), 0);
    }
}
