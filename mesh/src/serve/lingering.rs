//! Lingering close of HTTP/2 connections: what a client sends after the last GOAWAY is read and discarded. A closed
//! socket would answer it with a TCP reset, by which the client may lose the GOAWAY too, and with it the knowledge that
//! its last calls were not processed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The longest wait for a client to close its side.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The reading half of a connection, which comes back when the connection is dropped.
pub(super) struct LentReader<R> {
    /// None only during drop.
    reader: Option<R>,
    back: Option<oneshot::Sender<R>>,
}

/// Lends a reading half. The receiver gets it back.
pub(super) fn lend<R>(reader: R) -> (LentReader<R>, oneshot::Receiver<R>) {
    let (back, returned) = oneshot::channel();
    (LentReader { reader: Some(reader), back: Some(back) }, returned)
}

/// Reads until the client closes its side. The connection must have shut down our side before.
pub(super) async fn linger<R: AsyncRead + Unpin>(returned: oneshot::Receiver<R>) {
    let Ok(mut reader) = returned.await else { return };
    let discard = async {
        let mut buffer = [0; 4096];
        while reader.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    // After the timeout, a reset is the client's own fault.
    let _ = timeout(CLOSE_TIMEOUT, discard).await;
}

impl<R: AsyncRead + Unpin> AsyncRead for LentReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reader = self.reader.as_mut().expect("it is present until the drop");
        Pin::new(reader).poll_read(cx, into)
    }
}

impl<R> Drop for LentReader<R> {
    fn drop(&mut self) {
        if let (Some(reader), Some(back)) = (self.reader.take(), self.back.take()) {
            // Without a receiver, the connection is closed at once.
            let _ = back.send(reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_until_the_client_closes_or_for_a_while() {
        for closes in [true, false] {
            let (mut client, ours) = tokio::io::duplex(64);
            let (mut lent, returned) = lend(ours);
            client.write_all(b"first").await.unwrap();
            assert_eq!(lent.read(&mut [0; 64]).await.unwrap(), 5);
            drop(lent);
            // More than fits: it must be read.
            let sent = tokio::spawn(async move {
                client.write_all(&[0; 1000]).await.unwrap();
                if closes { None } else { Some(client) }
            });
            let begun = Instant::now();
            linger(returned).await;
            assert_eq!(begun.elapsed(), if closes { Duration::ZERO } else { CLOSE_TIMEOUT });
            sent.await.unwrap();
        }
    }
}
