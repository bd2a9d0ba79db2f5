//! Batches what a connection of HTTP/2 writes. h2 writes to the socket once for each message, and the calls of a
//! connection end one after the other; a system call for each of them costs more than all that the gateway does with
//! the message. Here the first write of a batch waits until the tasks that are ready now have had their turn.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of a batch: the default largest frame of HTTP/2.
const MAX_BATCH: usize = 16 * 1024;

/// A buffer up to this size is kept for the next batch; there may be thousands of idle connections.
const KEPT: usize = 4 * 1024;

/// A connection whose writes are batched. A batch that was begun in one turn of the connection's task is sent by the
/// flush of the next turn, which is told by a read before it. h2 reads and flushes in each turn; without a read, a
/// flush sends nothing.
#[derive(Debug)]
pub(crate) struct BatchedWrites<T: AsyncWrite + Unpin> {
    inner: T,
    /// The batch, of which the first bytes may have been sent.
    batch: Vec<u8>,
    sent: usize,
    /// Whether the batch is from an earlier turn.
    is_due: bool,
}

// === impl BatchedWrites ===

impl<T: AsyncWrite + Unpin> BatchedWrites<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, batch: Vec::new(), sent: 0, is_due: false }
    }

    /// Sends the batch.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.batch.len() {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.batch[self.sent..]))?;
            self.advance(sent)?;
        }
        self.finish();
        Poll::Ready(Ok(()))
    }

    /// Sends the batch and as much as possible of `more`; returns how much of that was sent.
    fn poll_send_with(&mut self, cx: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let rest = &self.batch[self.sent..];
            if rest.is_empty() {
                self.finish();
                return Pin::new(&mut self.inner).poll_write(cx, more);
            }
            let unsent = rest.len();
            let slices = [IoSlice::new(rest), IoSlice::new(more)];
            let sent = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, &slices))?;
            self.advance(sent.min(unsent))?;
            if sent > unsent {
                self.finish();
                return Poll::Ready(Ok(sent - unsent));
            }
        }
    }

    fn advance(&mut self, sent: usize) -> io::Result<()> {
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.sent += sent;
        Ok(())
    }

    fn finish(&mut self) {
        (self.sent, self.is_due) = (0, false);
        if self.batch.capacity() > KEPT {
            self.batch = Vec::new();
        } else {
            self.batch.clear();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for BatchedWrites<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_due = !self.batch.is_empty();
        Pin::new(&mut self.inner).poll_read(cx, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for BatchedWrites<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.batch.len() + data.len() > MAX_BATCH {
            return self.poll_send_with(cx, data);
        }
        if self.batch.is_empty() && !data.is_empty() {
            // The next turn, after those of all tasks that are ready now.
            cx.waker().wake_by_ref();
        }
        self.batch.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_due {
            ready!(self.poll_send(cx))?;
        }
        // In every turn, for what the connection was given before: one of TLS takes more than its socket does, and
        // sends the rest when it is flushed.
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    /// Not vectored: h2 would write each message apart, which is gathered here anyway.
    fn is_write_vectored(&self) -> bool {
        false
    }
}

impl<T: AsyncWrite + Unpin> Drop for BatchedWrites<T> {
    /// Sends what a connection that ends without a shutdown has written, as far as the socket takes it at once.
    fn drop(&mut self) {
        if !self.batch.is_empty() {
            let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;
    use std::sync::{Arc, Mutex};

    use futures_util::future::poll_fn;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    /// A socket that takes at most so many bytes in one write, and counts the writes. Its first flushes are pending.
    #[derive(Debug, Clone, Default)]
    struct Socket {
        written: Arc<Mutex<Vec<Vec<u8>>>>,
        takes: usize,
        pending_flushes: Arc<AtomicUsize>,
        flushed: Arc<AtomicUsize>,
    }

    impl Socket {
        fn taking(takes: usize) -> Self {
            Self { takes, ..Self::default() }
        }

        fn lengths(&self) -> Vec<usize> {
            self.written.lock().unwrap().iter().map(Vec::len).collect()
        }

        fn bytes(&self) -> Vec<u8> {
            self.written.lock().unwrap().concat()
        }

        /// How many bytes were written before the last flush.
        fn flushed(&self) -> usize {
            self.flushed.load(SeqCst)
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let data = &data[..data.len().min(self.takes)];
            self.written.lock().unwrap().push(data.to_vec());
            Poll::Ready(Ok(data.len()))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            self.poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.pending_flushes.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Poll::Pending;
            }
            self.flushed.store(self.bytes().len(), SeqCst);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncRead for Socket {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    /// What begins a turn of the connection's task: a read.
    async fn begin(batched: &mut BatchedWrites<Socket>) {
        poll_fn(|cx| {
            let mut space = [0; 8];
            assert!(Pin::new(&mut *batched).poll_read(cx, &mut ReadBuf::new(&mut space)).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    /// A turn of the connection's task: it reads, writes and flushes.
    async fn turn(batched: &mut BatchedWrites<Socket>, writes: &[&[u8]]) {
        begin(batched).await;
        for data in writes {
            batched.write_all(data).await.unwrap();
            batched.flush().await.unwrap();
        }
        batched.flush().await.unwrap();
    }

    #[tokio::test]
    async fn the_writes_of_a_turn_are_one_with_those_of_the_next() {
        let socket = Socket::taking(usize::MAX);
        let mut batched = BatchedWrites::new(socket.clone());
        turn(&mut batched, &[b"one", b"two"]).await;
        assert_eq!(socket.lengths(), [0; 0], "not sent in the same turn");
        turn(&mut batched, &[]).await;
        assert_eq!(socket.lengths(), [6]);
        turn(&mut batched, &[]).await;
        turn(&mut batched, &[b"three"]).await;
        assert_eq!(socket.lengths(), [6]);
        turn(&mut batched, &[b"four"]).await;
        assert_eq!(socket.lengths(), [6, 9]);
        assert_eq!(socket.bytes(), b"onetwothreefour");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_sent_at_once_and_in_order() {
        for takes in [1, 1000, MAX_BATCH, usize::MAX] {
            let socket = Socket::taking(takes);
            let mut batched = BatchedWrites::new(socket.clone());
            let long = vec![7; 3 * MAX_BATCH];
            turn(&mut batched, &[b"head", &long, b"tail"]).await;
            batched.shutdown().await.unwrap();
            assert_eq!(socket.bytes(), [b"head", &long[..], b"tail"].concat(), "{takes}");
        }
        let socket = Socket::taking(usize::MAX);
        let mut batched = BatchedWrites::new(socket.clone());
        turn(&mut batched, &[&[1; MAX_BATCH], &[2; 1]]).await;
        assert_eq!(socket.lengths(), [MAX_BATCH + 1]);
    }

    /// A connection of TLS takes what its socket does not, and sends it when it is flushed.
    #[tokio::test]
    async fn what_the_connection_still_holds_is_flushed_in_a_later_turn() {
        let socket = Socket::taking(usize::MAX);
        let mut batched = BatchedWrites::new(socket.clone());
        turn(&mut batched, &[b"last"]).await;
        socket.pending_flushes.store(1, SeqCst);
        for expected in [0, 4] {
            begin(&mut batched).await;
            let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut batched).poll_flush(cx))).await;
            assert_eq!((socket.bytes().len(), socket.flushed()), (4, expected));
        }

        turn(&mut batched, &[&[1; MAX_BATCH + 1]]).await;
        assert_eq!(socket.flushed(), 4 + MAX_BATCH + 1, "sent without a batch");
    }

    #[tokio::test]
    async fn the_last_writes_are_sent_when_it_is_dropped() {
        let socket = Socket::taking(2);
        let mut batched = BatchedWrites::new(socket.clone());
        turn(&mut batched, &[b"goaway"]).await;
        drop(batched);
        assert_eq!(socket.bytes(), b"goaway");
    }

    #[tokio::test]
    async fn a_socket_that_takes_nothing_is_an_error() {
        let mut batched = BatchedWrites::new(Socket::taking(0));
        batched.write_all(b"x").await.unwrap();
        assert_eq!(batched.shutdown().await.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }

    #[tokio::test]
    async fn the_task_is_woken_once_for_a_batch() {
        let (ours, _theirs) = duplex(64);
        let mut batched = BatchedWrites::new(ours);
        let turns = Mutex::new(0);
        poll_fn(|cx| {
            *turns.lock().unwrap() += 1;
            if *turns.lock().unwrap() == 2 {
                return Poll::Ready(());
            }
            for _ in 0..3 {
                assert!(Pin::new(&mut batched).poll_write(cx, b"x").is_ready());
            }
            Poll::Pending
        })
        .await;
        assert_eq!(*turns.lock().unwrap(), 2, "woken by the write alone");
    }
}
