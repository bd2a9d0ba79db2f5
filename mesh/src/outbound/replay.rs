//! A replayable request body: it buffers what was sent, up to a limit, so that a retry can send it again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tower::BoxError;

/// Size of the replay buffer, in bytes, as in the proxies of meshes.
const MAX_REPLAY_BYTES: usize = 64 * 1024;

/// A body and its replay buffer. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Replay(Arc<Mutex<ReplayState>>);

#[derive(Debug)]
struct ReplayState {
    body: Body,
    /// A copy of what was sent: a slice of the input may keep a much larger buffer alive. None beyond the limit.
    buffer: Option<BytesMut>,
    /// The number of the attempt that reads from the body.
    attempt: u8,
}

/// The body of one attempt: the replayed part, then the rest.
#[derive(Debug)]
pub(super) struct Attempt {
    replayed: Bytes,
    number: u8,
    replay: Replay,
}

// === impl Replay ===

impl Replay {
    /// A body and the first attempt to send it.
    pub(super) fn new(body: Body) -> (Self, Attempt) {
        let replay =
            Self(Arc::new(Mutex::new(ReplayState { body, buffer: Some(BytesMut::new()), attempt: 0 })));
        (replay.clone(), Attempt { replayed: Bytes::new(), number: 0, replay })
    }

    /// A new attempt, from the beginning of the body; none if the buffer is incomplete. The previous attempt gets no
    /// more data: the connection that sends it may not have noticed yet that it was abandoned.
    pub(super) fn retry(&self) -> Option<Attempt> {
        let mut state = self.state();
        let replayed = state.buffer.clone()?.freeze();
        state.attempt += 1;
        Some(Attempt { replayed, number: state.attempt, replay: self.clone() })
    }

    fn state(&self) -> MutexGuard<'_, ReplayState> {
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
        if !self.replayed.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.replayed)))));
        }
        let mut state = self.replay.state();
        let state = &mut *state;
        if state.attempt != self.number {
            return Poll::Ready(Some(Err("the call is being retried".into())));
        }
        let frame = ready!(Pin::new(&mut state.body).poll_frame(cx));
        match frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            Some(Ok(Some(data))) => match &mut state.buffer {
                Some(buffer) if buffer.len() + data.len() <= MAX_REPLAY_BYTES => {
                    buffer.extend_from_slice(data)
                }
                buffer => *buffer = None,
            },
            // Neither trailers nor an error can be replayed.
            Some(_) => state.buffer = None,
            None => {}
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.replayed.is_empty() && self.replay.state().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, replayed) = (self.replay.state().body.size_hint(), self.replayed.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + replayed);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + replayed);
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

    /// The number of bytes that an attempt sends in at most `pieces` frames.
    async fn send(attempt: &mut Attempt, pieces: usize) -> usize {
        let mut sent = 0;
        for _ in 0..pieces {
            let Some(frame) = attempt.frame().await else { break };
            sent += frame.unwrap().into_data().unwrap().len();
        }
        sent
    }

    #[tokio::test]
    async fn a_body_is_replayed_from_its_beginning_to_its_end() {
        let (replay, mut first) = replay(&[1, 2, 3]);
        assert_eq!(send(&mut first, 2).await, 3);
        let mut second = replay.retry().unwrap();
        assert_eq!(second.size_hint().lower(), 3);
        assert_eq!(send(&mut second, 9).await, 6);
        assert_eq!(send(&mut replay.retry().unwrap(), 9).await, 6);
    }

    #[tokio::test]
    async fn an_attempt_fails_once_a_retry_has_started() {
        let (replay, mut first) = replay(&[1, 2, 3]);
        assert_eq!(send(&mut first, 1).await, 1);
        let mut second = replay.retry().unwrap();
        assert!(first.frame().await.unwrap().is_err());
        assert_eq!(send(&mut second, 9).await, 6, "the retry sends the whole body");
    }

    #[tokio::test]
    async fn a_body_is_not_replayed_beyond_the_buffer_limit() {
        let (replay, mut first) = replay(&[MAX_REPLAY_BYTES - 1, 1, 1]);
        assert_eq!(send(&mut first, 2).await, MAX_REPLAY_BYTES);
        let mut second = replay.retry().unwrap();
        assert_eq!(send(&mut second, 9).await, MAX_REPLAY_BYTES + 1);
        assert!(replay.retry().is_none());
    }

    #[test]
    fn an_empty_body_is_an_end_of_stream_at_once() {
        let (_, attempt) = Replay::new(Body::empty());
        assert!(attempt.is_end_stream());
        assert_eq!(attempt.size_hint().exact(), Some(0));
    }
}
