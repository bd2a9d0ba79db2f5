//! A document on its way from the network to the thread that parses it: bytes go through a bounded channel, so that a
//! slow parser holds the sender back instead of filling memory.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// Pieces that may wait for the parser. Two, so that one can arrive while the other is read.
const WAITING: usize = 2;

/// Where the pieces go in.
#[derive(Debug)]
pub struct Feed {
    pieces: mpsc::Sender<Bytes>,
}

/// Where the parser reads them.
#[derive(Debug)]
pub struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

/// The parser has read enough: it failed, and its result says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderGone;

/// A feed and its reader. The document ends when the feed is dropped.
pub fn channel() -> (Feed, Pieces) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Feed { pieces: sender }, Pieces { pieces: receiver, current: Bytes::new() })
}

impl Feed {
    /// Passes a piece on, waiting while the parser is behind.
    ///
    /// # Errors
    ///
    /// [`ReaderGone`] when the parser reads no more.
    pub async fn send(&self, piece: Bytes) -> Result<(), ReaderGone> {
        self.pieces.send(piece).await.map_err(|_| ReaderGone)
    }
}

/// Blocks while nothing has arrived: for threads that may block, never for the runtime's own.
impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_arrive_in_order_and_the_end_is_the_feeds_drop() {
        let (feed, mut pieces) = channel();
        let reader = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            pieces.read_to_string(&mut text).map(|_| text)
        });
        for piece in ["ab", "", "c", "def"] {
            feed.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
        }
        drop(feed);
        assert_eq!(reader.await.unwrap().unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_told() {
        let (feed, pieces) = channel();
        drop(pieces);
        assert_eq!(feed.send(Bytes::from_static(b"a")).await, Err(ReaderGone));
    }
}
