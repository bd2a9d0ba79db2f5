//! Request bodies: the call gets its permit when enough of the body has arrived, and ends when its client is too slow.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::poll_fn;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::admission::Admission;
use super::gzip::Decompressor;
use super::request_memory::{MessageMemory, RequestMemory};
use crate::flow_control::STREAM_WINDOW;
use crate::inbound::error::Error;

/// With so many bytes, a body counts as arrived: the flow-control window of a stream, which is kept in memory anyway.
const ENOUGH: u64 = STREAM_WINDOW as u64;

/// How slow a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// The longest wait for the next bytes.
    pub(super) idle: Duration,
    /// The fewest bytes in a second of waiting, on average after the time `idle`; 0 for any.
    pub(super) rate: u64,
}

/// A request body that arrives. Only the time counts in which the server waits for the client.
#[derive(Debug)]
pub(super) struct ArrivingBody {
    inner: Body,
    /// What was read ahead, and not taken yet.
    first: Option<Result<Bytes, axum::Error>>,
    pace: Pace,
    /// All bytes, and all time that was spent waiting for them.
    received: u64,
    waited: Duration,
    /// Since when the present wait lasts, and its end.
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
    ended: bool,
    admission: Admission,
    /// Whether the permit is decided.
    decided: bool,
    messages: RequestMemory,
    /// Decompresses the messages, if the client compresses them.
    decompressor: Option<Decompressor>,
    /// Counts the message, if it is one.
    message: Option<MessageMemory>,
}

// === impl Pace ===

impl Pace {
    /// The longest next wait of a client that has sent `received` bytes in `waited`.
    fn allowance(self, received: u64, waited: Duration) -> Duration {
        let Some(earned) = received.checked_div(self.rate) else { return self.idle };
        let total = self.idle.saturating_add(Duration::from_secs(earned));
        self.idle.min(total.saturating_sub(waited))
    }
}

// === impl ArrivingBody ===

impl ArrivingBody {
    /// A body that takes the permit of `admission` when it has arrived, and fails if there is none.
    pub(super) fn new(inner: Body, pace: Pace, admission: Admission, messages: RequestMemory) -> Self {
        let ended = http_body::Body::is_end_stream(&inner);
        let (received, waited) = (0, Duration::ZERO);
        Self {
            inner,
            first: None,
            pace,
            received,
            waited,
            wait: None,
            ended,
            admission,
            decided: false,
            messages,
            decompressor: None,
            message: None,
        }
    }

    /// Counts the memory of the message.
    pub(super) fn counted_by(self, message: Option<MessageMemory>) -> Self {
        Self { message, ..self }
    }

    /// Decompresses the messages.
    pub(super) fn decompressed_by(self, decompressor: Option<Decompressor>) -> Self {
        Self { decompressor, ..self }
    }

    /// What arrives as the handler gets it: decompressed, and counted. Nothing of a compressed message that is not
    /// complete.
    fn take(&mut self, data: Bytes) -> Result<Bytes, Error> {
        let Some(decompressor) = &mut self.decompressor else {
            self.count(&data)?;
            return Ok(data);
        };
        let data = decompressor.read(&data)?;
        self.check_complete()?;
        self.count(&data)?;
        Ok(data)
    }

    /// Whether the body has not ended within a compressed message.
    fn check_complete(&self) -> Result<(), Error> {
        let is_complete = self.decompressor.as_ref().is_none_or(Decompressor::is_between_messages);
        if self.ended && !is_complete { Err(Error::GzipInvalid) } else { Ok(()) }
    }

    /// Counts what has arrived.
    fn count(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.received > ENOUGH && self.messages.is_exhausted() && self.admission.has_others() {
            return Err(Error::MemoryExhausted);
        }
        let Some(message) = &mut self.message else { return Ok(()) };
        message.read(data)?;
        if self.ended {
            self.admission.keep(message.take());
        }
        Ok(())
    }

    /// Whether the body is complete, or enough of it has arrived. Reads ahead what is there.
    pub(super) fn has_arrived(&mut self) -> bool {
        if !self.ended && self.first.is_none() {
            self.first = poll_fn(|cx| self.poll_inner(cx)).now_or_never().flatten();
        }
        self.ended || self.received >= ENOUGH
    }

    /// Takes the permit.
    pub(super) fn decide(&mut self) -> Result<(), Error> {
        self.decided = true;
        self.admission.decide()
    }

    /// The next bytes that are not empty.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            let frame = match http_body::Body::poll_frame(Pin::new(&mut self.inner), cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    ready!(self.poll_stalled(cx));
                    let stalled = Error::BodyStalled { idle: self.pace.idle, rate: self.pace.rate };
                    return Poll::Ready(Some(Err(self.failed(stalled))));
                }
            };
            if let Some((since, _)) = self.wait.take() {
                self.waited += since.elapsed();
            }
            self.ended = !matches!(frame, Some(Ok(_))) || http_body::Body::is_end_stream(&self.inner);
            match frame {
                // Trailers end here: those of requests have no meaning.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => {
                        self.received += data.len() as u64;
                        match self.take(data) {
                            Ok(data) if data.is_empty() => {}
                            Ok(data) => return Poll::Ready(Some(Ok(data))),
                            Err(error) => return Poll::Ready(Some(Err(self.failed(error)))),
                        }
                    }
                    _ => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    if let Err(error) = self.check_complete() {
                        return Poll::Ready(Some(Err(self.failed(error))));
                    }
                    self.admission.keep(self.message.as_mut().and_then(MessageMemory::take));
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Ends the body, and the call with this error.
    fn failed(&mut self, error: Error) -> axum::Error {
        self.ended = true;
        self.admission.fail(error);
        axum::Error::new(error)
    }

    /// Ready when the present wait has become too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let allowance = self.pace.allowance(self.received, self.waited);
        let (_, end) = self.wait.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep(allowance)))
        });
        end.as_mut().poll(cx)
    }
}

