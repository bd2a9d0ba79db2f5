//! Guards that are kept until a response body has been sent: the concurrency permit of the call, its deadline watchdog.
//!
//! They travel with the response, so that a layer which makes another response of it, as REST does, can keep them until
//! that one has been sent.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use http::Response;
use http_body::{Frame, SizeHint};

use crate::deadline_watchdog::Watchdog;
use crate::long_work;

/// Longest piece that is handed to hyper, in bytes: a DATA frame of default size. hyper takes a piece of any length as
/// soon as the client's flow-control window is open at all, and treats a response as sent that it only buffers.
const PIECE: usize = 16 * 1024;

/// The default time for a client to take a piece.
const IDLE: Duration = Duration::from_secs(30);

/// See the module. Dropping it releases all of them.
#[derive(Debug, Clone)]
pub struct ResponseGuards {
    guards: Vec<Arc<dyn Any + Send + Sync>>,
    /// The time for the client to take a piece.
    idle: Duration,
    /// The bytes of the message that the first frame encodes, if the handler knows them.
    message: usize,
}

impl Default for ResponseGuards {
    fn default() -> Self {
        Self { guards: Vec::new(), idle: IDLE, message: 0 }
    }
}

// === impl ResponseGuards ===

impl ResponseGuards {
    /// Takes the guards out of a response.
    pub fn take<B>(response: &mut Response<B>) -> Self {
        response.extensions_mut().remove().unwrap_or_default()
    }

    /// The response, with these guards until its last piece is taken.
    pub fn attach(self, response: Response<Body>) -> Response<Body> {
        if http_body::Body::is_end_stream(response.body()) {
            return response;
        }
        response.map(|inner| Body::new(GuardedBody::new(inner, self)))
    }

    /// Keeps this until the response has been sent. A handler of tonic adds the guards to the extensions of its response.
    pub fn keep(&mut self, guard: Arc<dyn Any + Send + Sync>) {
        self.guards.push(guard);
    }

    /// States how many bytes the message of the response has, whose encoding may be [`long_work`].
    pub fn set_message(&mut self, bytes: usize) {
        self.message = bytes;
    }

    /// Sets the time for the client to take a piece of a response.
    pub(crate) fn set_idle<B>(response: &mut Response<B>, idle: Duration) {
        response.extensions_mut().get_or_insert_default::<Self>().idle = idle;
    }

    /// Adds a guard to a response.
    pub(crate) fn add<B>(response: &mut Response<B>, guard: Arc<dyn Any + Send + Sync>) {
        response.extensions_mut().get_or_insert_default::<Self>().guards.push(guard);
    }
}

/// A response body in pieces, with guards until the last one is taken.
struct GuardedBody {
    inner: Body,
    /// The part of the last frame that has not been handed on.
    rest: Bytes,
    guards: ResponseGuards,
    /// Resets the stream if the client does not take a piece.
    watchdog: Option<Watchdog>,
}

// === impl GuardedBody ===

impl GuardedBody {
    fn new(inner: Body, guards: ResponseGuards) -> Self {
        Self { inner, rest: Bytes::new(), guards, watchdog: None }
    }

    fn handed(&self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.handed(self.guards.idle);
        }
    }

    /// The response has ended.
    fn release(&mut self) {
        self.guards = ResponseGuards::default();
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.taken();
        }
    }
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        self.release();
    }
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // hyper polls when it has passed on the previous piece.
        match &self.watchdog {
            Some(watchdog) => watchdog.taken(),
            None => self.watchdog = Watchdog::current(),
        }
        if self.rest.is_empty() {
            let message = std::mem::take(&mut self.guards.message);
            let frame = long_work::in_place(message, || Pin::new(&mut self.inner).poll_frame(cx));
            let frame = match ready!(frame) {
                Some(Ok(frame)) => frame,
                end => {
                    self.release();
                    return Poll::Ready(end);
                }
            };
            match frame.into_data() {
                Ok(data) if data.len() > PIECE => self.rest = data,
                Ok(data) => {
                    self.handed();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Err(trailers) => {
                    self.release();
                    return Poll::Ready(Some(Ok(trailers)));
                }
            }
        }
        // A copy: a slice of the last piece, waiting in hyper's buffer, would keep the whole response in memory.
        let piece = Bytes::copy_from_slice(&self.rest[..PIECE.min(self.rest.len())]);
        self.rest.advance(piece.len());
        if self.rest.is_empty() {
            self.rest = Bytes::new();
        }
        self.handed();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    // Forwarded, or a response without a body would no longer be sent as one HEADERS frame.
    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
