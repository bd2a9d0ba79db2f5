//! A request's body that can be sent again, as long as not much of it has been sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tower::BoxError;

/// Most bytes of a body that are kept to be sent again, as meshes do.
const KEPT: usize = 64 * 1024;

/// A body, and what was sent of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Replay(Arc<Mutex<Sent>>);

#[derive(Debug)]
struct Sent {
    body: Body,
    /// What was sent, in a copy: a slice of what came in may hold much more than itself. None once it was too much.
    kept: Option<BytesMut>,
    /// The number of the attempt that goes on with the body.
    attempt: u8,
}

/// One attempt to send it: what was sent before, then the rest.
#[derive(Debug)]
pub(super) struct Attempt {
    again: Bytes,
    number: u8,
    replay: Replay,
}

// === impl Replay ===

impl Replay {
    /// A body and the first attempt to send it.
    pub(super) fn new(body: Body) -> (Self, Attempt) {
        let replay = Self(Arc::new(Mutex::new(Sent { body, kept: Some(BytesMut::new()), attempt: 0 })));
        (replay.clone(), Attempt { again: Bytes::new(), number: 0, replay })
    }

    /// Another attempt, from its beginning; none if it cannot be had any more. The one before gets no more of it: whoever
    /// sends that may not have noticed yet that it is over.
    pub(super) fn again(&self) -> Option<Attempt> {
        let mut sent = self.sent();
        let again = sent.kept.clone()?.freeze();
        sent.attempt += 1;
        Some(Attempt { again, number: sent.attempt, replay: self.clone() })
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Attempt ===

impl http_body::Body for Attempt {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.again.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.again)))));
        }
        let mut sent = self.replay.sent();
        let sent = &mut *sent;
        if sent.attempt != self.number {
            return Poll::Ready(Some(Err("the call is made again".into())));
        }
        let frame = ready!(Pin::new(&mut sent.body).poll_frame(cx));
        match frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            Some(Ok(Some(data))) => match &mut sent.kept {
                Some(kept) if kept.len() + data.len() <= KEPT => kept.extend_from_slice(data),
                kept => *kept = None,
            },
            // Neither trailers nor a failure can be had twice.
            Some(_) => sent.kept = None,
            None => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.again.is_empty() && self.replay.sent().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, again) = (self.replay.sent().body.size_hint(), self.again.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + again);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + again);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Body as _;
    use http_body_util::{BodyExt, StreamBody};
    use tonic::Status;

    use super::*;

    fn replay(pieces: &[usize]) -> (Replay, Attempt) {
        let pieces: Vec<_> =
            pieces.iter().map(|length| Ok::<_, Status>(Frame::data(Bytes::from(vec![7; *length])))).collect();
        Replay::new(Body::new(StreamBody::new(stream::iter(pieces))))
    }

    /// How much an attempt sends of a body, in at most `pieces` pieces.
    async fn send(attempt: &mut Attempt, pieces: usize) -> usize {
        let mut sent = 0;
        for _ in 0..pieces {
            let Some(frame) = attempt.frame().await else { break };
            sent += frame.unwrap().into_data().unwrap().len();
        }
        sent
    }

    #[tokio::test]
    async fn a_body_is_sent_again_from_its_beginning_and_to_its_end() {
        let (replay, mut first) = replay(&[1, 2, 3]);
        assert_eq!(send(&mut first, 2).await, 3);
        let mut second = replay.again().unwrap();
        assert_eq!(second.size_hint().lower(), 3);
        assert_eq!(send(&mut second, 9).await, 6);
        assert_eq!(send(&mut replay.again().unwrap(), 9).await, 6);
    }

    #[tokio::test]
    async fn an_attempt_gets_nothing_more_once_there_is_another() {
        let (replay, mut first) = replay(&[1, 2, 3]);
        assert_eq!(send(&mut first, 1).await, 1);
        let mut second = replay.again().unwrap();
        assert!(first.frame().await.unwrap().is_err());
        assert_eq!(send(&mut second, 9).await, 6, "nothing is lost to it");
    }

    #[tokio::test]
    async fn a_body_of_which_much_was_sent_is_not_sent_again() {
        let (replay, mut first) = replay(&[KEPT - 1, 1, 1]);
        assert_eq!(send(&mut first, 2).await, KEPT);
        let mut second = replay.again().unwrap();
        assert_eq!(send(&mut second, 9).await, KEPT + 1);
        assert!(replay.again().is_none());
    }

    #[test]
    fn an_empty_body_is_over_from_the_beginning() {
        let (_, attempt) = Replay::new(Body::empty());
        assert!(attempt.is_end_stream());
        assert_eq!(attempt.size_hint().exact(), Some(0));
    }
}