impl http_body::Body for ArrivingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(self.poll_inner(cx)),
        };
        // Before the last bytes are handed on: without them the handler does not begin.
        if !self.decided
            && matches!(next, Some(Ok(_)) | None)
            && (self.ended || self.received >= ENOUGH)
            && let Err(error) = self.decide()
        {
            self.ended = true;
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        Poll::Ready(next.map(|next| next.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.ended && self.decided
    }

    fn size_hint(&self) -> SizeHint {
        let first: u64 = self.first.iter().flatten().map(|data| data.len() as u64).sum();
        let rest = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(first + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(first + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{Stream, StreamExt, stream};
    use http_body_util::BodyExt;

    use super::super::shares::{Claimant, Shares};
    use super::*;
    use crate::memory::Memory;

    const SECOND: Duration = Duration::from_secs(1);
    const PACE: Pace = Pace { idle: Duration::from_secs(10), rate: 100 };

    fn memory() -> RequestMemory {
        RequestMemory::new(u64::MAX, u64::MAX, Memory::unlimited())
    }

    fn arriving(pieces: impl Stream<Item = Vec<u8>> + Send + 'static, pace: Pace) -> ArrivingBody {
        let admission = Admission::new(Shares::default(), 1, Claimant::default());
        ArrivingBody::new(Body::from_stream(pieces.map(Ok::<_, Infallible>)), pace, admission, memory())
    }

    /// Pieces of this length, each a time after the one before.
    fn trickle(length: usize, every: Duration, count: usize) -> impl Stream<Item = Vec<u8>> {
        stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(every).await;
            vec![0; length]
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_complete_or_large_body_has_arrived_and_loses_nothing() {
        let mut whole = arriving(stream::iter([vec![1; 3]]), PACE);
        assert!(!whole.has_arrived(), "the end is not known yet");
        assert_eq!(whole.collect().await.unwrap().to_bytes(), [1, 1, 1][..]);
        let admission = Admission::new(Shares::default(), 1, Claimant::default());
        let mut exact = ArrivingBody::new(Body::from(vec![1; 3]), PACE, admission, memory());
        assert!(exact.has_arrived());
        assert_eq!(exact.collect().await.unwrap().to_bytes(), [1, 1, 1][..]);
        let enough = usize::try_from(ENOUGH).unwrap();
        let mut large = arriving(stream::iter([vec![], vec![0; enough]]).chain(trickle(1, SECOND, 2)), PACE);
        assert!(large.has_arrived());
        assert_eq!(large.collect().await.unwrap().to_bytes().len(), enough + 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_is_taken_when_the_body_has_arrived() {
        let enough = usize::try_from(ENOUGH).unwrap();
        let shares = Shares::default();
        let take = || shares.try_acquire(1, Claimant::default());
        // The number of pieces that are handed on without a permit.
        for (pieces, before) in [(vec![enough - 1, 1, 1], 1), (vec![enough], 0), (vec![1, 1], 2)] {
            let pieces: Vec<_> = pieces.into_iter().map(|length| vec![0; length]).collect();
            let admission = || Admission::new(shares.clone(), 1, Claimant::default());
            let whole: usize = pieces.iter().map(Vec::len).sum();
            let body_of = |admission: &Admission| {
                let pieces = stream::iter(pieces.clone()).map(Ok::<_, Infallible>);
                ArrivingBody::new(Body::from_stream(pieces), PACE, admission.clone(), memory())
            };
            let refused = admission();
            let mut body = body_of(&refused);
            for _ in 0..before {
                body.frame().await.unwrap().unwrap();
            }
            assert!(take().is_some(), "not yet taken");
            let taken = take();
            assert!(body.frame().await.unwrap().is_err() && body.frame().await.is_none());
            assert!(matches!(refused.failure(), Some(Error::Overloaded)));
            drop(taken);
            let admitted = admission();
            assert_eq!(body_of(&admitted).collect().await.unwrap().to_bytes().len(), whole);
            assert!(take().is_none(), "taken, and kept by the call");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_pauses_or_is_slow_is_cut() {
        let check = async |length, every, pace, expected: Result<usize, Duration>| {
            let begun = Instant::now();
            let body = arriving(trickle(length, every, 30), pace);
            let collected = body.collect().await;
            let found = collected.map(|body| body.to_bytes().len()).map_err(|_| begun.elapsed());
            assert_eq!(found, expected, "{length} {every:?} {pace:?}");
        };
        check(1000, 10 * SECOND - Duration::from_millis(2), PACE, Ok(30_000)).await;
        check(1000, 11 * SECOND, PACE, Err(10 * SECOND)).await;
        // 50 bytes a second, of which 100 are required after 10 s.
        check(50, SECOND, PACE, Err(19 * SECOND)).await;
        check(50, SECOND, Pace { rate: 0, ..PACE }, Ok(1500)).await;
        check(100, SECOND, PACE, Ok(3000)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_the_server_does_not_count() {
        let mut body = arriving(trickle(60, SECOND, 12), Pace { rate: 60, ..PACE });
        for _ in 0..12 {
            tokio::time::sleep(60 * SECOND).await;
            body.frame().await.unwrap().unwrap();
        }
        assert!(body.frame().await.is_none());
    }
}
