//! Backpressure: a connection whose calls are rejected is read more slowly, so that the excess waits in the socket of its
//! client and not in this process. The pauses are short, because the calls of a connection that are in progress wait too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a connection is read slowly after a call of it was rejected.
const SLOW: Duration = Duration::from_millis(100);

/// The pause before each slow read, and the most bytes of it: about a thousand small calls in a second.
const PAUSE: Duration = Duration::from_millis(20);
const BYTES: usize = 2 * 1024;

/// Whether calls of a connection were rejected since it was last asked. Cheap to clone: clones change together.
#[derive(Debug, Clone, Default)]
pub(super) struct Rejections(Arc<AtomicBool>);

/// The reading half of a connection.
pub(super) struct PausedReader<R> {
    inner: R,
    rejections: Rejections,
    slow_until: Option<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
}

// === impl Rejections ===

impl Rejections {
    pub(super) fn add(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// === impl PausedReader ===

impl<R> PausedReader<R> {
    pub(super) fn new(inner: R, rejections: Rejections) -> Self {
        Self { inner, rejections, slow_until: None, pause: None }
    }

    fn is_slow(&mut self) -> bool {
        if self.rejections.0.swap(false, Ordering::Relaxed) {
            self.slow_until = Some(Instant::now() + SLOW);
        }
        self.slow_until.is_some_and(|end| Instant::now() < end)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for PausedReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_slow() {
            (self.slow_until, self.pause) = (None, None);
            return Pin::new(&mut self.inner).poll_read(cx, into);
        }
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
        ready!(pause.as_mut().poll(cx));
        let mut bytes = [0; BYTES];
        let mut some = ReadBuf::new(&mut bytes[..BYTES.min(into.remaining())]);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut some))?;
        into.put_slice(some.filled());
        self.pause = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_read_slowly_for_a_while_after_a_rejection() {
        let rejections = Rejections::default();
        let all = [7; 20 * BYTES];
        let mut reader = PausedReader::new(&all[..], rejections.clone());
        let mut buffer = [0; 3 * BYTES];
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 3 * BYTES);
        rejections.add();
        let begun = Instant::now();
        let mut reads = 0;
        while begun.elapsed() + 2 * PAUSE <= SLOW {
            assert_eq!(reader.read(&mut buffer).await.unwrap(), BYTES);
            reads += 1;
            assert!(begun.elapsed() >= reads * PAUSE);
        }
        assert!((3..=4).contains(&reads), "{reads}");
        tokio::time::sleep(2 * PAUSE).await;
        let end = Instant::now();
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 3 * BYTES);
        assert_eq!((end.elapsed(), buffer[0]), (Duration::ZERO, 7));
    }
}
