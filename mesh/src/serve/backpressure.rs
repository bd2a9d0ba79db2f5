//! Backpressure: a connection whose calls are rejected is read more slowly, so that the excess waits in the socket of
//! its client and not in this process.
//!
//! As TCP does with a congested network: a period with a rejection halves the bytes that are read in the next one, and
//! a period without one adds an eighth, until the connection is read freely again. So the rate settles where few calls
//! are rejected. The pauses are short, because the calls of a connection that are in progress wait too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The period of an allowance.
const PERIOD: Duration = Duration::from_millis(10);

/// The smallest allowance in bytes: about five small calls.
const LEAST: usize = 512;

/// Above this allowance a connection is read freely.
const MOST: usize = 64 * 1024;

/// What every period without a rejection adds at least.
const STEP: usize = 64;

/// After this time without a read, nothing is left to slow down.
const FORGET: Duration = Duration::from_secs(1);

/// Whether calls of a connection were rejected since it was last asked. Cheap to clone: clones change together.
#[derive(Debug, Clone, Default)]
pub(super) struct Rejections(Arc<AtomicBool>);

/// The reading half of a connection.
pub(super) struct PausedReader<R> {
    inner: R,
    rejections: Rejections,
    /// The present period, and the bytes read in it.
    begun: Instant,
    read: usize,
    /// The bytes of a period; none while the connection is read freely.
    allowance: Option<usize>,
    pause: Option<Pin<Box<Sleep>>>,
}

// === impl Rejections ===

impl Rejections {
    pub(super) fn add(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

// === impl PausedReader ===

impl<R> PausedReader<R> {
    pub(super) fn new(inner: R, rejections: Rejections) -> Self {
        Self { inner, rejections, begun: Instant::now(), read: 0, allowance: None, pause: None }
    }

    /// The bytes that may be read now; none if the period has to end first.
    fn allowed(&mut self) -> Option<usize> {
        if self.allowance.is_none() && !self.rejections.0.load(Ordering::Relaxed) {
            return Some(usize::MAX);
        }
        let elapsed = self.begun.elapsed();
        if self.allowance.is_none() {
            // What was read freely says nothing about what can be served.
            self.rejections.take();
            self.begin_period(Some(MOST / 8));
        } else if elapsed >= FORGET {
            self.begin_period(None);
        } else if elapsed >= PERIOD {
            let before = self.allowance.unwrap_or(MOST);
            let next = if self.rejections.take() { before / 2 } else { before + before / 8 + STEP };
            self.begin_period(Some(next.max(LEAST)).filter(|next| *next <= MOST));
        }
        let Some(allowance) = self.allowance else { return Some(usize::MAX) };
        Some(allowance - self.read.min(allowance)).filter(|left| *left > 0)
    }

    fn begin_period(&mut self, allowance: Option<usize>) {
        (self.begun, self.read, self.allowance) = (Instant::now(), 0, allowance);
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for PausedReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let allowed = loop {
            if let Some(allowed) = this.allowed() {
                break allowed;
            }
            let end = this.begun + PERIOD;
            let pause = this.pause.get_or_insert_with(|| Box::pin(sleep_until(end)));
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        };
        if allowed >= into.remaining() {
            let before = into.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, into))?;
            this.read += into.filled().len() - before;
            return Poll::Ready(Ok(()));
        }
        let mut some = ReadBuf::new(into.initialize_unfilled_to(allowed));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut some))?;
        let length = some.filled().len();
        this.read += length;
        into.advance(length);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Bytes without an end.
    fn endless() -> impl AsyncRead + Unpin {
        tokio::io::repeat(7)
    }

    /// The bytes that are read in the next period.
    async fn read_for_a_period(reader: &mut PausedReader<impl AsyncRead + Unpin>) -> usize {
        let (begun, mut bytes, mut buffer) = (reader.begun, 0, [0; 1024]);
        loop {
            let read = reader.read(&mut buffer).await.unwrap();
            assert_eq!(buffer[read - 1], 7);
            if reader.begun != begun {
                return bytes;
            }
            bytes += read;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_rejections_is_read_freely() {
        let mut reader = PausedReader::new(endless(), Rejections::default());
        let (begun, mut buffer) = (Instant::now(), vec![0; 10 * MOST]);
        reader.read_exact(&mut buffer).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_halve_what_is_read_and_their_absence_restores_it() {
        let rejections = Rejections::default();
        let mut reader = PausedReader::new(endless(), rejections.clone());
        rejections.add();
        let first = reader.read(&mut [0; 1]).await.unwrap();
        let mut last = first + read_for_a_period(&mut reader).await;
        assert_eq!(last, MOST / 8);
        while last > LEAST {
            rejections.add();
            read_for_a_period(&mut reader).await;
            last = reader.allowance.unwrap();
        }
        for _ in 0..3 {
            rejections.add();
            read_for_a_period(&mut reader).await;
        }
        assert_eq!(reader.allowance, Some(LEAST), "never less");
        let begun = Instant::now();
        while reader.allowance.is_some() {
            reader.read_exact(&mut [0; 1024]).await.unwrap();
        }
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_read_for_a_while_is_read_freely_again() {
        let rejections = Rejections::default();
        let mut reader = PausedReader::new(endless(), rejections.clone());
        rejections.add();
        reader.read_exact(&mut [0; 1]).await.unwrap();
        assert!(reader.allowance.is_some());
        tokio::time::sleep(FORGET).await;
        reader.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(reader.allowance, None);
    }
}
