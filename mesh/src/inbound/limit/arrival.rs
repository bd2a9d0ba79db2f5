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

    /// The next message of those that the client compresses, counted.
    fn decompressed(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(decompressor) = &mut self.decompressor else { return Ok(None) };
        match decompressor.next()? {
            Some(data) => self.count(&data).map(|()| Some(data)),
            None if self.ended && !decompressor.is_between_messages() => Err(Error::GzipInvalid),
            None => Ok(None),
        }
    }

    /// Holds what has arrived of messages that the client compresses. A message is handed on when it is complete; the
    /// permit of the call must be there before.
    fn hold(&mut self, data: Bytes) -> Result<(), Error> {
        if self.received >= ENOUGH && !self.decided {
            self.decide()?;
        }
        self.check_memory()?;
        if let Some(decompressor) = &mut self.decompressor {
            decompressor.push(data);
        }
        Ok(())
    }

    fn check_memory(&self) -> Result<(), Error> {
        if self.received > ENOUGH && self.messages.is_lacking(false) && self.admission.has_others() {
            return Err(Error::MemoryExhausted);
        }
        Ok(())
    }

    /// Counts what has arrived.
    fn count(&mut self, data: &[u8]) -> Result<(), Error> {
        self.check_memory()?;
        let is_drained = self.is_drained();
        let Some(message) = &mut self.message else { return Ok(()) };
        message.read(data)?;
        if is_drained {
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

    /// Whether the body is complete and its last message was decompressed.
    fn is_drained(&self) -> bool {
        self.ended && self.decompressor.as_ref().is_none_or(Decompressor::is_between_messages)
    }

    /// Takes the permit.
    pub(super) fn decide(&mut self) -> Result<(), Error> {
        self.decided = true;
        self.admission.decide()
    }

    /// The next bytes that are not empty.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        loop {
            match self.decompressed() {
                Ok(None) if self.ended => return Poll::Ready(None),
                Ok(None) => {}
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Err(error) => return Poll::Ready(Some(Err(self.failed(error)))),
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
                        let is_compressed = self.decompressor.is_some();
                        let taken = if is_compressed {
                            self.hold(data)
                        } else {
                            match self.count(&data) {
                                Ok(()) => return Poll::Ready(Some(Ok(data))),
                                Err(error) => Err(error),
                            }
                        };
                        if let Err(error) = taken {
                            return Poll::Ready(Some(Err(self.failed(error))));
                        }
                    }
                    _ => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    if let Err(error) = self.decompressed() {
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
        self.decompressor = None;
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
        self.first.is_none() && self.is_drained() && self.decided
    }

    fn size_hint(&self) -> SizeHint {
        let first: u64 = self.first.iter().flatten().map(|data| data.len() as u64).sum();
        if self.decompressor.is_some() {
            return SizeHint::default();
        }
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
mod tests;
