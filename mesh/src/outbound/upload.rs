//! The body of a request, on its way to a peer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;
use tokio::task::AbortHandle;
use tonic::body::Body;

/// So many bytes are handed to the connection without waiting for the window of the stream; the connection holds them
/// back until then. Most requests have no more.
const EAGER: usize = 16 * 1024;

/// Sends a body. Dropped before its end, it resets the stream.
#[derive(Debug)]
pub(super) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    sent: usize,
    /// What waits for the window, and whether it is the last.
    waiting: Option<(Bytes, bool)>,
}

/// Ends an upload when the caller is done with the response.
#[derive(Debug)]
pub(super) struct UploadGuard(AbortHandle);

// === impl Upload ===

impl Upload {
    /// Sends what is there of a body, mostly all, and the rest in a task.
    pub(super) fn begin(body: Body, stream: SendStream<Bytes>) -> Option<UploadGuard> {
        let mut upload = Self { body, stream, sent: 0, waiting: None };
        // The task registers for what comes later.
        if Pin::new(&mut upload).poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return None;
        }
        Some(UploadGuard(tokio::spawn(upload).abort_handle()))
    }

    /// Hands some bytes to the connection, or holds them until the window of the stream has room.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let Some((data, _)) = &self.waiting else { return Poll::Ready(Ok(())) };
        if self.sent + data.len() > EAGER {
            self.stream.reserve_capacity(1);
            while self.stream.capacity() == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(capacity) => _ = capacity?,
                    None => return Poll::Ready(Err(Reason::CANCEL.into())),
                }
            }
        }
        let Some((data, is_last)) = self.waiting.take() else { return Poll::Ready(Ok(())) };
        self.sent += data.len();
        Poll::Ready(self.stream.send_data(data, is_last))
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            // The peer may want no more of it.
            if let Poll::Ready(reason) = self.stream.poll_reset(cx)? {
                return Poll::Ready(Err(reason.into()));
            }
            let was_last = self.waiting.as_ref().is_some_and(|(_, is_last)| *is_last);
            ready!(self.poll_send(cx))?;
            if was_last {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.waiting = Some((data, self.body.is_end_stream())),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        return Poll::Ready(self.stream.send_trailers(trailers));
                    }
                },
                // The caller has broken it off.
                Some(Err(_)) => return Poll::Ready(Err(Reason::CANCEL.into())),
                None => return Poll::Ready(self.stream.send_data(Bytes::new(), true)),
            }
        }
    }
}

impl Future for Upload {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(self.poll_all(cx)).is_err() {
            // Without effect if the peer has reset the stream.
            self.stream.send_reset(Reason::CANCEL);
        }
        Poll::Ready(())
    }
}

impl Drop for UploadGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}
