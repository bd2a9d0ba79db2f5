//! A request's body that can be sent again, as long as not much of it has been sent.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// Most bytes of a body that are kept to be sent again, as meshes do.
const KEPT: usize = 64 * 1024;

/// A body, and what was sent of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Replay(Arc<Mutex<Sent>>);

#[derive(Debug)]
struct Sent {
    body: Body,
    /// What was sent; none once it was too much.
    kept: Option<Vec<Bytes>>,
    size: usize,
}

/// One attempt to send it: what was sent before, then the rest.
#[derive(Debug)]
pub(super) struct Attempt {
    again: VecDeque<Bytes>,
    replay: Replay,
}

// === impl Replay ===

impl Replay {
    /// A body and the first attempt to send it.
    pub(super) fn new(body: Body) -> (Self, Attempt) {
        let replay = Self(Arc::new(Mutex::new(Sent { body, kept: Some(Vec::new()), size: 0 })));
        (replay.clone(), Attempt { again: VecDeque::new(), replay })
    }

    /// Another attempt, from its beginning; none if it cannot be had any more. The one before must be over.
    pub(super) fn again(&self) -> Option<Attempt> {
        let again = self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()?;
        Some(Attempt { again: again.into(), replay: self.clone() })
    }
}

// === impl Attempt ===

impl http_body::Body for Attempt {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.again.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let mut sent = self.replay.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = &mut *sent;
        let frame = ready!(Pin::new(&mut sent.body).poll_frame(cx));
        match frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
            Some(Ok(Some(data))) => {
                sent.size += data.len();
                match &mut sent.kept {
                    Some(kept) if sent.size <= KEPT => kept.push(data.clone()),
                    kept => *kept = None,
                }
            }
            // Neither trailers nor a failure can be had twice.
            Some(_) => sent.kept = None,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let sent = self.replay.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.again.is_empty() && sent.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.replay.0.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint();
        let again: u64 = self.again.iter().map(|data| data.len() as u64).sum();
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

    use super::*;

    fn replay(pieces: &[usize]) -> Replay {
        let pieces: Vec<_> =
            pieces.iter().map(|length| Ok::<_, Status>(Frame::data(Bytes::from(vec![7; *length])))).collect();
        Replay::new(Body::new(StreamBody::new(stream::iter(pieces)))).0
    }

    /// The lengths of the pieces that an attempt sends, at most `pieces` of them.
    async fn send(replay: &Replay, pieces: usize) -> Option<Vec<usize>> {
        let mut attempt = replay.again()?;
        let mut lengths = Vec::new();
        while lengths.len() < pieces
            && let Some(frame) = attempt.frame().await
        {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        Some(lengths)
    }

    #[tokio::test]
    async fn a_body_is_sent_again_from_its_beginning_and_to_its_end() {
        let replay = replay(&[1, 2, 3]);
        assert_eq!(send(&replay, 2).await, Some(vec![1, 2]));
        assert_eq!(send(&replay, 9).await, Some(vec![1, 2, 3]));
        assert_eq!(send(&replay, 9).await, Some(vec![1, 2, 3]));
    }

    #[tokio::test]
    async fn a_body_of_which_much_was_sent_is_not_sent_again() {
        let replay = replay(&[KEPT - 1, 1, 1]);
        assert_eq!(send(&replay, 2).await, Some(vec![KEPT - 1, 1]));
        assert_eq!(send(&replay, 3).await, Some(vec![KEPT - 1, 1, 1]));
        assert_eq!(send(&replay, 9).await, None);
    }

    #[test]
    fn an_empty_body_is_over_from_the_beginning() {
        let (_, attempt) = Replay::new(Body::empty());
        assert!(attempt.is_end_stream());
        assert_eq!(attempt.size_hint().exact(), Some(0));
    }
}
