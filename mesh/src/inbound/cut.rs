//! An answer that ends early, with a status in its trailers, once something has happened: its time is up, or the
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
    pub(crate) struct CutBody<B, C, D> {
        #[pin]
        state: State<B, C>,
        why: D,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<B, C> {
        Open { #[pin] inner: B, #[pin] cut: C },
        // What the answer holds is let go of at once: memory, a permit, a peer's stream.
        Cut,
    }
}

// === impl CutBody ===

impl<B, C, D> CutBody<B, C, D> {
    /// The answer `inner`, ended with the status of `why` when `cut` resolves.
    pub(crate) fn new(inner: B, cut: C, why: D) -> Self {
        Self { state: State::Open { inner, cut }, why }
    }
}

impl<B, C, D> Body for CutBody<B, C, D>
where
    B: Body<Data = Bytes>,
    C: Future<Output = ()>,
    D: Describe,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let StateProjection::Open { inner, cut } = this.state.as_mut().project() else {
            return Poll::Ready(None);
        };
        // Before the answer itself, or one that always has a frame at hand would never be cut.
        if cut.poll(cx).is_pending() {
            return inner.poll_frame(cx);
        }
        this.state.set(State::Cut);
        let status: Status = status::to_status(this.why);
        let trailers = status.into_http::<()>().into_parts().0.headers;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    // Forwarded, or an answer without a body would no longer leave as one HEADERS frame.
    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Open { inner, .. } => inner.is_end_stream(),
            State::Cut => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Open { inner, .. } => inner.size_hint(),
            State::Cut => SizeHint::with_exact(0),
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
    async fn an_answer_that_never_pauses_is_cut_and_let_go_of() {
        let (held, cut) = (Arc::new(()), Arc::new(Notify::new()));
        let holding = held.clone();
        let frame = move |()| {
            let _ = &holding;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"more"))), ()))
        };
        let endless = StreamBody::new(stream::unfold((), move |state| std::future::ready(frame(state))));
        let cutting = cut.clone();
        let notified = Box::pin(async move { cutting.notified().await });
        let mut body = CutBody::new(endless, notified, Error::Exceeded);
        assert!(body.frame().await.unwrap().unwrap().is_data());
        cut.notify_one();
        let last = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(last["grpc-status"], "4");
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[test]
    fn an_empty_body_stays_an_end_of_stream() {
        let body = CutBody::new(Empty::<Bytes>::new(), std::future::pending(), Error::Exceeded);
        assert!(body.is_end_stream());
    }
}
