//! Streams a document from the network to its parser thread: bytes go through a bounded channel, so that a slow parser
//! causes backpressure instead of memory growth.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

/// Capacity of the channel, in pieces. Two, so that one can arrive while the other is read.
const WAITING: usize = 2;

/// Identifies a document by its content: SHA-256 of the bytes as they were sent.
pub type Fingerprint = [u8; 32];

/// The sending half.
#[derive(Debug)]
pub struct Feed {
    /// `None` marks the end of the document. A feed that is dropped without it was interrupted, which must not look
    /// like an end.
    pieces: mpsc::Sender<Option<Bytes>>,
}

/// The receiving half, which the parser reads.
#[derive(Debug)]
pub struct Pieces {
    pieces: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    ended: bool,
}

/// Computes the fingerprint of everything that is read through it.
#[derive(Debug)]
pub struct Fingerprinting<R> {
    read: R,
    hasher: Sha256,
}

/// The parser stopped reading: it failed, and its result has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderGone;

/// Creates a feed and its reader.
pub fn channel() -> (Feed, Pieces) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Feed { pieces: sender }, Pieces { pieces: receiver, current: Bytes::new(), ended: false })
}

/// The fingerprint of a complete document. Takes milliseconds per megabyte.
pub fn fingerprint(pieces: &[Bytes]) -> Fingerprint {
    let hasher = pieces.iter().fold(Sha256::new(), |hasher, piece| hasher.chain_update(piece));
    hasher.finalize().into()
}

/// The fingerprint of a document of which `pieces` have arrived and `rest` is still to come.
///
/// # Errors
///
/// If the upload is interrupted.
pub async fn fingerprint_of<E>(
    pieces: Vec<Bytes>,
    rest: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Fingerprint, E> {
    let hasher = stream::iter(pieces).map(Ok).chain(rest);
    let hasher = hasher.try_fold(Sha256::new(), async |hasher, piece| Ok(hasher.chain_update(&piece)));
    Ok(hasher.await?.finalize().into())
}

// === impl Feed ===

impl Feed {
    /// Sends a piece, and waits while the channel is full.
    ///
    /// # Errors
    ///
    /// [`ReaderGone`] if the parser has stopped reading.
    pub async fn send(&self, piece: Bytes) -> Result<(), ReaderGone> {
        self.pieces.send(Some(piece)).await.map_err(|_| ReaderGone)
    }

    /// Marks the document as complete.
    ///
    /// # Errors
    ///
    /// [`ReaderGone`] if the parser has stopped reading.
    pub async fn finish(self) -> Result<(), ReaderGone> {
        self.pieces.send(None).await.map_err(|_| ReaderGone)
    }
}

// === impl Pieces ===

/// Blocks until a piece arrives: call it on blocking threads, never on the runtime's threads.
impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.current = piece,
                Some(None) => self.ended = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload broke off")),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

// === impl Fingerprinting ===

impl<R> Fingerprinting<R> {
    /// Wraps a document from which nothing has been read yet.
    pub fn new(read: R) -> Self {
        Self { read, hasher: Sha256::new() }
    }

    /// The fingerprint of everything that was read.
    pub fn fingerprint(self) -> Fingerprint {
        self.hasher.finalize().into()
    }
}

impl<R: Read> Read for Fingerprinting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_arrive_in_order_up_to_the_end() {
        let (feed, mut pieces) = channel();
        let reader = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            pieces.read_to_string(&mut text).map(|_| text)
        });
        for piece in ["ab", "", "c", "def"] {
            feed.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
        }
        feed.finish().await.unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn a_feed_that_breaks_off_is_no_end() {
        let (feed, mut pieces) = channel();
        feed.send(Bytes::from_static(b"ab")).await.unwrap();
        drop(feed);
        let read = tokio::task::spawn_blocking(move || pieces.read_to_end(&mut Vec::new())).await.unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_told() {
        let (feed, pieces) = channel();
        drop(pieces);
        assert_eq!(feed.send(Bytes::from_static(b"a")).await, Err(ReaderGone));
    }

    #[test]
    fn a_fingerprint_does_not_depend_on_the_cuts() {
        let of = |texts: &[&'static str]| {
            fingerprint(&texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect::<Vec<_>>())
        };
        assert_eq!(of(&["ab", "", "c"]), of(&["abc"]));
        assert_ne!(of(&["ab"]), of(&["abc"]));
    }

    #[tokio::test]
    async fn a_fingerprint_does_not_depend_on_what_is_there_already() {
        let [first, second] = ["ab", "c"].map(Bytes::from);
        let rest = stream::iter([Ok::<_, ()>(second.clone())]);
        assert_eq!(fingerprint_of(vec![first.clone()], rest).await, Ok(fingerprint(&[first, second])));
        assert_eq!(fingerprint_of(Vec::new(), stream::iter([Err(7)])).await, Err(7));
    }
}
