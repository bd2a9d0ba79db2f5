//! A response body that is terminated early, with a status in its trailers: when its deadline passes, or when the
//! service drains.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use crate::status::{self, Describe};

pin_project! {
    /// See the module.
    pub(crate) struct TerminatedBody<B, T, D> {
        #[pin]
        state: State<B, T>,
        error: D,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<B, T> {
        Open { #[pin] inner: B, #[pin] trigger: T },
        // The inner body is dropped at once, with its memory, permit and peer's stream.
        Terminated,
    }
}

// === impl TerminatedBody ===

impl<B, T, D> TerminatedBody<B, T, D> {
    /// The body `inner`, terminated with the status of `error` when `trigger` resolves.
    pub(crate) fn new(inner: B, trigger: T, error: D) -> Self {
        Self { state: State::Open { inner, trigger }, error }
    }
}

impl<B, T, D> Body for TerminatedBody<B, T, D>
where
    B: Body<Data = Bytes>,
    T: Future<Output = ()>,
    D: Describe,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let StateProjection::Open { inner, trigger } = this.state.as_mut().project() else {
            return Poll::Ready(None);
        };
        // Before the body itself, or a body that always has a frame ready would never be terminated.
        if trigger.poll(cx).is_pending() {
            return inner.poll_frame(cx);
        }
        this.state.set(State::Terminated);
        let status: Status = status::to_status(this.error);
        let trailers = status.into_http::<()>().into_parts().0.headers;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    // Forwarded, or a response without a body would no longer be sent as one HEADERS frame.
    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Open { inner, .. } => inner.is_end_stream(),
            State::Terminated => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Open { inner, .. } => inner.size_hint(),
            State::Terminated => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use futures_util::stream;
    use http_body_util::{BodyExt, Empty, StreamBody};
    use tokio::sync::Notify;

    use super::*;
    use crate::deadline::Error;

    #[tokio::test]
    async fn a_body_that_never_pauses_is_terminated_and_dropped() {
        let (guard, trigger) = (Arc::new(()), Arc::new(Notify::new()));
        let captured = guard.clone();
        let frame = move |()| {
            let _ = &captured;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"more"))), ()))
        };
        let endless = StreamBody::new(stream::unfold((), move |state| std::future::ready(frame(state))));
        let triggered = trigger.clone();
        let notified = Box::pin(async move { triggered.notified().await });
        let mut body = TerminatedBody::new(endless, notified, Error::Exceeded);
        assert!(body.frame().await.unwrap().unwrap().is_data());
        trigger.notify_one();
        let last = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(last["grpc-status"], "4");
        assert_eq!(Arc::strong_count(&guard), 1);
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[test]
    fn an_empty_body_stays_an_end_of_stream() {
        let body = TerminatedBody::new(Empty::<Bytes>::new(), std::future::pending(), Error::Exceeded);
        assert!(body.is_end_stream());
    }
}
